"""What became of a submission: one set of flows for the worker and the triggerer.

Progress decides. It knows neither the file nor the reason of a failure, so after a success the image is looked
up in its directory, by the name that was sent.
"""

from __future__ import annotations

import itertools
import logging
import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from airflow_provider_123pan.service.errors import Pan123Error, Pan123ServiceError
from airflow_provider_123pan.service.flow import Flow, Sleep
from airflow_provider_123pan.service.models import Image, TaskStatus
from airflow_provider_123pan.service.protocol import (
    PATIENCE,
    Ask,
    get_image,
    get_offline_download,
    list_directory,
)
from airflow_provider_123pan.submission import Submission

log = logging.getLogger(__name__)

DEFAULT_DIRECTORY = "来自:离线下载"
CLOCK_SKEW = timedelta(minutes=2)
KNOWN_AFTER = 60.0  # seconds within which an error for a taskID means "not yet"
ASKED_AGAIN_AFTER = 30.0  # seconds between the two errors that make a taskID unknown
VISIBLE_WITHIN = 300.0  # seconds that the file of a successful task may take to show up
OLDER_AFTER = 7.0  # seconds after which an older file of the name is taken for the one overwritten

Clock = Callable[[], float]


class Pan123DownloadFailedError(Pan123Error):
    """The service could not fetch or keep the image; a new submission may."""


class Pan123UnknownTaskError(Pan123Error):
    """The service knows the taskID no longer, and no image of its name is there."""

    retryable = False


class Pan123InvisibleError(Pan123Error):
    """The task succeeded, but its image does not show up."""


class Pan123WaitTimeoutError(Pan123Error):
    """The wait's own time-out."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of a submission: the image with its addresses, or ``reason``, why there is none.

    All but ``reason`` are the sensor's XCom keys; None where the service does not tell.
    """

    taskID: int | None
    url: str | None
    fileID: str | None = None
    file_name: str | None = None
    directory_id: str | None = None
    download_url: str | None = None
    user_url: str | None = None
    etag: str | None = None
    size: int | None = None
    reason: str | None = None

    def xcom(self) -> dict[str, Any]:
        keys = asdict(self)
        del keys["reason"]
        return keys

    @classmethod
    def of_image(cls, submission: Submission, image: Image) -> Outcome:
        return cls(
            submission.taskID,
            submission.url,
            image.fileID,
            image.file_name,
            image.directory_id,
            image.download_url,
            image.user_url,
            image.etag,
            image.size,
            reason=f"rejected by review (status {image.status})" if image.rejected else None,
        )


def intervals(poke_interval: float, exponential_backoff: bool, max_wait: float | None) -> Iterator[float]:
    """Seconds between looks, without end: as the base sensor's arguments of these names say."""
    factors = (2.0 ** min(n, 30) for n in itertools.count()) if exponential_backoff else itertools.repeat(1.0)
    for factor in factors:
        yield min(poke_interval * factor, max_wait or float("inf"))


def wait(
    submission: Submission,
    deadline: float,
    intervals: Iterable[float],
    *,
    silent: bool = False,
    clock: Clock = time.time,
) -> Flow[Outcome | None]:
    """Look until the submission has ended, or until the deadline (Unix seconds): then None.

    :param intervals: seconds between two looks, without end.
    :param silent: log an error and go on.
    """
    for interval in intervals:
        try:
            if (outcome := (yield from look(submission, deadline, clock))) is not None:
                return outcome
        except Pan123Error as error:
            if not silent:
                raise
            log.error("The wait goes on: %s", error)
        if (left := deadline - clock()) <= 0:
            break
        yield Sleep(min(interval, left))
    return None


def look(submission: Submission, deadline: float, clock: Clock = time.time) -> Flow[Outcome | None]:
    """Look once: the outcome, or None while there is none.

    Errors that say nothing about the task (429, 5xx, 401, the network) count as "not yet"; others are raised.
    """
    try:
        status = yield from _status(submission, deadline, clock)
        if status is TaskStatus.FAILED:
            return Outcome(
                submission.taskID, submission.url, reason="123pan could not download or keep the image"
            )
        if status is not TaskStatus.SUCCEEDED:
            return None
        if submission.file_name is None:
            log.warning("No file_name was sent, so the image cannot be looked up; only the taskID is known")
            return Outcome(submission.taskID, submission.url)
        return (yield from _image(submission, deadline, clock))
    except Pan123Error as error:
        if not error.transient:
            raise
        log.warning("The wait goes on: %s", error)
        return None


def _status(submission: Submission, deadline: float, clock: Clock) -> Flow[TaskStatus]:
    if submission.taskID is None:  # an earlier try, found again by its image
        return TaskStatus.SUCCEEDED
    question = Ask(get_offline_download(submission.taskID), max(1.0, min(PATIENCE, deadline - clock())))
    try:
        return (yield question).status  # type: ignore[no-any-return]
    except Pan123ServiceError as error:
        submitted = submission.moment
        if submitted and clock() - submitted.timestamp() < KNOWN_AFTER:
            return TaskStatus.RUNNING
        if clock() + ASKED_AGAIN_AFTER > deadline:
            log.warning("Asked again later: %s", error)
            return TaskStatus.RUNNING
    yield Sleep(ASKED_AGAIN_AFTER)
    try:
        return (yield question).status  # type: ignore[no-any-return]
    except Pan123ServiceError as error:
        if submission.file_name and (yield from find(submission, older=False)):
            return TaskStatus.SUCCEEDED
        raise Pan123UnknownTaskError(
            f"the service does not know taskID {submission.taskID} (any more), and there is no image of its name: "
            f"{error.message}",
            call=error.call,
            code=error.code,
            trace_id=error.trace_id,
        ) from error


def _image(submission: Submission, deadline: float, clock: Clock) -> Flow[Outcome | None]:
    """The image of a task that succeeded; it may show up late."""
    waited, pause = 0.0, 1.0
    while (image := (yield from find(submission, older=waited >= OLDER_AFTER))) is None:
        if waited + pause > VISIBLE_WITHIN:
            raise Pan123InvisibleError(
                f"taskID {submission.taskID} succeeded, but after {waited:.0f} s there is no image "
                f"{submission.file_name!r} in its directory",
                call="list_images",
            )
        if clock() + pause > deadline:
            return None
        yield Sleep(pause)
        waited, pause = waited + pause, min(pause * 2, 60.0)
    if image.download_url is None:
        image = yield Ask(get_image(image.fileID))
    return Outcome.of_image(submission, image)


def find(submission: Submission, *, older: bool) -> Flow[Image | None]:
    """The image of a submission by its name, in its directory.

    :param older: take one from before the submission, if it is the sole one: it may have been overwritten with
        its dates kept, and the dates' time zone is a guess.
    """
    directory_id = submission.directory_id or (yield from _default_directory())
    if directory_id is None:
        return None
    since = submission.moment - CLOCK_SKEW if submission.moment else None
    if since and (image := choose((yield from _images(directory_id, since)), submission, since, older=False)):
        return image
    return choose((yield from _images(directory_id)), submission, since, older=older)


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


def _default_directory() -> Flow[str | None]:
    last_file_id = None
    while True:
        page = yield Ask(list_directory(last_file_id=last_file_id))
        for directory in page.directories:
            if directory.name == DEFAULT_DIRECTORY:
                return directory.directory_id  # type: ignore[no-any-return]
        if (last_file_id := page.last_file_id) is None:
            return None


def _images(directory_id: str, since: datetime | None = None) -> Flow[list[Image]]:
    images: list[Image] = []
    last_file_id = None
    while True:
        page = yield Ask(list_directory(directory_id, since, last_file_id))
        images += page.images
        if (last_file_id := page.last_file_id) is None:
            return images
