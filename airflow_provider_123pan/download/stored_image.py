"""Finds the stored image of an offline task that has ended, or that the service does not know."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

from airflow_provider_123pan.download.lookup import Match, Stage
from airflow_provider_123pan.download.search import ImageSearch, with_urls
from airflow_provider_123pan.download.submission import Submission
from airflow_provider_123pan.download.timing import WaitTiming
from airflow_provider_123pan.download.wait_strategy import WaitStrategy
from airflow_provider_123pan.exceptions import (
    Pan123Error,
    Pan123InvisibleError,
    Pan123UnknownTaskError,
)
from airflow_provider_123pan.service.flow import Flow, Sleep
from airflow_provider_123pan.service.models import Image

log = logging.getLogger(__name__)

_SHORT_PAUSE_SECONDS = (
    0.01  # after the end of the window, so that rounding does not make the last look too early
)

Clock = Callable[[], float]


def find_succeeded(
    submission: Submission, deadline: float, strategy: WaitStrategy, clock: Clock
) -> Flow[Match | None]:
    """Find the image of an offline task that succeeded; it may appear late, and its URLs later still.

    The service may answer a listing with any error for a while, so an error counts only if it stays.

    :param deadline: Unix seconds.
    :returns: the image with its URLs, or None if the deadline comes first.
    :raises Pan123InvisibleError: the image does not appear.
    """
    timing = strategy.timing
    search = ImageSearch(submission, timing, clock, has_succeeded=submission.taskID is not None)
    match: Match | None = None
    began = clock()
    failing_since: float | None = None
    pause, longest = timing.visible_check
    log.info("%s; looking for its image", _state(submission))
    while True:
        waited = clock() - began
        try:
            match = yield from _look(search, strategy, _stage(waited, timing))
            if match and has_url(match.image):
                return match
            failing_since = None
        except Pan123Error as error:
            failing_since = clock() if failing_since is None else failing_since
            stays = clock() - failing_since >= timing.visible_within
            if not error.transient and (stays or not error.retryable):
                raise
            log.warning("The search continues: %s", error)
        if waited >= timing.visible_within and failing_since is None:
            raise Pan123InvisibleError(_why_invisible(submission, match, waited), call="list_images")
        until_end = began + timing.visible_within - clock()
        if 0 < until_end < pause:  # the last look comes at the end of the window
            pause = until_end + _SHORT_PAUSE_SECONDS
        if clock() + pause > deadline:
            return None
        yield Sleep(pause)
        pause = min(pause * 2, longest)


def find_unknown(
    submission: Submission, deadline: float, strategy: WaitStrategy, clock: Clock, error: Pan123Error
) -> Flow[Match | None]:
    """Find the image of a taskID that the service does not know (any more).

    It is unknown whether the offline task succeeded, so only an image that is certainly new counts.

    :param error: the service's answer for the taskID.
    :returns: the image with its URLs, or None if the deadline comes first.
    :raises Pan123UnknownTaskError: there is no such image.
    """
    timing = strategy.timing
    search = ImageSearch(submission, timing, clock)
    pause, _ = timing.visible_check
    began = clock()
    while True:
        try:
            match = yield from _look(search, strategy, Stage.SETTLED)
            break
        except Pan123Error as failure:
            stays = clock() - began >= timing.unknown_recheck
            if failure.transient or stays or not failure.retryable:
                raise
            log.warning("The search continues: %s", failure)
        if clock() + pause > deadline:
            return None
        yield Sleep(pause)
    if match is None:
        raise Pan123UnknownTaskError(
            f"the service does not know taskID {submission.taskID} (any more), and there is no image of its name: "
            f"{error.message}",
            call=error.call,
            code=error.code,
            trace_id=error.trace_id,
        ) from error
    if not has_url(match.image):
        raise Pan123InvisibleError(_why_invisible(submission, match, 0.0), call="get_image")
    return match


def find_forgotten(submission: Submission, strategy: WaitStrategy, clock: Clock) -> Flow[Match | None]:
    """Find the image of an offline task that is still reported as running at the end of the wait.

    The service may answer so for a taskID that it has forgotten.
    """
    try:
        match = yield from _look(ImageSearch(submission, strategy.timing, clock), strategy, Stage.SETTLED)
    except Pan123Error as error:
        if not error.retryable:
            raise
        log.warning("The last search failed: %s", error)
        return None
    return match if match and has_url(match.image) else None


def has_url(image: Image) -> bool:
    """Return whether an image has a URL, or never will because review rejected it."""
    return image.rejected or image.download_url is not None or image.user_url is not None


def _look(search: ImageSearch, strategy: WaitStrategy, stage: Stage) -> Flow[Match | None]:
    """Look once; return the image with its URLs, if it is there and has any."""
    deliveries = yield from strategy.deliveries()
    match = yield from search.find(deliveries, stage)
    return replace(match, image=(yield from with_urls(match.image))) if match else None


def _stage(waited: float, timing: WaitTiming) -> Stage:
    if waited >= timing.visible_within:
        return Stage.FINAL
    return Stage.SETTLED if waited >= timing.settling else Stage.FIRST


def _state(submission: Submission) -> str:
    if submission.taskID is None:
        return "the submission seems to have arrived, though its answer was lost"
    return f"taskID {submission.taskID} succeeded"


def _why_invisible(submission: Submission, match: Match | None, waited: float) -> str:
    begin = (
        f"{_state(submission)}, but after {waited:.0f} s "
        if waited
        else f"taskID {submission.taskID} is unknown, and "
    )
    if match:
        return (
            f"{begin}the service gives no URL for its image {match.image.file_name!r} ({match.image.fileID})"
        )
    return (
        f"{begin}no image in its directory is certainly {submission.file_name!r}: none has that name and a date after "
        "the submission, and others are new or may be. The service keeps one of several images of the same content, "
        "perhaps under another name; a directory of its own for each run makes the search certain"
    )
