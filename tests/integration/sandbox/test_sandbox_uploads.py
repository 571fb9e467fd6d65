"""The sandbox's uploads: announcements, slices at presigned URLs, completions, and the ban on writing."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
import requests

from airflow_provider_123pan.sandbox import Sandbox
from tests.integration.sandbox.support import DETAIL, LIST, MKDIR, SOURCES, Client, wait_until

ANNOUNCE = "/upload/v1/oss/file/create"
URL = "/upload/v1/oss/file/get_upload_url"
COMPLETE = "/upload/v1/oss/file/upload_complete"
RESULT = "/upload/v1/oss/file/upload_async_result"
RED = SOURCES["red.png"]
OCTETS = {"Content-Type": "application/octet-stream"}


def announcement(content: bytes = RED, **changes: Any) -> dict[str, Any]:
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
    fields = {"parentFileID": "", "filename": "red.png", "etag": md5, "size": len(content), "type": 1}
    return fields | changes


def presigned(client: Client, upload: dict[str, Any], number: int = 1) -> str:
    url: str = client.post(URL, preuploadID=upload["preuploadID"], sliceNo=number)["data"]["presignedURL"]
    return url


def put(url: str, content: bytes, **headers: str) -> requests.Response:
    return requests.put(url, content, headers=OCTETS | headers, timeout=60)


def send(client: Client, content: bytes = RED, **changes: Any) -> dict[str, Any]:
    """Announce an image and send its slices; the announcement's data."""
    data: dict[str, Any] = client.post(ANNOUNCE, **announcement(content, **changes))["data"]
    size = data["sliceSize"]
    for number, offset in enumerate(range(0, len(content), size), 1):
        assert put(presigned(client, data, number), content[offset : offset + size]).status_code == 200
    return data


def test_an_upload_is_completed_in_the_background(client: Client) -> None:
    client.sandbox.configure(slice_size=50)
    upload = send(client)
    assert (upload["reuse"], upload["fileID"], upload["sliceSize"]) == (False, "", 50)
    assert {*"/+="} <= {*upload["preuploadID"]}
    done = client.post(COMPLETE, preuploadID=upload["preuploadID"])["data"]
    assert done == {"async": True, "completed": False, "fileID": ""}
    result = client.post(RESULT, preuploadID=upload["preuploadID"])["data"]
    stored = client.get(DETAIL, fileID=result["fileID"])["data"]
    assert (stored["filename"], stored["etag"], stored["size"]) == ("red.png", upload_etag(), len(RED))
    assert requests.get(stored["downloadURL"], timeout=60).content == RED


def upload_etag() -> str:
    etag: str = announcement()["etag"]
    return etag


def test_an_upload_may_end_at_once_or_late(client: Client) -> None:
    client.sandbox.configure(upload_end="at-once")
    upload = send(client)
    done = client.post(COMPLETE, preuploadID=upload["preuploadID"])["data"]
    assert (done["async"], done["completed"]) == (False, True)
    assert client.post(COMPLETE, preuploadID=upload["preuploadID"])["data"] == done
    client.sandbox.configure(upload_delay=0.2)
    late = send(client, SOURCES["blue.png"], filename="blue.png")
    done = client.post(COMPLETE, preuploadID=late["preuploadID"])["data"]
    assert done == {"async": True, "completed": False, "fileID": ""}
    wait_until(lambda: client.post(RESULT, preuploadID=late["preuploadID"])["data"]["completed"])


def test_known_bytes_are_reused_in_the_wanted_directory(client: Client) -> None:
    upload = send(client)
    client.post(COMPLETE, preuploadID=upload["preuploadID"])
    client.post(RESULT, preuploadID=upload["preuploadID"])
    directory = client.directory("other")
    again = client.post(ANNOUNCE, **announcement(filename="again.png", parentFileID=directory))["data"]
    assert (again["reuse"], again["preuploadID"]) == (True, "")
    stored = client.get(DETAIL, fileID=again["fileID"])["data"]
    assert (stored["filename"], stored["parentFileId"]) == ("again.png", directory)
    assert requests.get(stored["downloadURL"], timeout=60).content == RED
    client.sandbox.configure(reuse=False)
    assert client.post(ANNOUNCE, **announcement(filename="third.png"))["data"]["reuse"] is False
    counts = client.sandbox.state()["counts"]
    assert (counts["uploads"], counts["reused"]) == (1, 1)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"parentFileID": None}, "parentFileID"),
        ({"parentFileID": "nowhere"}, "nowhere"),
        ({"filename": "a:b.png"}, "filename"),
        ({"filename": "  "}, "filename"),
        ({"filename": "a" * 251 + ".png"}, "filename"),
        ({"filename": "a.avif"}, "filename"),
        ({"etag": "A" * 32}, "etag"),
        ({"etag": "a" * 31}, "etag"),
        ({"size": "7"}, "size"),
        ({"size": 0}, "size"),
        ({"size": 100 * 2**20 + 1}, "size"),
        ({"type": 2}, "type"),
    ],
)
def test_wrong_announcements_are_refused(client: Client, changes: dict[str, Any], words: str) -> None:
    answer = client.post(ANNOUNCE, **announcement(**changes))
    assert answer["code"] == 1
    assert words in answer["message"]


def test_a_taken_name_is_refused(client: Client) -> None:
    upload = send(client)
    client.post(COMPLETE, preuploadID=upload["preuploadID"])
    client.post(RESULT, preuploadID=upload["preuploadID"])
    answer = client.post(ANNOUNCE, **announcement(SOURCES["blue.png"]))
    assert (answer["code"], answer["message"]) == (5060, "该目录下文件名重复无法创建")


@pytest.mark.parametrize("header", [{"Authorization": "Bearer x"}, {"Platform": "open_platform"}])
def test_the_storage_takes_no_token(client: Client, header: dict[str, str]) -> None:
    upload = client.post(ANNOUNCE, **announcement())["data"]
    answer = put(presigned(client, upload), RED, **header)
    assert answer.status_code == 400
    assert "<Code>InvalidArgument</Code>" in answer.text


def test_the_storage_checks_what_it_takes(client: Client) -> None:
    upload = client.post(ANNOUNCE, **announcement())["data"]
    url = presigned(client, upload)
    assert put(url, RED, **{"Content-Type": "image/png"}).status_code == 403
    assert put(url.replace("partNumber=1", "partNumber=2"), RED).status_code == 403
    assert put(url[:-1], RED).status_code == 403
    assert put(url, RED[1:]).status_code == 400
    assert requests.put(url, iter([RED]), headers=OCTETS, timeout=60).status_code == 411
    assert put(url, RED).status_code == 200


def test_presigned_urls_expire(client: Client) -> None:
    client.sandbox.configure(upload_url_life=0)
    upload = client.post(ANNOUNCE, **announcement())["data"]
    answer = put(presigned(client, upload), RED)
    assert (answer.status_code, "Request has expired" in answer.text) == (403, True)


def test_only_whole_and_right_images_are_completed(client: Client) -> None:
    upload = client.post(ANNOUNCE, **announcement())["data"]
    assert "slices are missing" in client.post(COMPLETE, preuploadID=upload["preuploadID"])["message"]
    put(presigned(client, upload), bytes(len(RED)))
    assert "image format" in client.post(COMPLETE, preuploadID=upload["preuploadID"])["message"]
    upload = send(client, etag="0" * 32)
    assert "MD5" in client.post(COMPLETE, preuploadID=upload["preuploadID"])["message"]
    assert client.post(COMPLETE)["message"] == "预上传ID不能为空"
    assert "preuploadID" in client.post(RESULT, preuploadID="x")["message"]
    assert "sliceNo" in client.post(URL, preuploadID=upload["preuploadID"], sliceNo=2)["message"]
    assert client.sandbox.state()["files"] == []


def test_too_many_uploads_in_flight_ban_all_writing(client: Client) -> None:
    client.sandbox.configure(upload_cap=2, ban_seconds=3600)
    send(client)
    send(client, SOURCES["blue.png"], filename="blue.png")
    third = announcement(SOURCES["green.jpg"], filename="green.jpg")
    assert client.post(ANNOUNCE, **third)["code"] == 1
    assert client.post(MKDIR, name="a", parentID="", type=1)["code"] == 1
    assert client.post(LIST, limit=1, type=1)["code"] == 0
    assert client.sandbox.state()["counts"]["most_uploads_in_flight"] == 2


def test_a_completed_upload_is_no_longer_in_flight(client: Client) -> None:
    client.sandbox.configure(upload_cap=1, upload_end="at-once")
    for name in ("red.png", "blue.png"):
        upload = send(client, SOURCES[name], filename=name)
        assert client.post(COMPLETE, preuploadID=upload["preuploadID"])["data"]["completed"]


def test_another_account_does_not_see_an_upload(sandbox: Sandbox, client: Client) -> None:
    upload = send(client)
    sandbox.configure(accounts={sandbox.client_id: sandbox.client_secret, "other": "secret-of-the-other"})
    client.log_in(clientID="other", clientSecret="secret-of-the-other")
    assert "does not exist" in client.post(COMPLETE, preuploadID=upload["preuploadID"])["message"]
