"""Waits in the triggerer for the end of a submission. Only reads, since a trigger may run twice."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Iterator
from functools import partial
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_123pan.account import shared_client as shared
from airflow_provider_123pan.callbacks.client import remote_inbox
from airflow_provider_123pan.callbacks.delivery import Delivery
from airflow_provider_123pan.callbacks.follower import Hub, Waiter, hub_for
from airflow_provider_123pan.download.events import event_of
from airflow_provider_123pan.download.submission import Submission
from airflow_provider_123pan.download.wait import SOON, Outcome, intervals, wait
from airflow_provider_123pan.exceptions import Pan123Error
from airflow_provider_123pan.service.flow import Await, Flow
from airflow_provider_123pan.service.progress_queue import Questions

#: Seconds from the trigger's start to its event at least. The worker's supervisor tells of the deferral some seconds
#: late, and a task that was resumed before that is taken for a failed one by the scheduler.
EARLIEST = 5.0
LAST_TURN = 5.0  # seconds
SAFETY_NET = (30.0, 300.0)  # seconds after which a wait with a callback asks progress: the first, the longest


class Pan123OfflineDownloadTrigger(BaseTrigger):
    """Fires once, when the submission has ended, at the deadline, or at an error that ends the wait.

    :param submission: the operator's XCom.
    :param pan123_conn_id: the connection; looked up once, in ``run``.
    :param deadline: Unix seconds; absolute, so that a restart does not move it.
    :param poke_interval: seconds between two questions; grows where ``exponential_backoff``, up to ``max_wait``.
        With a callback it counts only while the inbox is out of reach.
    :param silent_fail: log an error and go on.
    """

    def __init__(
        self,
        *,
        submission: dict[str, Any],
        pan123_conn_id: str,
        deadline: float,
        poke_interval: float,
        exponential_backoff: bool = False,
        max_wait: float | None = None,
        silent_fail: bool = False,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.submission = submission
        self.pan123_conn_id = pan123_conn_id
        self.deadline = deadline
        self.poke_interval = poke_interval
        self.exponential_backoff = exponential_backoff
        self.max_wait = max_wait
        self.silent_fail = silent_fail

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "submission": self.submission,
                "pan123_conn_id": self.pan123_conn_id,
                "deadline": self.deadline,
                "poke_interval": self.poke_interval,
                "exponential_backoff": self.exponential_backoff,
                "max_wait": self.max_wait,
                "silent_fail": self.silent_fail,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        started = time.monotonic()
        try:
            event = event_of(await self._end(Submission.parse(self.submission)))
        except Pan123Error as error:
            event = event_of(error)
        await asyncio.sleep(max(0.0, EARLIEST - (time.monotonic() - started)))
        yield TriggerEvent(event)  # type: ignore[no-untyped-call]

    async def _end(self, submission: Submission) -> Outcome | None:
        with_others = await shared.join(self.pan123_conn_id)
        hub, waiter = None, Waiter()
        if submission.callback_id and (inbox := remote_inbox(with_others.settings)):
            hub = hub_for(inbox)
            hub.join(submission.callback_id, waiter)
        try:
            return await with_others.client.run(
                wait(
                    submission,
                    self.deadline,
                    self._poking() if hub is None else self._safety_net(hub),
                    _Hints(with_others.questions, waiter),
                    silent=self.silent_fail,
                    rest_first=True,  # the worker has just looked, and the hub looks for deliveries
                )
            )
        finally:
            if hub and submission.callback_id:
                hub.leave(submission.callback_id, waiter)
            await shared.leave(with_others)

    def _poking(self) -> Iterator[float]:
        return intervals(self.poke_interval, self.exponential_backoff, self.max_wait)

    def _safety_net(self, hub: Hub) -> Iterator[float]:
        """Seldom, while the inbox is in reach; else as without callbacks."""
        poking: Iterator[float] | None = None  # made when it is needed: thousands wait, and most never do
        pause, longest = SAFETY_NET
        while True:
            if not hub.reachable:
                poking = poking or self._poking()
                yield next(poking)
                continue
            yield pause * random.uniform(0.5, 1.5)
            pause = min(pause * 2, longest)


class _Hints:
    """A trigger's: it queues with all others for questions, and a delivery ends its rest."""

    __slots__ = ("_asked_at", "_questions", "_urgent", "_waiter")

    def __init__(self, questions: Questions, waiter: Waiter) -> None:
        self._waiter = waiter
        self._questions = questions
        self._asked_at = asyncio.get_running_loop().time()
        self._urgent = 0  # questions that need no turn, after a delivery

    def turn(self, left: float) -> Flow[bool]:
        if self._urgent:  # most likely such a question ends the wait: it is no cost of waiting
            self._urgent -= 1
            return True
        turn = self._questions.join(self._asked_at)
        # At the deadline thousands may want their last question at once: those that get none time out.
        if not (yield from self.rest(max(left, LAST_TURN), turn)) and not turn.result():
            return False
        self._asked_at = asyncio.get_running_loop().time()
        return True

    def deliveries(self) -> Flow[tuple[Delivery, ...]]:
        yield from ()
        return self._waiter.deliveries

    def rest(self, seconds: float, turn: asyncio.Future[bool] | None = None) -> Flow[bool]:
        rung: bool = yield Await(partial(self._waiter.rest, seconds, turn))
        if rung:
            self._urgent = len(SOON)
        return rung
