"""Calls for many images at once: move, delete, and copy from the cloud drive (official: "image host")."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from airflow_provider_123pan.exceptions import Pan123InputError
from airflow_provider_123pan.service.copies import CopyFailures, CopyTask
from airflow_provider_123pan.service.fields import text_of
from airflow_provider_123pan.service.protocol import Call

#: Ids in one call, and failures on one page; the service's maximum (official).
MAX_IDS = 100
#: More pages of failures are a mistake, since a task copies at most 1,000 images (official).
MAX_FAILURE_PAGES = 100


def in_groups(file_ids: Iterable[str]) -> list[list[str]]:
    """Return ids, each once, in groups for one call each.

    :raises Pan123InputError: there is no id, or one that means no file.
    """
    if isinstance(file_ids, str) or not isinstance(file_ids, Iterable):
        raise Pan123InputError('file_ids: give a list of ids, such as ["yk6baz03t0l000d7w3…"]')
    ids = [*dict.fromkeys(str(file_id) if _is_id(file_id) else "" for file_id in file_ids)]
    if not ids:
        raise Pan123InputError("file_ids: it is empty; give at least one id")
    if "" in ids or "0" in ids:
        raise Pan123InputError("file_ids: an entry is empty, 0 or not a string; the root is not a file")
    return [ids[start : start + MAX_IDS] for start in range(0, len(ids), MAX_IDS)]


def _is_id(value: object) -> bool:
    return isinstance(value, (str, int)) and not isinstance(value, bool)


def move_images(file_ids: Sequence[str], directory_id: str) -> Call[None]:
    """Return ``POST /api/v1/oss/file/move``: moves images to a directory.

    :param file_ids: at most MAX_IDS.
    """
    return Call(
        "move_images",
        "POST",
        "/api/v1/oss/file/move",
        _no_data,
        body={"fileIDs": [*file_ids], "toParentFileID": directory_id},
    )


def delete_images(file_ids: Sequence[str]) -> Call[None]:
    """Return ``POST /api/v1/oss/file/delete``: deletes images.

    :param file_ids: at most MAX_IDS.
    """
    return Call("delete_images", "POST", "/api/v1/oss/file/delete", _no_data, body={"fileIDs": [*file_ids]})


def copy_from_drive(file_ids: Sequence[str], directory_id: str) -> Call[str]:
    """Return ``POST /api/v1/oss/source/copy``: a task that copies files from the cloud drive.

    :param file_ids: ids of the cloud drive, at most MAX_IDS.
    """
    return Call(
        "copy_from_drive",
        "POST",
        "/api/v1/oss/source/copy",
        lambda data, _: text_of(data, "taskID"),
        body={"fileIDs": [*file_ids], "toParentFileID": directory_id, "sourceType": 1, "type": 1},
    )


def get_copy(task_id: str) -> Call[CopyTask]:
    """Return ``GET /api/v1/oss/source/copy/process``: the progress of such a task."""
    return Call(
        "get_copy",
        "GET",
        "/api/v1/oss/source/copy/process",
        lambda data, _: CopyTask.parse(data, task_id),
        params={"taskID": task_id},
        reads=True,
    )


def list_copy_failures(task_id: str, page: int) -> Call[CopyFailures]:
    """Return ``GET /api/v1/oss/source/copy/fail``: one page of the files that such a task did not copy.

    :param page: from 1, or from 0 (undocumented).
    """
    return Call(
        "list_copy_failures",
        "GET",
        "/api/v1/oss/source/copy/fail",
        lambda data, _: CopyFailures.parse(data),
        params={"taskID": task_id, "limit": str(MAX_IDS), "page": str(page)},
        reads=True,
    )


def _no_data(data: Any, answer: object) -> None:
    """Accept what a call answers that has nothing to say: null (official)."""
