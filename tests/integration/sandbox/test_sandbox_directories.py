"""The sandbox's names, lists and directories."""

from __future__ import annotations

import time

import pytest

from airflow_provider_123pan.sandbox import Sandbox
from tests.integration.sandbox.support import (
    DELETE,
    DETAIL,
    HOUR_SECONDS,
    LIST,
    MKDIR,
    MOVE,
    PROGRESS,
    Client,
    Peer,
)


@pytest.mark.parametrize(("same_etag", "name"), [("rename", "second.png"), ("keep", "first.png")])
@pytest.mark.parametrize("dates", ["refresh", "keep"])
def test_an_equal_image_is_overwritten(
    client: Client, peer: Peer, same_etag: str, name: str, dates: str
) -> None:
    client.sandbox.configure(same_etag=same_etag, same_etag_dates=dates)
    directory = client.directory("shop")
    for source, file_name in (("red.png", "first.png"), ("blue.png", "other.png"), ("red.png", "second.png")):
        client.migrate(f"{peer.url}/{source}", fileName=file_name, businessDirID=directory)
    names = [image["filename"] for image in client.files(directory)]
    assert names == ([name, "other.png"] if dates == "refresh" else ["other.png", name])


def test_a_different_image_under_a_taken_name_gets_a_counter(client: Client, peer: Peer) -> None:
    directory = client.directory("shop")
    for source in ("red.png", "blue.png", "green.jpg"):
        client.migrate(f"{peer.url}/{source}", fileName="a.b.png", businessDirID=directory)
    names = [image["filename"] for image in client.files(directory)]
    assert names == ["a.b(2).png", "a.b(1).png", "a.b.png"]


def test_a_list_has_pages_and_filters(client: Client) -> None:
    client.sandbox.configure(fetch=False)
    directory = client.directory("shop")
    for number in range(5):
        client.migrate(f"http://127.0.0.1/{number}.png", businessDirID=directory)
    pages, last = [], ""
    while last != "-1":
        page = client.post(LIST, parentFileId=directory, limit=2, type=1, lastFileId=last)["data"]
        pages.append([image["filename"] for image in page["fileList"]])
        last = page["lastFileId"]
    assert pages == [["4.png", "3.png"], ["2.png", "1.png"], ["0.png"]]
    now = int(time.time())
    assert len(client.files(directory, startTime=now - HOUR_SECONDS, endTime=now + HOUR_SECONDS)) == 5
    assert client.files(directory, startTime=now + HOUR_SECONDS) == []
    assert client.files(directory, endTime=now - HOUR_SECONDS) == []


def test_directories_and_images_can_be_moved_and_deleted(client: Client) -> None:
    client.sandbox.configure(fetch=False)
    shop, attic = client.directory("shop"), client.directory("attic")
    inner = client.directory("inner", shop)
    assert client.post(MKDIR, name="shop", parentID="", type=1)["code"] == 1, "the name is taken"
    client.migrate("http://127.0.0.1/a.png", businessDirID=shop)
    image = client.sandbox.state()["files"][0]
    assert client.post(MOVE, fileIDs=[image["fileId"]], toParentFileID=attic) | {"x-traceID": ""} == {
        "code": 0,
        "message": "ok",
        "data": None,
        "x-traceID": "",
    }
    assert [file["fileId"] for file in client.files(attic)] == [image["fileId"]]
    assert client.post(MOVE, fileIDs=[shop], toParentFileID=inner)["code"] == 1
    assert client.post(DELETE, fileIDs=[attic, "nowhere"])["code"] == 5066
    assert client.post(DELETE, fileIDs=[attic, shop])["code"] == 0
    assert client.files("") == []
    assert client.sandbox.state()["files"] == []
    assert client.get(DETAIL, fileID=image["fileId"])["code"] == 5066
    assert client.send("GET", f"/1815309870/{image['fileId']}.png").status_code == 404


@pytest.mark.parametrize(
    ("colon", "name"), [("half-width", "来自:离线下载"), ("full-width", "来自：离线下载")]
)
def test_images_go_to_the_default_directories_in_turn(client: Client, colon: str, name: str) -> None:
    client.sandbox.configure(fetch=False, default_directory=colon, default_directories=2)
    for number in range(4):
        client.migrate(f"http://127.0.0.1/{number}.png")
    directories = client.files("")
    assert [directory["filename"] for directory in directories] == [name, name]
    names = [[image["filename"] for image in client.files(found["fileId"])] for found in directories]
    assert names == [["3.png", "1.png"], ["2.png", "0.png"]]

    # Both can be deleted, and are created again.
    ids = [directory["fileId"] for directory in directories]
    assert client.post(DELETE, fileIDs=ids)["code"] == 0
    assert client.files("") == []
    client.migrate("http://127.0.0.1/4.png")
    assert len(client.files("")) == 2


def test_an_account_does_not_see_the_files_and_tasks_of_another() -> None:
    with Sandbox(accounts={"a": "secret-a", "b": "secret-b"}, fetch=False, delay=0) as sandbox:
        first, second = Client(sandbox), Client(sandbox)
        first.log_in()
        second.log_in(clientID="b", clientSecret="secret-b")
        task_id = first.submit("http://127.0.0.1/a.png")
        assert first.wait(task_id) == 2
        assert second.get(PROGRESS, taskID=task_id)["code"] == 1
        assert second.files("") == []
