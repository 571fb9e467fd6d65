"""Waits for the outcome of a submission: one set of flows for workers and the triggerer.

Progress decides, never a callback: the service does not sign it, and it may be late, doubled or missing. But progress
names neither the image nor the reason of a failure. The reason comes from a delivery. The image is the one that a
delivery names, if it fits, and otherwise the one with the name that was sent.
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
    """The outcome of a submission: the image with its URLs, or the ``reason`` why there is none.

    All fields but ``reason`` are the sensor's XCom keys; None where the service does not say.
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
        """Describe the outcome for a task's log."""
        what = self.url or f"The image of taskID {self.taskID}"
        if self.fileID is None:
            return f"{what} was fetched, but its new URL is unknown"
        return (
            f"{what} is now {self.user_url or self.download_url or f'file {self.fileID}'} ({self.size} bytes)"
        )

    def xcom(self) -> dict[str, Any]:
        """Return the sensor's XCom."""
        keys = asdict(self)
        del keys["reason"]
        return keys

    @classmethod
    def of_image(cls, submission: Submission, image: Image) -> Outcome:
        """Return the outcome of a submission whose image was found."""
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
    """Yield the seconds between two polls without end, as the base sensor's arguments of these names say."""
    factors = (2.0 ** min(n, 30) for n in itertools.count()) if exponential_backoff else itertools.repeat(1.0)
    for factor in factors:
        yield min(poke_interval * factor, max_wait or float("inf"))


def wait_for_outcome(
    submission: Submission,
    deadline: float,
    pauses: Iterator[float],
    strategy: WaitStrategy,
    *,
    pause_first: bool = False,
    silent: bool = False,
    clock: Clock = time.time,
) -> Flow[Outcome | None]:
    """Check until the submission has ended, or until the deadline.

    :param deadline: Unix seconds.
    :param pauses: seconds between two checks, without end; a delivery cuts one short.
    :param pause_first: the worker has just checked.
    :param silent: log an error and continue.
    :returns: the outcome, or None at the deadline.
    """
    soon: list[float] = []
    checking = not pause_first
    while True:
        try:
            if (
                checking
                and (outcome := (yield from check_once(submission, deadline, strategy, clock))) is not None
            ):
                return outcome
        except Pan123Error as error:
            if not silent:
                raise
            log.error("The wait continues: %s", error)
        if (left := deadline - clock()) <= 0 and checking:
            return None
        checking = True
        if (yield from strategy.pause(min(soon.pop() if soon else next(pauses), left))):
            soon = [*strategy.timing.after_delivery]


def check_once(
    submission: Submission, deadline: float, strategy: WaitStrategy, clock: Clock = time.time
) -> Flow[Outcome | None]:
    """Check once: return the outcome, or None while there is none.

    Errors that say nothing about the offline task (429, 5xx, 401, the network) count as "not yet"; others are raised.
    """

    def bounded(step: Any) -> Flow[Any]:
        """Queue no call again for longer than the wait lasts."""
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
        log.warning("The wait continues: %s", error)
        return None


def _reason(submission: Submission, left: float, strategy: WaitStrategy) -> Flow[str]:
    """Return why a download failed: only a callback says so, perhaps a little later than progress."""
    deliveries = failure_reasons((yield from strategy.deliveries()))
    if submission.callback_id and not deliveries:
        yield from strategy.pause(max(0.0, min(strategy.timing.reason_wait, left)))
        deliveries = failure_reasons((yield from strategy.deliveries()))
    return deliveries[-1] if deliveries else NO_REASON


def failure_reasons(deliveries: Iterable[Delivery]) -> list[str]:
    """Return the reasons for a failure that deliveries give, in their order."""
    return [
        delivery.reason
        for delivery in deliveries
        if delivery.status is DeliveryStatus.FAILED and delivery.reason
    ]


def _status(
    submission: Submission, deadline: float, strategy: WaitStrategy, clock: Clock
) -> Flow[TaskStatus]:
    if submission.taskID is None:  # an earlier try that was recognised by its image
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
            log.warning("Will poll again later: %s", error)
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
    """Find the image of an offline task that succeeded; it may appear late."""
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
            log.info("taskID %s succeeded; its image has not appeared yet", submission.taskID)
        yield Sleep(pause)
        waited, pause = waited + pause, min(pause * 2, 60.0)
    return Outcome.of_image(submission, (yield from with_urls(image)))
