"""Waits for the outcome of a submission: one set of flows for workers and the triggerer.

Progress decides, never a callback: the service does not sign it, and it may be late, doubled or missing. But progress
names neither the image nor the reason of a failure. The reason comes from a delivery. The image is the one that a
delivery names, if it fits, and otherwise the one with the name that was sent.
"""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

from airflow_provider_123pan.download.lookup import Match
from airflow_provider_123pan.download.stored_image import find_forgotten, find_succeeded, find_unknown
from airflow_provider_123pan.download.submission import Submission
from airflow_provider_123pan.download.verdict import (
    Facts,
    Failed,
    Running,
    Succeeded,
    Unknown,
    Verdict,
    failure_reasons,
    judge,
)
from airflow_provider_123pan.download.wait_strategy import WaitStrategy
from airflow_provider_123pan.exceptions import (
    Pan123Error,
    Pan123NoDataError,
    Pan123ServiceError,
    Pan123UnavailableError,
)
from airflow_provider_123pan.service.flow import Flow, within
from airflow_provider_123pan.service.models import TaskStatus
from airflow_provider_123pan.service.protocol import MakeCall, get_offline_download
from airflow_provider_123pan.service.redaction import redact_url
from airflow_provider_123pan.service.timing import READ_RETRY_SECONDS

log = logging.getLogger(__name__)

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
    matched_by: str | None = None
    reason: str | None = None

    def __str__(self) -> str:
        """Describe the outcome for a task's log."""
        what = redact_url(self.url) if self.url else f"The image of taskID {self.taskID}"
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
    def of_match(cls, submission: Submission, match: Match) -> Outcome:
        """Return the outcome of a submission whose image was found."""
        image = match.image
        log.info("Its image is file %s (matched by %s)", image.fileID, match.matched_by)
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
            match.matched_by,
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
            if checking:
                last = deadline <= clock()
                outcome = yield from check_once(submission, deadline, strategy, clock, last=last)
                if outcome is not None:
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
    submission: Submission,
    deadline: float,
    strategy: WaitStrategy,
    clock: Clock = time.time,
    *,
    last: bool = False,
) -> Flow[Outcome | None]:
    """Check once: return the outcome, or None while there is none.

    Errors that say nothing about the offline task (429, 5xx, 401, the network) count as "not yet"; others are raised.

    :param last: the wait ends after this check, so the image is looked up even if progress reports none: the answer
        for a taskID that the service has forgotten is undocumented.
    """

    def bounded(step: Any) -> Flow[Any]:
        """Queue no call again for longer than the wait lasts, and end a listing that goes on after it.

        Any answer may quote the source URL, so errors are redacted here.
        """
        if isinstance(step, MakeCall):
            if clock() > deadline + READ_RETRY_SECONDS:
                raise Pan123UnavailableError(
                    "the wait has ended before this call", call=step.call.name, ambiguous=False
                )
            step = replace(step, retry_for=max(0.0, min(step.retry_for, deadline - clock())))
        try:
            return (yield step)
        except Pan123Error as error:
            error.reword(submission.redact(error.message))
            raise

    return within(_check_once(submission, deadline, strategy, clock, last), bounded)


def _check_once(
    submission: Submission, deadline: float, strategy: WaitStrategy, clock: Clock, last: bool
) -> Flow[Outcome | None]:
    try:
        verdict, answer = yield from _verdict(submission, deadline, strategy, clock)
        match verdict:
            case Failed(reason):
                return Outcome(submission.taskID, submission.url, reason=submission.redact(reason))
            case Succeeded():
                return (yield from _find(submission, deadline, strategy, clock))
            case Unknown(error):
                if not isinstance(error, (Pan123ServiceError, Pan123NoDataError)):
                    raise error
                match = yield from find_unknown(submission, deadline, strategy, clock, error)
                return Outcome.of_match(submission, match) if match else None
        if last and answer is TaskStatus.RUNNING:
            match = yield from find_forgotten(submission, strategy, clock)
            return Outcome.of_match(submission, match) if match else None
        return None
    except Pan123Error as error:
        if not error.transient:
            raise
        log.warning("The wait continues: %s", error)
        return None


def _verdict(
    submission: Submission, deadline: float, strategy: WaitStrategy, clock: Clock
) -> Flow[tuple[Verdict, TaskStatus | Pan123Error | None]]:
    """Poll until the answer says something: twice if the first answer is doubtful.

    :returns: the verdict, and the answer that it is about.
    """
    if submission.taskID is None:  # an earlier try that was recognized by its image
        return Succeeded(), None
    facts = Facts(
        submitted_at=submission.moment.timestamp() if submission.moment else None,
        expects_delivery=submission.callback_id is not None,
    )
    while True:
        if not (yield from strategy.acquire_poll(deadline - clock())):
            return Running(facts), None
        answer: TaskStatus | Pan123Error
        try:
            answer = (yield MakeCall(get_offline_download(submission.taskID), READ_RETRY_SECONDS)).status
        except Pan123Error as error:
            answer = error
        if answer is TaskStatus.FAILED:
            facts = replace(facts, reasons=failure_reasons((yield from strategy.deliveries())))
        verdict = judge(answer, facts, clock(), strategy.timing)
        if not isinstance(verdict, Running):
            return verdict, answer
        if isinstance(answer, Pan123Error):
            log.warning("The wait continues: %s", answer)
        if verdict.poll_at is None or verdict.poll_at > deadline:
            return verdict, answer
        facts = verdict.facts
        yield from strategy.pause(verdict.poll_at - clock())


def _find(
    submission: Submission, deadline: float, strategy: WaitStrategy, clock: Clock
) -> Flow[Outcome | None]:
    """Return the outcome of an offline task that succeeded, or None if the deadline comes before its image."""
    if submission.file_name is None:
        log.warning("No file_name was sent, so the image cannot be looked up; only the taskID is known")
        return Outcome(submission.taskID, submission.url)
    match = yield from find_succeeded(submission, deadline, strategy, clock)
    return Outcome.of_match(submission, match) if match else None
