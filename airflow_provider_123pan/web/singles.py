"""The images of tasks with one image each, from XComs; those of failed tasks also from rendered arguments."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from airflow_provider_123pan.html_report import origin_of
from airflow_provider_123pan.service.redaction import redact_url
from airflow_provider_123pan.web.images import ShownImage
from airflow_provider_123pan.web.runs import text_in
from airflow_provider_123pan.web.tasks import Task

SENSOR = "Pan123OfflineDownloadSensor"
_RANKS = {"submitted": 0, "waiting": 0, "failed": 1, "migrated": 2}


def single_images(
    tasks: Iterable[Task],
    xcoms: Iterable[tuple[str, int, str, Any]],
    failed: Mapping[tuple[str, int], tuple[Mapping[str, Any], Mapping[str, Any]]],
) -> list[ShownImage]:
    """Return the images of tasks with one image each.

    A sensor's image replaces the one of the submission that it waited for. What has neither ended nor failed is waited
    for, unless no task waits.

    :param xcoms: task ID, map index, key and value of their return values.
    :param failed: the XComs and the rendered arguments of the failed ones, by task ID and map index.
    """
    singles = [task for task in tasks if task.is_single]
    sensors = {task.task_id for task in singles if task.operator == SENSOR}
    unresolved = "submitted"
    if any(not task.has_ended for task in singles):
        unresolved = "waiting"
    elif any(task.states["skipped"] for task in singles if task.task_id in sensors):
        unresolved = "failed"  # with soft_fail, or by a branch: which one is not known
    values = {(task_id, map_index): value for task_id, map_index, _, value in xcoms}
    found: dict[Any, ShownImage] = {}
    unmatched: list[ShownImage] = []
    for place, value in values.items():
        if isinstance(value, Mapping):
            _put(found, value, _image(value, "failed" if place in failed else unresolved, place))
    for place, (pushed, arguments) in failed.items():
        if isinstance(values.get(place), Mapping):
            continue
        value = {**_submission_in(arguments), **pushed}
        image = _image(value, "failed", place)
        if place[0] in sensors and not isinstance(value.get("taskID"), int):
            unmatched.append(image)
        else:
            _put(found, value, image)
    left = _matched_by_index(found, unmatched, failed)
    return [*found.values(), *left]


def counted(tasks: Iterable[Task], singles: Iterable[ShownImage]) -> list[Task]:
    """Return the tasks; those with one image each have the numbers of their migrated and failed images."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for image in singles:
        counts[image.task_id][image.status] += 1
    return [
        replace(task, counts=_outcomes(counts[task.task_id])) if task.is_single else task for task in tasks
    ]


def _outcomes(counts: Counter[str]) -> dict[str, int]:
    return {status: counts[status] for status in ("migrated", "failed") if counts[status]}


def _put(found: dict[Any, ShownImage], value: Mapping[str, Any], image: ShownImage) -> None:
    key = value.get("taskID")
    key = key if isinstance(key, int) else (image.task_id, image.map_index)
    known = found.get(key)
    if known is None:
        found[key] = image
    elif image.status == "migrated" or _RANKS[image.status] > _RANKS[known.status]:
        found[key] = _completed(image, known)


def _matched_by_index(
    found: dict[Any, ShownImage], unmatched: Iterable[ShownImage], failed: Mapping[tuple[str, int], Any]
) -> list[ShownImage]:
    """Replace submissions with the images of failed sensors that have the same map index, and return those left over.

    Airflow keeps the rendered arguments of the last runs only, so a failed sensor may not say what it waited for. If
    more submissions than sensors have the index, any of them may be meant, so none is replaced.
    """
    keys: dict[int, list[Any]] = defaultdict(list)
    for key, image in found.items():
        if image.status != "migrated" and (image.task_id, image.map_index) not in failed:
            keys[image.map_index].append(key)
    images: dict[int, list[ShownImage]] = defaultdict(list)
    for image in unmatched:
        images[image.map_index].append(image)
    left = []
    for index, some in images.items():
        same = keys[index] if len(keys[index]) <= len(some) else []
        for key, image in zip(same, some, strict=False):
            found[key] = _completed(image, found[key])
        left += some[len(same) :]
    return left


def _completed(image: ShownImage, known: ShownImage) -> ShownImage:
    return image._replace(
        url=image.url or known.url,
        file_name=image.file_name or known.file_name,
        directory=image.directory or known.directory,
    )


def _image(value: Mapping[str, Any], status: str, place: tuple[str, int]) -> ShownImage:
    url, new = text_in(value.get("url")), text_in(value.get("user_url")) or text_in(value.get("download_url"))
    size = value.get("size")
    return ShownImage(
        "migrated" if value.get("fileID") else status,
        redact_url(url) if url else "",
        new if new and origin_of(new) else None,
        text_in(value.get("file_name")),
        None,
        size if isinstance(size, int) else None,
        text_in(value.get("directory_id")),
        *place,
    )


def _submission_in(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return what rendered arguments say about a submission; Airflow replaces long ones by a message."""
    submission = arguments.get("submission", arguments)
    if not isinstance(submission, Mapping):
        number = str(submission).strip()
        return {"taskID": int(number)} if number.isdecimal() and len(number) <= 20 else {}
    keys = ("taskID", "url", "file_name", "directory_id")
    found = {key: submission[key] for key in keys if submission.get(key) is not None}
    if not str(found.get("url")).lower().startswith(("http://", "https://")):
        found.pop("url", None)
    return found
