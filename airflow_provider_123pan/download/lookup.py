"""Finds a submission's image in its directory, because progress does not name it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta, timezone

from airflow_provider_123pan.download.submission import Submission
from airflow_provider_123pan.download.timing import WaitTiming
from airflow_provider_123pan.download.wait_strategy import WaitStrategy
from airflow_provider_123pan.exceptions import Pan123AnswerError, Pan123ServiceError
from airflow_provider_123pan.service.flow import Flow
from airflow_provider_123pan.service.listing import DEFAULT_DIRECTORY, find_default_directory, visit_pages
from airflow_provider_123pan.service.models import Image, Listing
from airflow_provider_123pan.service.protocol import MakeCall, get_image
from airflow_provider_123pan.service.timing import READ_RETRY_SECONDS

_SPELLINGS = {"jpeg": "jpg", "tiff": "tif"}  # of one format; the service may change one into the other
_NUMBER = re.compile(r"\(\d+\)$")


def find_image(submission: Submission, strategy: WaitStrategy, *, settled: bool) -> Flow[Image | None]:
    """Find the image of a submission: the one that a delivery names, if it fits; otherwise by its name.

    :param settled: the new image has had time to appear: take also one that the service renamed, or the only one from
        before the submission. It may have been overwritten with its dates kept, and their time zone is a guess.
    """
    if submission.file_name is None:
        return None
    for delivery in (yield from strategy.deliveries()):
        if delivery.fileID and (
            image := (
                yield from _named_by_delivery(delivery.fileID, submission, strategy.timing, settled=settled)
            )
        ):
            return image
    directory_id = submission.directory_id or (yield from find_default_directory(READ_RETRY_SECONDS))
    if directory_id is None:
        return None
    if submission.moment:
        since = submission.moment - strategy.timing.clock_skew
        if image := (yield from _search(directory_id, submission, since, strategy.timing, settled=settled)):
            return image
    return (yield from _search(directory_id, submission, None, strategy.timing, settled=settled))


def with_urls(image: Image) -> Flow[Image]:
    """Return an image with its URLs, which a listing may leave out."""
    if image.download_url is not None or image.rejected:
        return image
    try:
        detail: Image = yield MakeCall(get_image(image.fileID), READ_RETRY_SECONDS)
    except (Pan123ServiceError, Pan123AnswerError):
        return image  # it was found, with or without its URLs
    return replace(image, download_url=detail.download_url, user_url=detail.user_url)


def _named_by_delivery(
    fileID: str, submission: Submission, timing: WaitTiming, *, settled: bool
) -> Flow[Image | None]:
    """Return the image that an unproven delivery names, if it is new and in the submission's directory."""
    try:
        image: Image = yield MakeCall(get_image(fileID), READ_RETRY_SECONDS)
    except (Pan123ServiceError, Pan123AnswerError):
        return None  # no such image
    there = (
        image.directory_id == submission.directory_id
        if submission.directory_id
        else image.directory_name == DEFAULT_DIRECTORY
    )
    if not there:
        return None
    if image.changed_at is None:
        submission = replace(submission, submitted_at=None)
    return choose_image([image], submission, timing, renamed=True, settled=settled)


def choose_image(
    images: Iterable[Image],
    submission: Submission,
    timing: WaitTiming,
    *,
    renamed: bool = False,
    settled: bool = False,
    older: bool = False,
) -> Image | None:
    """Choose the submission's image among those of its directory: the newest that is not older than the submission.

    First by the exact name; then, if ``renamed``, by the name that the service makes of one that is taken
    (``a(1).jpg``). Then, if ``settled``, with dates read less strictly: by clocks that differ, or as UTC. Then, if
    ``older``, the only one of these names.
    """
    stem, extension = _parts(submission.file_name or "")
    images = list(images)
    same = [image for image in images if image.file_name == submission.file_name]
    alike = [
        image
        for image in images
        if image not in same
        and (parts := _parts(image.file_name))[1] == extension
        and stem in (parts[0], _NUMBER.sub("", parts[0]))
    ]
    # How a date may be meant, the most likely first: how far its clock may be behind, and whether it is in UTC.
    readings = ((timing.same_second, False), (timing.clock_skew, False), (timing.clock_skew, True))
    for skew, read_as_utc in readings if settled else readings[:1]:
        for candidates in (same, alike if renamed else []):
            fresh = [image for image in candidates if _is_fresh(image, submission.moment, skew, read_as_utc)]
            if fresh:
                return max(fresh, key=lambda image: image.changed_at.timestamp() if image.changed_at else 0.0)
    return same[0] if older and len(same) == 1 and not alike else None


def _parts(file_name: str) -> tuple[str, str]:
    """Return stem and extension, the latter in one spelling."""
    stem, _, extension = file_name.rpartition(".")
    return stem, _SPELLINGS.get(extension.lower(), extension.lower())


def _is_fresh(image: Image, moment: datetime | None, skew: timedelta, read_as_utc: bool) -> bool:
    """Return whether an image is not older than a submission; its date is assumed to be Beijing time."""
    if moment is None:
        return True
    if (changed_at := image.changed_at) is None:
        return False
    if read_as_utc:
        changed_at = changed_at.replace(tzinfo=timezone.utc)
        if changed_at > datetime.now(timezone.utc) + skew:
            return False
    return changed_at >= moment - skew


def _search(
    directory_id: str, submission: Submission, since: datetime | None, timing: WaitTiming, *, settled: bool
) -> Flow[Image | None]:
    """Search a directory, or what is new there by the service's own filter.

    The search ends at the first match: the service lists the newest images first (observed).
    """
    images: list[Image] = []

    def visit(page: Listing) -> Image | None:
        images.extend(page.images)
        return choose_image(page.images, submission, timing) if submission.moment else None

    if image := (yield from visit_pages(directory_id, visit, since, READ_RETRY_SECONDS)):
        return image
    older = settled and since is None
    return choose_image(images, submission, timing, renamed=settled, settled=settled, older=older)
