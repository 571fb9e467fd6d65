"""The sandbox's copies from the cloud drive."""

from __future__ import annotations

from typing import Any

from tests.integration.sandbox.support import HOUR_SECONDS, Client, wait_until

COPY = "/api/v1/oss/source/copy"
PROCESS = "/api/v1/oss/source/copy/process"
FAIL = "/api/v1/oss/source/copy/fail"
FILES = [
    {"file_id": "1", "filename": "a.png"},
    {"file_id": "2", "filename": "b.png", "fails": True},
    {"file_id": "3", "filename": "c.txt"},
    {"file_id": "4", "filename": "d.png", "fails": True},
]


def copy(client: Client, *file_ids: str, directory: str = "", **changes: Any) -> dict[str, Any]:
    fields = {"fileIDs": [*file_ids], "toParentFileID": directory, "sourceType": 1, "type": 1}
    return client.post(COPY, **fields | changes)


def status(client: Client, task_id: str) -> int:
    found: int = client.get(PROCESS, taskID=task_id)["data"]["status"]
    return found


def test_files_are_copied_and_failures_listed(client: Client) -> None:
    client.sandbox.configure(drive_files=FILES)
    directory = client.directory("copies")
    task_id = copy(client, "1", "2", "3", "4", directory=directory)["data"]["taskID"]
    assert isinstance(task_id, str)
    wait_until(lambda: status(client, task_id) == 2)
    assert [file["filename"] for file in client.files(directory)] == ["a.png"]
    page = client.get(FAIL, taskID=task_id, limit="1", page="2")["data"]
    assert page == {"total": 2, "list": [{"fileId": 4, "filename": "d.png"}]}
    assert client.get(FAIL, taskID=task_id, limit="100", page="2")["data"] == {"total": 2, "list": None}


def test_an_unknown_file_fails_the_task(client: Client) -> None:
    task_id = copy(client, "7")["data"]["taskID"]
    wait_until(lambda: status(client, task_id) == 3)
    assert client.get(PROCESS, taskID=task_id)["data"]["failMsg"] == "file 7 does not exist"


def test_the_fourth_task_waits(client: Client) -> None:
    client.sandbox.configure(drive_files=FILES, copy_delay=HOUR_SECONDS)
    tasks = [copy(client, "1")["data"]["taskID"] for _ in range(4)]
    assert [status(client, task_id) for task_id in tasks] == [1, 1, 1, 4]


def test_a_task_starts_when_another_ends(client: Client) -> None:
    client.sandbox.configure(drive_files=FILES, copy_delay=0.01)
    tasks = [copy(client, "1")["data"]["taskID"] for _ in range(5)]
    wait_until(lambda: [status(client, task_id) for task_id in tasks] == [2] * 5)


def test_wrong_requests_are_refused(client: Client) -> None:
    for answer in (
        copy(client),
        copy(client, *map(str, range(101))),
        copy(client, fileIDs=[1]),
        copy(client, "1", sourceType=2),
        copy(client, "1", type=2),
        copy(client, "1", directory="nowhere"),
        client.get(PROCESS, taskID="9"),
        client.get(FAIL, taskID="9", limit="1", page="1"),
    ):
        assert answer["code"] == 1
    task_id = copy(client, "1")["data"]["taskID"]
    assert client.get(FAIL, taskID=task_id, limit="101", page="1")["code"] == 1
    assert client.get(FAIL, taskID=task_id, limit="1", page="0")["code"] == 1
