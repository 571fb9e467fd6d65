"""The hook moves, deletes and copies images, many at once."""

from __future__ import annotations

import io
from typing import Any

import pytest

from airflow_provider_123pan.exceptions import Pan123AnswerError, Pan123InputError, Pan123ServiceError
from airflow_provider_123pan.hooks.pan123 import Pan123Hook
from airflow_provider_123pan.sandbox import Sandbox
from airflow_provider_123pan.service.copies import CopyFailure, CopyStatus
from dev.waiting import wait_for
from tests.integration.uploads.support import picture

pytestmark = pytest.mark.usefixtures("connect")

MOVE, DELETE, COPY = "/api/v1/oss/file/move", "/api/v1/oss/file/delete", "/api/v1/oss/source/copy"


def drive(sandbox: Sandbox, count: int, failing: int = 0) -> list[str]:
    """Put files onto the cloud drive, the first of which cannot be copied."""
    files = [
        {"file_id": str(1000 + number), "filename": f"{number}.png", "fails": number < failing}
        for number in range(count)
    ]
    sandbox.configure(drive_files=files)
    return [str(file["file_id"]) for file in files]


def copied(hook: Pan123Hook, task_id: str) -> CopyStatus:
    return wait_for(
        lambda: status if (status := hook.get_copy(task_id).status) in (2, 3) else None,
        what="the end of the copy",
        timeout=20,
        every=0.01,
    )


def requests_of(sandbox: Sandbox, path: str) -> int:
    count: int = sandbox.state()["counts"]["requests"].get(path, 0)
    return count


def test_images_are_moved_and_deleted(sandbox: Sandbox) -> None:
    hook = Pan123Hook()
    target = hook.make_directory("target").directory_id
    images = [hook.upload_image(io.BytesIO(picture(colour)), f"{colour}.png") for colour in ("red", "blue")]
    hook.move_images([image.fileID for image in images], target)
    assert [image.file_name for image in hook.list_images(target)] == ["blue.png", "red.png"]
    hook.move_images([images[0].fileID], "")
    assert [image.file_name for image in hook.list_images()] == ["red.png"]
    hook.delete_images(image.fileID for image in images)
    assert sandbox.state()["files"] == []


def test_many_images_go_in_calls_of_100(sandbox: Sandbox) -> None:
    hook, ids = Pan123Hook(), drive(sandbox, 205)
    directory = hook.make_directory("copies").directory_id
    tasks = hook.copy_from_drive([*ids, ids[0]], directory)
    assert len(tasks) == len({*tasks}) == 3
    assert [copied(hook, task_id) for task_id in tasks] == [CopyStatus.ENDED] * 3
    images = [*hook.list_images(directory)]
    assert len(images) == 205
    hook.move_images([image.fileID for image in images], "")
    assert (requests_of(sandbox, COPY), requests_of(sandbox, MOVE)) == (3, 3)
    hook.delete_images([image.fileID for image in images])
    assert requests_of(sandbox, DELETE) == 3
    assert sandbox.state()["files"] == []


def test_an_error_names_what_was_done_before(sandbox: Sandbox) -> None:
    hook, ids = Pan123Hook(), drive(sandbox, 101)
    refused = {"body": {"code": 1, "message": "no", "data": None}}
    sandbox.configure(
        answers=[
            {"path": f"{path}$", **answer}
            for path in (COPY, DELETE)
            for answer in ({"action": "pass"}, refused)
        ]
    )
    with pytest.raises(Pan123ServiceError, match=r"no; 100 of 101 were submitted before, as 1 "):
        hook.copy_from_drive(ids, "")
    copied(hook, "1")
    with pytest.raises(Pan123ServiceError, match=r"no; 100 of 101 were deleted before \(code"):
        hook.delete_images([*(image.fileID for image in hook.list_images()), "another"])


def test_a_refused_move_moves_nothing(sandbox: Sandbox) -> None:
    hook = Pan123Hook()
    image = hook.upload_image(io.BytesIO(picture()), "a.png")
    target = hook.make_directory("target").directory_id
    with pytest.raises(Pan123ServiceError, match="^move_images: file does not exist \\(code 5066"):
        hook.move_images([image.fileID, "nowhere"], target)
    assert [*hook.list_images(target)] == []


@pytest.mark.parametrize("ids", [[], "f1", [""], ["0"], [None]])
def test_an_empty_selection_is_never_sent(sandbox: Sandbox, ids: list[str]) -> None:
    hook = Pan123Hook()
    for act in (
        hook.delete_images,
        lambda ids: hook.move_images(ids, ""),
        lambda ids: hook.copy_from_drive(ids, ""),
    ):
        with pytest.raises(Pan123InputError, match="file_ids: "):
            act(ids)
    assert sandbox.state()["counts"]["requests"] == {}


def test_failures_of_a_copy_are_listed_over_pages(sandbox: Sandbox) -> None:
    hook = Pan123Hook()
    ids = drive(sandbox, 100, failing=100)
    [task_id] = hook.copy_from_drive(ids, "")
    assert copied(hook, task_id) is CopyStatus.ENDED
    failures = [*hook.list_copy_failures(task_id)]
    assert failures[0] == CopyFailure("1000", "0.png")
    assert [failure.file_id for failure in failures] == ids
    assert requests_of(sandbox, f"{COPY}/fail") == 1


def page(total: int, *numbers: int, empty: Any = ()) -> dict[str, object]:
    files = [{"fileId": number, "filename": f"{number}.png"} for number in numbers] or empty
    return {
        "path": "/copy/fail$",
        "body": {"code": 0, "message": "ok", "data": {"total": total, "list": files}},
    }


NO_PAGE: dict[str, object] = {"path": "/copy/fail$", "status": 500, "body": "no such page"}


@pytest.mark.parametrize(
    ("pages", "expected"),
    [
        ([page(3, 1, 2), page(3, 3)], ["1", "2", "3"]),
        ([page(0)], []),
        ([page(4, 1, 2), page(4), page(4, 1, 2)], ["1", "2", None, None]),
        ([page(3, 1, 2), page(3, 1, 2), NO_PAGE], ["1", "2", None]),
        ([page(2, 1, 1), page(2), NO_PAGE], ["1", None]),
        ([page(3), page(3, 1, 2, 3)], ["1", "2", "3"]),
        ([page(2, empty=None), page(2, empty=None)], [None, None]),
        ([page(3, 2), page(3), page(3, 1, 3)], ["2", "1", "3"]),
    ],
)
def test_every_failure_is_counted_whether_a_page_lists_it_or_not(
    sandbox: Sandbox, pages: list[dict[str, object]], expected: list[str | None]
) -> None:
    sandbox.configure(answers=pages)
    assert [failure.file_id for failure in Pan123Hook().list_copy_failures("1")] == expected
    assert sandbox.state()["answers_left"] == [0] * len(pages)


def test_an_absurd_number_of_failures_is_bounded(sandbox: Sandbox) -> None:
    sandbox.configure(answers=[page(10**18), NO_PAGE])
    assert len([*Pan123Hook().list_copy_failures("1")]) == 10_000


def test_a_copy_without_failures_and_a_failed_one(sandbox: Sandbox) -> None:
    hook = Pan123Hook()
    ids = drive(sandbox, 1)
    [task_id] = hook.copy_from_drive(ids, "")
    assert copied(hook, task_id) is CopyStatus.ENDED
    assert [*hook.list_copy_failures(task_id)] == []
    [task_id] = hook.copy_from_drive(["7"], "")
    assert copied(hook, task_id) is CopyStatus.FAILED
    assert hook.get_copy(task_id).reason == "file 7 does not exist"


def test_the_fourth_copy_waits(sandbox: Sandbox) -> None:
    hook = Pan123Hook()
    ids = drive(sandbox, 1)
    sandbox.configure(copy_delay=3600)
    tasks = [task for _ in range(4) for task in hook.copy_from_drive(ids, "")]
    assert [hook.get_copy(task).status for task in tasks] == [1, 1, 1, CopyStatus.WAITING]


def test_an_unknown_status_is_an_error(sandbox: Sandbox) -> None:
    body = {"code": 0, "message": "ok", "data": {"status": 9, "failMsg": ""}}
    sandbox.configure(answers=[{"path": "/process$", "body": body}])
    with pytest.raises(Pan123AnswerError, match="unknown status 9 of a copy task"):
        Pan123Hook().get_copy("1")
