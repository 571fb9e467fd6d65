"""Names and directories in the sandbox."""

from __future__ import annotations

import time

import pytest

from airflow_provider_123pan.sandbox import Sandbox
from tests.integration.sandbox_world import (
    DELETE,
    DETAIL,
    LIST,
    MKDIR,
    MOVE,
    PROGRESS,
    Client,
    Neighbour,
    client,
    neighbour,
    running,
    sandbox,
)

__all__ = ["client", "neighbour", "running", "sandbox"]


@pytest.mark.parametrize(("same_etag", "name"), [("rename", "second.png"), ("keep", "first.png")])
@pytest.mark.parametrize("dates", ["refresh", "keep"])
def test_an_equal_image_is_overwritten(
    client: Client, neighbour: Neighbour, same_etag: str, name: str, dates: str
) -> None:
    client.sandbox.configure(same_etag=same_etag, same_etag_dates=dates)
    directory = client.directory("shop")
    for source, file_name in (("red.png", "first.png"), ("blue.png", "other.png"), ("red.png", "second.png")):
        client.migrate(f"{neighbour.url}/{source}", fileName=file_name, businessDirID=directory)
    names = [image["filename"] for image in client.files(directory)]
    assert names == ([name, "other.png"] if dates == "refresh" else ["other.png", name])


def test_a_different_image_under_a_taken_name(client: Client, neighbour: Neighbour) -> None:
    directory = client.directory("shop")
    for source in ("red.png", "blue.png", "green.jpg"):
        client.migrate(f"{neighbour.url}/{source}", fileName="a.b.png", businessDirID=directory)
    names = [image["filename"] for image in client.files(directory)]
    assert names == ["a.b(2).png", "a.b(1).png", "a.b.png"]


def test_list_pages_and_filters(client: Client) -> None:
    client.sandbox.configure(fetch=False)
    directory = client.directory("shop")
    for number in range(5):
        client.migrate(f"http://127.0.0.1/{number}.png", businessDirID=directory)
    seen, last = [], ""
    while last != "-1":
        page = client.post(LIST, parentFileId=directory, limit=2, type=1, lastFileId=last)["data"]
        seen.append([image["filename"] for image in page["fileList"]])
        last = page["lastFileId"]
    assert seen == [["4.png", "3.png"], ["2.png", "1.png"], ["0.png"]]
    now = int(time.time())
    assert len(client.files(directory, startTime=now - 60, endTime=now + 60)) == 5
    assert client.files(directory, startTime=now + 60) == []
    assert client.files(directory, endTime=now - 60) == []


def test_directories_move_and_delete(client: Client) -> None:
    client.sandbox.configure(fetch=False)
    shop, attic = client.directory("shop"), client.directory("attic")
    inner = client.directory("inner", shop)
    assert client.post(MKDIR, name="shop", parentID="", type=1)["code"] == 1, "a name may not repeat"
    client.migrate("http://127.0.0.1/a.png", businessDirID=shop)
    image = client.sandbox.state()["files"][0]
    assert client.post(MOVE, fileIDs=[image["fileId"]], toParentFileID=attic) | {"x-traceID": ""} == {
        "code": 0,
        "message": "ok",
        "data": None,
        "x-traceID": "",
    }
    assert [each["fileId"] for each in client.files(attic)] == [image["fileId"]]
    assert client.post(MOVE, fileIDs=[shop], toParentFileID=inner)["code"] == 1
    assert client.post(DELETE, fileIDs=[attic, "nowhere"])["code"] == 5066
    assert client.post(DELETE, fileIDs=[attic, shop])["code"] == 0
    assert client.files("") == []
    assert client.sandbox.state()["files"] == []
    assert client.get(DETAIL, fileID=image["fileId"])["code"] == 5066
    assert client.send("GET", f"/1815309870/{image['fileId']}.png").status_code == 404


def test_accounts_do_not_see_each_other(neighbour: Neighbour) -> None:
    with Sandbox(accounts={"a": "secret-a", "b": "secret-b"}, fetch=False, delay=0) as sandbox:
        first, second = Client(sandbox), Client(sandbox)
        first.log_in()
        second.log_in(clientID="b", clientSecret="secret-b")
        task_id = first.submit("http://127.0.0.1/a.png")
        assert first.wait(task_id) == 2
        assert second.get(PROGRESS, taskID=task_id)["code"] == 1
        assert second.files("") == []
