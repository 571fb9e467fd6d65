"""The trigger that waits for one submission. It only reads, because a trigger may run twice."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, ClassVar

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_123pan.account.shared_client import shared_client
from airflow_provider_123pan.callbacks.client import inbox_endpoint
from airflow_provider_123pan.callbacks.delivery import Delivery
from airflow_provider_123pan.callbacks.follower import DeliveryWaiter, InboxFollower, follower_for
from airflow_provider_123pan.download.events import to_event
from airflow_provider_123pan.download.submission import Submission
from airflow_provider_123pan.download.timing import WaitTiming
from airflow_provider_123pan.download.wait import (
    Outcome,
    poke_intervals,
    wait_for_outcome,
)
from airflow_provider_123pan.exceptions import Pan123Error
from airflow_provider_123pan.service.flow import Await, Flow
from airflow_provider_123pan.service.progress_queue import ProgressQueue

log = logging.getLogger(__name__)

#: How the line in a task's log begins when a callback ends a pause.
WOKEN = "A callback woke this wait"


class Pan123OfflineDownloadTrigger(BaseTrigger):
    """Fire once: when the submission has ended, at the deadline, or at an error that ends the wait.

    :param submission: what the operator returned.
    :param pan123_conn_id: the connection, which ``run`` reads once.
    :param deadline: Unix seconds, so that a restart does not move it.
    :param poke_interval: seconds between two polls; with ``exponential_backoff`` they grow up to ``max_wait``. With a
        callback it applies only while the inbox is unreachable.
    :param silent_fail: log an error and continue.
    """

    timing: ClassVar[WaitTiming] = WaitTiming()

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
        """Return the class path and the arguments, as Airflow stores them."""
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
        """Wait, and yield the one event."""
        started = time.monotonic()
        try:
            event = to_event(await self._end(Submission.parse(self.submission)))
        except Pan123Error as error:
            event = to_event(error)
        await asyncio.sleep(max(0.0, self.timing.min_to_event - (time.monotonic() - started)))
        yield TriggerEvent(event)  # type: ignore[no-untyped-call]

    async def _end(self, submission: Submission) -> Outcome | None:
        async with shared_client(self.pan123_conn_id) as shared:
            waiter, follower = DeliveryWaiter(), None
            subscription: AbstractContextManager[None] = nullcontext()
            if submission.callback_id and (inbox := inbox_endpoint(shared.settings)):
                follower = follower_for(inbox)
                subscription = follower.subscription((submission.callback_id,), waiter)
            with subscription:
                return await shared.client.run(
                    wait_for_outcome(
                        submission,
                        self.deadline,
                        self._poking() if follower is None else self._safety_net(follower),
                        _TriggerWait(shared.queue, waiter, self.timing),
                        silent=self.silent_fail,
                        pause_first=True,  # the worker has just checked, and the follower looks up earlier deliveries
                    )
                )

    def _poking(self) -> Iterator[float]:
        return poke_intervals(self.poke_interval, self.exponential_backoff, self.max_wait)

    def _safety_net(self, follower: InboxFollower) -> Iterator[float]:
        """Yield long pauses, or those of a wait without callbacks while the inbox is unreachable."""
        poking: Iterator[float] | None = (
            None  # made when it is needed: most of the thousands of waits never need it
        )
        pause, longest = self.timing.fallback_poll
        while True:
            if not follower.reachable:
                poking = poking or self._poking()
                yield next(poking)
                continue
            yield pause * random.uniform(0.5, 1.5)
            pause = min(pause * 2, longest)


class _TriggerWait:
    """How a trigger waits: its polls queue with those of all other triggers, and a delivery ends its pause."""

    __slots__ = ("_polled_at", "_queue", "_urgent", "_waiter", "_was_woken", "timing")

    def __init__(self, queue: ProgressQueue, waiter: DeliveryWaiter, timing: WaitTiming) -> None:
        self.timing = timing
        self._waiter = waiter
        self._queue = queue
        self._polled_at = asyncio.get_running_loop().time()
        self._urgent = 0  # polls that need no place in the queue, after a delivery
        self._was_woken = False  # by a delivery, while it queued for a poll

    def acquire_poll(self, left: float) -> Flow[bool]:
        """Queue for a poll."""
        if self._urgent:  # such a poll most likely ends the wait
            self._urgent -= 1
            return True
        acquire_poll = self._queue.enqueue(self._polled_at)
        # At the deadline thousands of waits may want their last poll at once: those that get none time out.
        self._was_woken = yield from self._wait(max(left, self.timing.last_poll), acquire_poll)
        if not self._was_woken and not acquire_poll.result():
            return False
        self._polled_at = asyncio.get_running_loop().time()
        return True

    def deliveries(self) -> Flow[tuple[Delivery, ...]]:
        """Return what the follower received."""
        yield from ()
        return self._waiter.deliveries

    def pause(self, seconds: float) -> Flow[bool]:
        """Pause until a delivery, or for these seconds; a delivery that ended the queueing for a poll counts, too."""
        was_woken, self._was_woken = self._was_woken, False
        return was_woken or (yield from self._wait(seconds))

    def _wait(self, seconds: float, acquire_poll: asyncio.Future[bool] | None = None) -> Flow[bool]:
        """Wait until a delivery, until the poll may be made, or for these seconds."""
        notified: bool = yield Await(partial(self._waiter.wait, seconds, acquire_poll))
        if notified:
            log.info("%s; asking 123pan for the offline task's progress", WOKEN)
            self._urgent = len(self.timing.after_delivery)
        return notified
