"""The answers to the calls of an upload, and to those that move, delete and copy."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_123pan import exceptions
from airflow_provider_123pan.service import file_calls, upload_calls
from airflow_provider_123pan.service.copies import CopyFailure, CopyFailures, CopyStatus
from airflow_provider_123pan.service.protocol import Answer, Call, read
from airflow_provider_123pan.service.upload_calls import CreatedUpload, UploadResult

CREATE = upload_calls.create_upload("a.png", "", "0" * 32, 7)
URL = upload_calls.get_upload_url("pre", 1)
COMPLETE = upload_calls.complete_upload("pre")
RESULT = upload_calls.get_upload_result("pre")
SECRET = "0123456789abcdef"


def reading(call: Call[Any], data: Any) -> Any:
    return read(call, Answer(200, {}, json.dumps({"code": 0, "message": "ok", "data": data}).encode()))


@pytest.mark.parametrize(
    ("call", "data", "value"),
    [
        (CREATE, {"reuse": True, "fileID": "f=="}, CreatedUpload("f==")),
        (CREATE, {"reuse": True, "fileID": 7, "preuploadID": ""}, CreatedUpload("7")),
        (
            CREATE,
            {"reuse": False, "fileID": "", "preuploadID": "+/p=", "sliceSize": 104857600},
            CreatedUpload(None, "+/p=", 104857600),
        ),
        (
            CREATE,
            {"reuse": False, "fileID": 0, "preuploadID": "p", "sliceSize": "5"},
            CreatedUpload(None, "p", 5),
        ),
        (COMPLETE, {"async": True, "completed": False, "fileID": ""}, UploadResult(None)),
        (COMPLETE, {"async": True, "completed": False, "fileID": "f"}, UploadResult(None)),
        (COMPLETE, {"async": True, "completed": True, "fileID": "f"}, UploadResult("f")),
        (COMPLETE, {"async": False, "completed": True, "fileID": "f"}, UploadResult("f")),
        (COMPLETE, {"async": False, "fileID": "f"}, UploadResult("f")),
        (COMPLETE, {"async": False, "completed": True, "fileID": ""}, UploadResult(None)),
        (COMPLETE, {"async": False, "completed": True, "fileID": 0}, UploadResult(None)),
        (COMPLETE, {"async": False, "completed": True, "fileID": None}, UploadResult(None)),
        (RESULT, {"completed": True, "fileID": "f"}, UploadResult("f")),
        (RESULT, {"completed": True, "fileID": "0"}, UploadResult(None)),
        (RESULT, {"completed": False, "fileID": "f"}, UploadResult(None)),
        (URL, {"presignedURL": "https://s.example/a?b=%2B/c=="}, "https://s.example/a?b=%2B/c=="),
        (file_calls.move_images(["1"], "d"), None, None),
        (file_calls.delete_images(["1"]), None, None),
        (file_calls.copy_from_drive(["1"], "d"), {"taskID": "12"}, "12"),
    ],
)
def test_answers_are_read(call: Call[Any], data: Any, value: Any) -> None:
    assert reading(call, data) == value


@pytest.mark.parametrize(
    ("call", "data"),
    [
        (CREATE, {"fileID": "f"}),
        (CREATE, {"reuse": "true", "fileID": "f"}),
        (CREATE, {"reuse": True, "fileID": ""}),
        (CREATE, {"reuse": True, "fileID": 0}),
        (CREATE, {"reuse": True}),
        (CREATE, {"reuse": False, "preuploadID": "", "sliceSize": 5}),
        (CREATE, {"reuse": False, "preuploadID": "p"}),
        (CREATE, {"reuse": False, "preuploadID": "p", "sliceSize": 0}),
        (COMPLETE, {"completed": True, "fileID": "f"}),
        (COMPLETE, {"async": 0, "fileID": "f"}),
        (RESULT, {"fileID": "f"}),
        (RESULT, {"completed": 1, "fileID": "f"}),
        (RESULT, {"completed": True, "fileID": {}}),
        (URL, {}),
        (file_calls.copy_from_drive(["1"], "d"), {"taskID": 12}),
        (file_calls.copy_from_drive(["1"], "d"), {"taskID": ""}),
        (file_calls.get_copy("1"), {"status": 5}),
        (file_calls.get_copy("1"), {"status": "running"}),
        (file_calls.get_copy("1"), {}),
        (file_calls.list_copy_failures("1", 1), {"total": 1, "list": {}}),
        (file_calls.list_copy_failures("1", 1), {"list": [{"fileId": 1, "filename": "a"}]}),
        (file_calls.list_copy_failures("1", 1), {"total": 1, "list": [{"fileId": 1}]}),
        (file_calls.list_copy_failures("1", 1), {"total": 1, "list": [None]}),
    ],
)
def test_other_answers_are_errors(call: Call[Any], data: Any) -> None:
    with pytest.raises(exceptions.Pan123AnswerError, match="the answer is not understood"):
        reading(call, data)


@pytest.mark.parametrize(
    "url",
    [
        f"ftp://s.example/a?k={SECRET}",
        f"//s.example/a?k={SECRET}",
        f"https:///a?k={SECRET}",
        f"https://[::1/a?k={SECRET}",
        f"https://s.example:0/a?k={SECRET}",
        f"https://s.example:99999/a?k={SECRET}",
        f"https://s.example/a b?k={SECRET}",
        f"https://s.example/图?k={SECRET}",
        f"https://s.example/a?k={SECRET}\r\nX: y",
    ],
)
def test_no_error_quotes_a_presigned_url(url: str) -> None:
    with pytest.raises(exceptions.Pan123AnswerError, match="presignedURL") as caught:
        reading(URL, {"presignedURL": url})
    assert SECRET not in str(caught.value)


def test_nothing_shows_ids_of_uploads() -> None:
    assert SECRET not in repr(CreatedUpload(None, SECRET, 5))
    assert SECRET not in repr(upload_calls.complete_upload(SECRET))


@pytest.mark.parametrize(
    ("data", "status", "reason"),
    [
        ({"status": 1, "failMsg": ""}, CopyStatus.RUNNING, None),
        ({"status": 2}, CopyStatus.ENDED, None),
        ({"status": 3, "failMsg": "容量不足"}, CopyStatus.FAILED, "容量不足"),
        ({"status": "4", "failMsg": None}, CopyStatus.WAITING, None),
    ],
)
def test_the_states_of_a_copy(data: dict[str, Any], status: CopyStatus, reason: str | None) -> None:
    copy = reading(file_calls.get_copy("12"), data)
    assert (copy.task_id, copy.status, copy.reason) == ("12", status, reason)


def test_the_failures_of_a_copy() -> None:
    call = file_calls.list_copy_failures("12", 3)
    assert call.params == {"taskID": "12", "limit": "100", "page": "3"}
    page = reading(call, {"total": 7, "list": [{"fileId": 5, "filename": "a.png"}]})
    assert (page.total, page.failures) == (7, (CopyFailure("5", "a.png"),))
    assert reading(call, {"total": 3, "list": None}) == CopyFailures(3, ())
    assert reading(call, {"total": 3, "list": []}) == CopyFailures(3, ())
    assert reading(call, {"list": None}).total == 0


@pytest.mark.parametrize("ids", ["f1", None, 7, [], [""], ["f", "0"], [0], [None], [True], [["f"]]])
def test_wrong_ids_are_refused(ids: Any) -> None:
    with pytest.raises(exceptions.Pan123InputError, match="file_ids: "):
        file_calls.in_groups(ids)


def test_ids_are_grouped_once_each() -> None:
    groups = file_calls.in_groups([*map(str, range(1, 206)), "7"])
    assert [len(group) for group in groups] == [100, 100, 5]
    assert [file_id for group in groups for file_id in group] == [*map(str, range(1, 206))]
