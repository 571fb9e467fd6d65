"""What became of a submission: one set of flows for the worker and the triggerer.

Progress decides, and no callback does: it is unsigned by the service, and may be late, doubled or missing. But
progress knows neither the file nor the reason of a failure. The reason comes from a delivery, and the file by the id
that a delivery names, if it is the right one, else by the name that was sent.
"""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

from airflow_provider_123pan.callbacks.delivery import Delivery, DeliveryStatus
from airflow_provider_123pan.download.lookup import find_image, with_urls
from airflow_provider_123pan.download.submission import Submission
from airflow_provider_123pan.download.wait_strategy import WaitStrategy
from airflow_provider_123pan.exceptions import (
    Pan123Error,
    Pan123InvisibleError,
    Pan123NoDataError,
    Pan123ServiceError,
    Pan123UnknownTaskError,
)
from airflow_provider_123pan.service.flow import Flow, Sleep, within
from airflow_provider_123pan.service.models import Image, TaskStatus
from airflow_provider_123pan.service.protocol import MakeCall, get_offline_download
from airflow_provider_123pan.service.timing import READ_RETRY_SECONDS

log = logging.getLogger(__name__)

NO_REASON = "123pan could not download or keep the image"

Clock = Callable[[], float]


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

    def __str__(self) -> str:
        """For the log of a task."""
        what = self.url or f"The image of taskID {self.taskID}"
        if self.fileID is None:
            return f"{what} has been fetched; nobody tells where it is"
        return (
            f"{what} is now {self.user_url or self.download_url or f'file {self.fileID}'} ({self.size} bytes)"
        )

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


def poke_intervals(
    poke_interval: float, exponential_backoff: bool, max_wait: float | None
) -> Iterator[float]:
    """Seconds between looks, without end: as the base sensor's arguments of these names say."""
    factors = (2.0 ** min(n, 30) for n in itertools.count()) if exponential_backoff else itertools.repeat(1.0)
    for factor in factors:
        yield min(poke_interval * factor, max_wait or float("inf"))


def wait_for_outcome(
    submission: Submission,
    deadline: float,
    pauses: Iterator[float],
    strategy: WaitStrategy,
    *,
    rest_first: bool = False,
    silent: bool = False,
    clock: Clock = time.time,
) -> Flow[Outcome | None]:
    """Look until the submission has ended, or until the deadline (Unix seconds): then None.

    :param pauses: seconds between two looks, without end; a delivery cuts one short.
    :param rest_first: somebody has just looked.
    :param silent: log an error and go on.
    """
    soon: list[float] = []
    looking = not rest_first
    while True:
        try:
            if (
                looking
                and (outcome := (yield from check_once(submission, deadline, strategy, clock))) is not None
            ):
                return outcome
        except Pan123Error as error:
            if not silent:
                raise
            log.error("The wait goes on: %s", error)
        if (left := deadline - clock()) <= 0 and looking:
            return None
        looking = True
        if (yield from strategy.pause(min(soon.pop() if soon else next(pauses), left))):
            soon = [*strategy.timing.after_delivery]


def check_once(
    submission: Submission, deadline: float, strategy: WaitStrategy, clock: Clock = time.time
) -> Flow[Outcome | None]:
    """Look once: the outcome, or None while there is none.

    Errors that say nothing about the task (429, 5xx, 401, the network) count as "not yet"; others are raised.
    """

    def bounded(step: Any) -> Flow[Any]:
        """No question is queued again for longer than the wait lasts."""
        if isinstance(step, MakeCall):
            step = replace(step, retry_for=max(0.0, min(step.retry_for, deadline - clock())))
        return (yield step)

    return within(_check_once(submission, deadline, strategy, clock), bounded)


def _check_once(
    submission: Submission, deadline: float, strategy: WaitStrategy, clock: Clock
) -> Flow[Outcome | None]:
    try:
        status = yield from _status(submission, deadline, strategy, clock)
        if status is TaskStatus.FAILED:
            reason = yield from _reason(submission, deadline - clock(), strategy)
            return Outcome(submission.taskID, submission.url, reason=reason)
        if status is not TaskStatus.SUCCEEDED:
            return None
        return (yield from _image(submission, deadline, strategy, clock))
    except Pan123Error as error:
        if not error.transient:
            raise
        log.warning("The wait goes on: %s", error)
        return None


def _reason(submission: Submission, left: float, strategy: WaitStrategy) -> Flow[str]:
    """Why a download failed, as only a callback tells; it may be a little slower than progress."""
    deliveries = failure_reasons((yield from strategy.deliveries()))
    if submission.callback_id and not deliveries:
        yield from strategy.pause(max(0.0, min(strategy.timing.reason_wait, left)))
        deliveries = failure_reasons((yield from strategy.deliveries()))
    return deliveries[-1] if deliveries else NO_REASON


def failure_reasons(deliveries: Iterable[Delivery]) -> list[str]:
    """Why a download failed, by those deliveries that say so."""
    return [each.reason for each in deliveries if each.status is DeliveryStatus.FAILED and each.reason]


def _status(
    submission: Submission, deadline: float, strategy: WaitStrategy, clock: Clock
) -> Flow[TaskStatus]:
    if submission.taskID is None:  # an earlier try, found again by its image
        return TaskStatus.SUCCEEDED
    if not (yield from strategy.acquire_poll(deadline - clock())):
        return TaskStatus.RUNNING
    question = MakeCall(get_offline_download(submission.taskID), READ_RETRY_SECONDS)
    try:
        return (yield question).status  # type: ignore[no-any-return]
    except (Pan123ServiceError, Pan123NoDataError) as error:
        submitted = submission.moment
        if submitted and clock() - submitted.timestamp() < strategy.timing.unknown_grace:
            return TaskStatus.RUNNING
        if clock() + strategy.timing.unknown_recheck > deadline:
            log.warning("Asked again later: %s", error)
            return TaskStatus.RUNNING
    yield Sleep(strategy.timing.unknown_recheck)
    try:
        return (yield question).status  # type: ignore[no-any-return]
    except (Pan123ServiceError, Pan123NoDataError) as error:
        if (yield from find_image(submission, strategy, settled=True)):
            return TaskStatus.SUCCEEDED
        raise Pan123UnknownTaskError(
            f"the service does not know taskID {submission.taskID} (any more), and there is no image of its name: "
            f"{error.message}",
            call=error.call,
            code=error.code,
            trace_id=error.trace_id,
        ) from error


def _image(
    submission: Submission, deadline: float, strategy: WaitStrategy, clock: Clock
) -> Flow[Outcome | None]:
    """The image of a task that succeeded; it may show up late."""
    if submission.file_name is None:
        log.warning("No file_name was sent, so the image cannot be looked up; only the taskID is known")
        return Outcome(submission.taskID, submission.url)
    waited, pause = 0.0, 1.0
    while (
        image := (yield from find_image(submission, strategy, settled=waited >= strategy.timing.settling))
    ) is None:
        if waited + pause > strategy.timing.visible_within:
            raise Pan123InvisibleError(
                f"taskID {submission.taskID} succeeded, but after {waited:.0f} s there is no image "
                f"{submission.file_name!r} in its directory; an image of the same content may be there under another "
                "name, of which the service keeps one",
                call="list_images",
            )
        if clock() + pause > deadline:
            return None
        if not waited:
            log.info("taskID %s succeeded; its image does not show up yet", submission.taskID)
        yield Sleep(pause)
        waited, pause = waited + pause, min(pause * 2, 60.0)
    return Outcome.of_image(submission, (yield from with_urls(image)))
