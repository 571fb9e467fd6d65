"""The sandbox's offline tasks, from the submission to the image."""

from __future__ import annotations

import hashlib
import io
import time
from datetime import datetime
from typing import Any

import pytest
import requests
from PIL import Image

from tests.integration.sandbox.support import (
    DETAIL,
    HOUR_SECONDS,
    PROGRESS,
    SOURCES,
    Client,
    Peer,
    wait_until,
)


def test_a_submitted_image_is_served_with_the_same_bytes(client: Client, peer: Peer) -> None:
    url = f"{peer.url}/moved/red.png"  # a redirect is followed
    before = time.time()
    task_id = client.submit(url, fileName="my red.png", callBackUrl=f"{peer.url}/callback")
    assert task_id >= 403316
    assert client.wait(task_id) == 2
    assert client.progress(task_id) == {"process": 100, "status": 2}

    (directory,) = client.files("")
    assert (directory["filename"], directory["type"]) == ("来自:离线下载", 1)
    (image,) = client.files(directory["fileId"])
    assert image["filename"] == "my red.png"
    assert image["extension"] == "png"
    assert image["parentFileId"] == directory["fileId"]
    assert image["type"] == 0
    assert image["status"] == 2
    assert image["parentFilename"] == "来自:离线下载"
    assert image["userSelfURL"] == ""
    assert image["etag"] == hashlib.md5(SOURCES["red.png"]).hexdigest()
    assert image["size"] == len(SOURCES["red.png"])
    beijing = datetime.fromisoformat(image["createAt"].replace(" ", "T") + "+08:00")
    assert int(before) <= beijing.timestamp() <= time.time()
    assert client.get(DETAIL, fileID=image["fileId"])["data"] == image

    served = requests.get(image["downloadURL"], timeout=60)
    assert served.content == SOURCES["red.png"]
    assert served.headers["Content-Type"] == "image/png"

    ((path, payload),) = wait_until(lambda: peer.received)
    assert path == "/callback"
    assert payload == {"url": url, "status": 0, "failReason": "", "fileID": image["fileId"]}


@pytest.mark.parametrize("name", ["green.jpg", "a.gif", "a.bmp", "a.tif", "a.webp", "a.svg"])
def test_all_formats_are_stored_and_have_thumbnails(client: Client, peer: Peer, name: str) -> None:
    client.migrate(f"{peer.url}/{name}")
    (image,) = client.sandbox.state()["files"]
    assert image["filename"] == name
    thumbnail = client.send("GET", f"/sandbox/thumbnail/{image['fileId']}")
    kind = "svg+xml" if name == "a.svg" else "png"
    assert thumbnail.status_code == 200
    assert thumbnail.headers["Content-Type"] == f"image/{kind}"


@pytest.mark.parametrize(
    ("name", "changes", "reason"),
    [
        ("gone.png", {}, "the source answered 404"),
        ("page.png", {}, "unsupported image format"),
        ("red.png", {"max_bytes": 10}, "larger than 10 bytes"),
        ("red.png", {"fail": "red", "fail_reason": "no luck"}, "no luck"),
    ],
)
@pytest.mark.parametrize("spelling", ["failReason", "fileReason"])
def test_a_failure_is_reported_with_its_reason(
    client: Client, peer: Peer, name: str, changes: dict[str, Any], reason: str, spelling: str
) -> None:
    client.sandbox.configure(**changes, reason_spelling=spelling)
    task_id = client.submit(f"{peer.url}/{name}", callBackUrl=peer.url)
    assert client.wait(task_id) == 1
    assert client.progress(task_id) == {"process": 0, "status": 1}
    ((_, payload),) = wait_until(lambda: peer.received)
    assert payload["status"] == 1
    assert reason in payload[spelling]
    assert payload["fileID"] == ""


def test_without_fetch_each_url_has_a_tiny_image(client: Client) -> None:
    client.sandbox.configure(fetch=False)
    for number in range(3):
        client.migrate(f"http://nowhere.invalid/{number}.png")
    contents = {
        requests.get(image["downloadURL"], timeout=60).content for image in client.sandbox.state()["files"]
    }
    assert len(contents) == 3
    for content in contents:
        with Image.open(io.BytesIO(content)) as image:
            assert image.size == (2, 2)


def test_progress_reports_running_stuck_and_retrying_tasks(client: Client) -> None:
    client.sandbox.configure(fetch=False, delay=HOUR_SECONDS)
    running = client.progress(client.submit("http://127.0.0.1/a.png"))
    assert running["status"] == 0
    assert 0 <= running["process"] < 100
    client.sandbox.configure(delay=0, stuck="stuck", retrying="again")
    stuck = client.submit("http://127.0.0.1/stuck.png")
    again = client.submit("http://127.0.0.1/again.png")
    assert client.progress(again)["status"] == 3
    assert client.wait(again) == 2
    assert client.progress(stuck)["status"] == 3


def test_unknown_and_new_tasks_are_refused(client: Client) -> None:
    assert client.get(PROGRESS, taskID=1)["code"] == 1
    assert client.get(PROGRESS, taskID="x")["code"] == 1
    client.sandbox.configure(fetch=False, unknown_task=HOUR_SECONDS, first_task_id=2**62)
    task_id = client.submit("http://127.0.0.1/a.png")
    assert task_id == 2**62
    assert client.get(PROGRESS, taskID=task_id)["code"] == 1
    client.sandbox.configure(unknown_task=0)
    assert client.get(PROGRESS, taskID=task_id)["code"] == 0


def test_unknown_tasks_may_be_reported_as_running(client: Client) -> None:
    client.sandbox.configure(fetch=False, unknown_task=HOUR_SECONDS, unknown_task_as="running")
    assert client.progress(1) == {"process": 0, "status": 0}
    task_id = client.submit("http://127.0.0.1/a.png")
    wait_until(lambda: client.sandbox.state()["files"])
    assert client.progress(task_id) == {"process": 0, "status": 0}
    client.sandbox.configure(unknown_task=0)
    assert client.progress(task_id) == {"process": 100, "status": 2}


def test_an_image_becomes_visible_after_its_task_has_ended(client: Client) -> None:
    client.sandbox.configure(fetch=False, visible_after=HOUR_SECONDS)
    directory = client.directory("shop")
    client.migrate("http://127.0.0.1/a.png", businessDirID=directory)
    file_id = client.sandbox.state()["tasks"][0]["fileID"]
    assert client.files(directory) == []
    assert client.get(DETAIL, fileID=file_id)["code"] == 5066

    client.sandbox.configure(visible_after=0.05)
    client.migrate("http://127.0.0.1/b.png", businessDirID=directory)
    (image,) = wait_until(lambda: client.files(directory))
    assert image["filename"] == "b.png"
    assert client.get(DETAIL, fileID=image["fileId"])["data"] == image


def test_a_held_task_ends_when_the_option_no_longer_matches(client: Client) -> None:
    client.sandbox.configure(fetch=False, delay=0, hold="held")
    held = client.submit("http://127.0.0.1/held.png")
    assert client.wait(client.submit("http://127.0.0.1/free.png")) == 2
    client.sandbox.configure(latency=0)
    assert client.progress(held)["status"] == 0
    client.sandbox.configure(hold="another")
    assert client.wait(held) == 2


def test_an_image_can_be_rejected_by_review(client: Client) -> None:
    client.sandbox.configure(fetch=False, review="rude", own_domain="https://img.example.com/")
    client.migrate("http://127.0.0.1/rude.png")
    (image,) = client.sandbox.state()["files"]
    assert image["status"] > 100
    assert image["userSelfURL"].startswith("https://img.example.com/")
    assert image["userSelfURL"].endswith(".png")


def test_the_beginning_of_an_image_is_served(client: Client) -> None:
    client.sandbox.configure(fetch=False)
    client.migrate("http://127.0.0.1/a.png")
    (image,) = client.sandbox.state()["files"]
    size = image["size"]
    for last, length in ((9, 10), (9999, size)):
        answer = requests.get(image["downloadURL"], headers={"Range": f"bytes=0-{last}"}, timeout=10)
        assert (answer.status_code, len(answer.content)) == (206, length)
        assert answer.headers["Content-Range"] == f"bytes 0-{length - 1}/{size}"
    assert client.sandbox.state()["files"][0]["totalTraffic"] == 10 + size
