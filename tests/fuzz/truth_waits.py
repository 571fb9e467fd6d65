"""Drives the wait for one image in a scenario of the truth fuzz."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from airflow_provider_123pan.callbacks.delivery import Delivery
from airflow_provider_123pan.download.submission import Submission
from airflow_provider_123pan.download.timing import WaitTiming
from airflow_provider_123pan.download.wait import check_once, poke_intervals, wait_for_outcome
from airflow_provider_123pan.exceptions import Pan123Error
from airflow_provider_123pan.service.exchange import exchange
from airflow_provider_123pan.service.flow import Blocking, Flow, NeedToken, Sleep, Slot, drive
from airflow_provider_123pan.service.protocol import MakeCall, Send
from tests.fuzz.truth_scenario import Scenario
from tests.fuzz.truth_service import DIRECTORY, Service, url_of
from tests.fuzz.virtual_time import VIRTUAL

TIMEOUT = 3600.0
CALLBACK_ID = "0123456789abcdef" * 2


class Killed(BaseException):
    """The worker was killed."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What the provider says of an image.

    :ivar fileID: None if it failed.
    :ivar at: when, by the service's clock in Unix seconds.
    """

    fileID: str | None
    url: str | None
    matched_by: str | None
    reason: str
    at: float


class _Throttle:
    """A throttle that never waits."""

    rate = 20.0
    full = False

    def sending(self) -> AbstractContextManager[None]:
        """Return a block for a call that waits for its answer."""
        return nullcontext()

    def accepted(self, _: object) -> None:
        """Ignore a good answer."""

    def refused(self, _: object) -> None:
        """Ignore a 429."""

    def backoff(self, refusals: int) -> float:
        """Return a short pause."""
        return 0.5 * 2.0 ** min(refusals, 5)


class Client:
    """A client that the scenario answers."""

    def __init__(self, service: Service) -> None:
        self.throttle: Any = _Throttle()
        self._service = service

    def call(self, call: Any, retry_for: float = 300.0, *, retry_too_many_for: float = 300.0) -> Any:
        return drive(
            exchange(
                call, self.throttle, retry_for, VIRTUAL.monotonic, retry_too_many_for=retry_too_many_for
            ),
            self._perform,
        )

    def run(self, flow: Flow[Any]) -> Any:
        return drive(flow, self._perform)

    def _perform(self, step: Any) -> Any:
        match step:
            case Send():
                return self._service.answer(step.call)
            case MakeCall():
                return self.call(step.call, step.retry_for)
            case Sleep():
                return VIRTUAL.sleep(step.seconds)
            case Slot():
                return None
            case NeedToken():
                return "token"
            case Blocking():
                return step.function()
        raise TypeError(step)


class _Wait:
    """How a worker or a trigger waits in a scenario.

    :param wakes: a delivery ends a pause, as in the triggerer.
    """

    timing = WaitTiming()

    def __init__(self, service: Service, callback_id: str | None, *, wakes: bool) -> None:
        self._service = service
        self._callback_id = callback_id
        self._wakes = wakes
        self._known = 0  # deliveries

    def acquire_poll(self, left: float) -> Flow[bool]:
        yield from ()
        return True

    def pause(self, seconds: float) -> Flow[bool]:
        end = VIRTUAL.now + seconds
        while self._wakes and self._callback_id:
            if (known := len(self._service.delivered({self._callback_id}))) > self._known:
                self._known = known
                return True
            coming = self._service.next_delivery(self._callback_id)
            if coming is None or coming >= end:
                break
            yield Sleep(max(0.01, coming - VIRTUAL.now))
        yield Sleep(end - VIRTUAL.now)
        return False

    def deliveries(self) -> Flow[tuple[Delivery, ...]]:
        yield from ()
        return self._service.delivered({self._callback_id}) if self._callback_id else ()


def kill_after(kills: Iterator[int]) -> None:
    """Kill this worker after so many sleeps, if another kill is left."""
    left = next(kills, None)

    def on_sleep() -> None:
        nonlocal left
        if left is not None:
            left -= 1
            if left <= 0:
                left = None
                raise Killed

    VIRTUAL.on_sleep = on_sleep


# --- the wait for one image -------------------------------------------------------------------------------


def wait_for_one(scenario: Scenario, service: Service) -> list[Answered]:
    """Wait for an image in a sensor's mode."""
    callback_id = None if scenario.callback == "none" else CALLBACK_ID
    taskID = service.submit(url_of(0), scenario.file_name(0), callback_id)
    submitted_at = datetime.fromtimestamp(VIRTUAL.now, timezone.utc).replace(microsecond=0)
    submission = Submission(
        taskID, url_of(0), scenario.file_name(0), DIRECTORY, callback_id, submitted_at.isoformat()
    )
    deadline, kills = VIRTUAL.time() + TIMEOUT, iter(scenario.kills)
    while True:
        kill_after(kills)
        try:
            outcome = (_defer if scenario.mode == "deferrable" else _poke)(
                scenario, service, submission, deadline
            )
        except Killed:
            VIRTUAL.now += 5
            continue
        except Pan123Error as error:
            return [Answered(None, None, None, f"{type(error).__name__}: {error}", VIRTUAL.now)]
        if outcome is None:
            return [Answered(None, None, None, "timeout", VIRTUAL.now)]
        if outcome.reason is not None:
            return [Answered(None, None, None, outcome.reason, VIRTUAL.now)]
        return [Answered(outcome.fileID, outcome.download_url, outcome.matched_by, "", VIRTUAL.now)]


def _poke(scenario: Scenario, service: Service, submission: Submission, deadline: float) -> Any:
    client = Client(service)
    strategy = _Wait(service, submission.callback_id, wakes=False)
    while VIRTUAL.time() < deadline:
        last = VIRTUAL.time() + scenario.poke_interval >= deadline
        outcome = client.run(check_once(submission, deadline, strategy, VIRTUAL.time, last=last))
        if outcome is not None:
            return outcome
        VIRTUAL.sleep(scenario.poke_interval)
    return None


def _defer(scenario: Scenario, service: Service, submission: Submission, deadline: float) -> Any:
    client = Client(service)
    worker = _Wait(service, submission.callback_id, wakes=False)
    first = client.run(check_once(submission, min(deadline, VIRTUAL.time() + 5), worker, VIRTUAL.time))
    if first is not None:
        return first
    pauses = poke_intervals(
        30.0 if submission.callback_id else scenario.poke_interval, bool(submission.callback_id), 300.0
    )
    strategy = _Wait(service, submission.callback_id, wakes=True)
    return client.run(
        wait_for_outcome(submission, deadline, pauses, strategy, pause_first=True, clock=VIRTUAL.time)
    )
