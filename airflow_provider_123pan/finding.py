"""Where a submission's image is: progress does not know, so it is looked up in its directory."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from functools import partial

from airflow_provider_123pan.hints import Hints
from airflow_provider_123pan.service.errors import Pan123AnswerError, Pan123ServiceError
from airflow_provider_123pan.service.flow import Flow
from airflow_provider_123pan.service.models import Image, Listing
from airflow_provider_123pan.service.protocol import Ask, get_image, list_directory
from airflow_provider_123pan.submission import Submission

DEFAULT_DIRECTORY = "来自:离线下载"
CLOCK_SKEW = timedelta(minutes=2)
LOOK = 30.0  # seconds for which one question is queued again: who looks, looks again later


def find(submission: Submission, hints: Hints, *, settled: bool) -> Flow[Image | None]:
    """The image of a submission: the one that a delivery names, if it is that; else by its name.

    :param settled: the new one had its time to show up: take also one that the service renamed, or the sole one
        from before the submission. It may have been overwritten with its dates kept, and their time zone is a guess.
    """
    if submission.file_name is None:
        return None
    since = submission.moment - CLOCK_SKEW if submission.moment else None
    for delivery in (yield from hints.deliveries()):
        if delivery.fileID and (image := (yield from _named(delivery.fileID, submission, since))):
            return image
    directory_id = submission.directory_id or (yield from _default_directory())
    if directory_id is None:
        return None
    if since and (image := (yield from _search(directory_id, submission, since, since, settled=settled))):
        return image
    return (yield from _search(directory_id, submission, since, None, settled=settled))


def _named(fileID: str, submission: Submission, since: datetime | None) -> Flow[Image | None]:
    """The image with an id that nobody vouches for, if it is new, and in the submission's place."""
    try:
        image: Image = yield Ask(get_image(fileID), LOOK)
    except (Pan123ServiceError, Pan123AnswerError):
        return None  # no such image
    there = (
        image.directory_id == submission.directory_id
        if submission.directory_id
        else image.directory_name == DEFAULT_DIRECTORY
    )
    return choose([image], submission, since, renamed=True, older=False) if there else None


def choose(
    images: Iterable[Image], submission: Submission, since: datetime | None, *, renamed: bool, older: bool
) -> Image | None:
    """The submission's image among those of its directory.

    First the newest of the very name; then, where ``renamed``, the newest that the service renamed because the name
    was taken (``a(1).jpg``), both not older than ``since``; then, where ``older``, the same with dates read as UTC's;
    then the sole one of these names.
    """
    stem, dot, extension = (submission.file_name or "").rpartition(".")
    pattern = re.compile(rf"{re.escape(stem)}\(\d+\){re.escape(dot + extension)}")
    images = list(images)
    same = [image for image in images if image.file_name == submission.file_name]
    taken = [image for image in images if pattern.fullmatch(image.file_name)]
    for read_as_utc in (False, True) if older else (False,):
        for candidates in (same, taken if renamed else []):
            if fresh := [image for image in candidates if _is_fresh(image, since, read_as_utc)]:
                return max(fresh, key=lambda image: image.changed_at.timestamp() if image.changed_at else 0.0)
    return same[0] if older and len(same) == 1 and not taken else None


def _is_fresh(image: Image, since: datetime | None, read_as_utc: bool) -> bool:
    """Whether an image is not older than ``since``; that its date is Beijing's is presumed, and it may be UTC's."""
    if since is None:
        return True
    if (changed_at := image.changed_at) is None:
        return False
    if read_as_utc:
        changed_at = changed_at.replace(tzinfo=timezone.utc)
        return since <= changed_at <= datetime.now(timezone.utc) + CLOCK_SKEW
    return changed_at >= since


def _search(
    directory_id: str,
    submission: Submission,
    since: datetime | None,
    listed_since: datetime | None,
    *,
    settled: bool,
) -> Flow[Image | None]:
    """Look through a directory, as far as needed: the service is seen to list the newest first."""
    images: list[Image] = []
    for_page = partial(list_directory, directory_id, listed_since)
    last_file_id, seen = None, set[str | None]()
    while True:
        page: Listing = yield Ask(for_page(last_file_id), LOOK)
        same = [image for image in page.images if image.file_name == submission.file_name]
        if since and (image := choose(same, submission, since, renamed=False, older=False)):
            return image
        images += page.images
        seen.add(last_file_id)
        if (last_file_id := page.last_file_id) is None or last_file_id in seen:
            return choose(images, submission, since, renamed=settled, older=settled and listed_since is None)


def _default_directory() -> Flow[str | None]:
    last_file_id = None
    while True:
        page: Listing = yield Ask(list_directory(last_file_id=last_file_id), LOOK)
        for directory in page.directories:
            if directory.name == DEFAULT_DIRECTORY:
                return directory.directory_id
        if page.last_file_id in (None, last_file_id):
            return None
        last_file_id = page.last_file_id
