"""Where a submission's image is: progress does not know, so it is looked up in its directory."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import partial

from airflow_provider_123pan.hints import Hints
from airflow_provider_123pan.service.errors import Pan123AnswerError, Pan123ServiceError
from airflow_provider_123pan.service.flow import Flow
from airflow_provider_123pan.service.models import Image, Listing
from airflow_provider_123pan.service.protocol import Ask, get_image, list_directory
from airflow_provider_123pan.submission import Submission

DEFAULT_DIRECTORY = "来自:离线下载"
CLOCK_SKEW = timedelta(minutes=2)
PATIENCE = 30.0  # seconds for which one question is queued again: who looks, looks again later


def find(submission: Submission, hints: Hints, *, older: bool) -> Flow[Image | None]:
    """The image of a submission: the one that a delivery names, if it is that; else by its name.

    :param older: take one from before the submission, if it is the sole one: it may have been overwritten with
        its dates kept, and the dates' time zone is a guess.
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
    if since and (image := (yield from _search(directory_id, submission, since, since, older=False))):
        return image
    return (yield from _search(directory_id, submission, since, None, older=older))


def _named(fileID: str, submission: Submission, since: datetime | None) -> Flow[Image | None]:
    """The image with an id that nobody vouches for, if it is new, and in the submission's place."""
    try:
        image: Image = yield Ask(get_image(fileID), PATIENCE)
    except (Pan123ServiceError, Pan123AnswerError):
        return None  # no such image
    there = (
        image.directory_id == submission.directory_id
        if submission.directory_id
        else image.directory_name == DEFAULT_DIRECTORY
    )
    return choose([image], submission, since, older=False) if there else None


def choose(
    images: Iterable[Image], submission: Submission, since: datetime | None, *, older: bool
) -> Image | None:
    """The submission's image among those of its directory.

    First the newest of the very name, then the newest that the service renamed because the name was taken
    (``a(1).jpg``), both not older than ``since``.
    """
    name = submission.file_name or ""
    stem = re.escape(name.rpartition(".")[0])
    images = list(images)
    same = [image for image in images if image.file_name == name]
    alike = [image for image in images if re.fullmatch(rf"{stem}(\(\d+\))?\.\w+", image.file_name)]
    for candidates in (same, alike):
        fresh = [
            (image.changed_at, image)
            for image in candidates
            if since is None or (image.changed_at and image.changed_at >= since)
        ]
        if fresh:
            return max(fresh, key=lambda dated: dated[0].timestamp() if dated[0] else 0.0)[1]
    return same[0] if older and len(same) == 1 else None


def _search(
    directory_id: str,
    submission: Submission,
    since: datetime | None,
    listed_since: datetime | None,
    *,
    older: bool,
) -> Flow[Image | None]:
    """Look through a directory, as far as needed: the service is seen to list the newest first."""
    images: list[Image] = []
    for_page = partial(list_directory, directory_id, listed_since)
    last_file_id = None
    while True:
        page: Listing = yield Ask(for_page(last_file_id), PATIENCE)
        same = [image for image in page.images if image.file_name == submission.file_name]
        if since and (image := choose(same, submission, since, older=False)):
            return image
        images += page.images
        if page.last_file_id in (None, last_file_id):
            return choose(images, submission, since, older=older)
        last_file_id = page.last_file_id


def _default_directory() -> Flow[str | None]:
    last_file_id = None
    while True:
        page: Listing = yield Ask(list_directory(last_file_id=last_file_id), PATIENCE)
        for directory in page.directories:
            if directory.name == DEFAULT_DIRECTORY:
                return directory.directory_id
        if page.last_file_id in (None, last_file_id):
            return None
        last_file_id = page.last_file_id
