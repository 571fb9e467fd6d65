"""Decides what an answer about progress means. The wait for one image and the sync both ask here, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from airflow_provider_123pan.callbacks.delivery import Delivery, DeliveryStatus
from airflow_provider_123pan.download.timing import WaitTiming
from airflow_provider_123pan.exceptions import (
    Pan123AnswerError,
    Pan123Error,
    Pan123NoDataError,
    Pan123RedirectError,
    Pan123ServiceError,
)
from airflow_provider_123pan.service.models import TaskStatus

NO_REASON = "123pan could not download or keep the image"


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a submission besides the answer. Moments are Unix seconds.

    :ivar submitted_at: None if unknown.
    :ivar failed_at: when an answer first reported failure.
    :ivar refused_at: when an answer first was an error for this taskID.
    :ivar reasons: why the download failed, as deliveries say, in their order.
    :ivar expects_delivery: a delivery may still bring the reason.
    :ivar one_of_many: an answer that is not understood must not end a sync, so a second one is awaited.
    """

    submitted_at: float | None = None
    failed_at: float | None = None
    refused_at: float | None = None
    reasons: tuple[str, ...] = ()
    expects_delivery: bool = False
    one_of_many: bool = False


@dataclass(frozen=True, slots=True)
class Running:
    """The offline task has not ended, as far as can be known.

    :ivar poll_at: when the next answer decides; None if the usual pause will do.
    :ivar facts: what is known from now on.
    """

    facts: Facts
    poll_at: float | None = None


@dataclass(frozen=True, slots=True)
class Succeeded:
    """The offline task succeeded; its image is looked up next."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The offline task failed.

    :ivar reason: as a delivery gave it, or :data:`NO_REASON`.
    """

    reason: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """The service does not say, and asking again does not help.

    :ivar error: its answer.
    """

    error: Pan123Error


Verdict = Running | Succeeded | Failed | Unknown


def judge(answer: TaskStatus | Pan123Error, facts: Facts, now: float, timing: WaitTiming) -> Verdict:
    """Judge an answer about progress.

    * Status 2 is success and 1 is failure, 0 and 3 mean running, whatever a delivery claims (official).
    * A failure waits a little for the delivery that has the reason, if one is expected.
    * Errors that say nothing about the task (429, 5xx, 401, 20103, no envelope, the network) mean running.
    * An error for the taskID means "not yet" at first, because the answer for an unknown taskID is undocumented.
      Later a second one, some time after the first, means unknown. So does a redirect that persists.

    :param now: Unix seconds.
    :raises Pan123Error: the error concerns the account or the connection, not this task.
    """
    match answer:
        case TaskStatus.SUCCEEDED:
            return Succeeded()
        case TaskStatus.FAILED:
            failed_at = now if facts.failed_at is None else facts.failed_at
            if facts.reasons or not facts.expects_delivery or now - failed_at >= timing.reason_wait:
                return Failed(facts.reasons[-1] if facts.reasons else NO_REASON)
            return Running(replace(facts, failed_at=failed_at), failed_at + timing.reason_wait)
        case TaskStatus():
            return Running(replace(facts, refused_at=None))
        case Pan123ServiceError() | Pan123NoDataError():
            young = facts.submitted_at is not None and now - facts.submitted_at < timing.unknown_grace
            return Running(facts) if young else _refused(answer, facts, now, timing)
        case Pan123RedirectError():
            return _refused(answer, facts, now, timing)
        case Pan123AnswerError():
            return _refused(answer, facts, now, timing) if facts.one_of_many else Unknown(answer)
        case Pan123Error(transient=True):
            return Running(facts)
    raise answer


def _refused(error: Pan123Error, facts: Facts, now: float, timing: WaitTiming) -> Running | Unknown:
    """Wait for a second error, some time after the first."""
    if facts.refused_at is None:
        return Running(replace(facts, refused_at=now), now + timing.unknown_recheck)
    if now - facts.refused_at >= timing.unknown_recheck:
        return Unknown(error)
    return Running(facts, facts.refused_at + timing.unknown_recheck)


def failure_reasons(deliveries: Iterable[Delivery]) -> tuple[str, ...]:
    """Return the reasons for a failure that deliveries give, in their order; none is proved."""
    return tuple(
        f"the callback reports: {delivery.reason}"
        for delivery in deliveries
        if delivery.status is DeliveryStatus.FAILED and delivery.reason
    )
