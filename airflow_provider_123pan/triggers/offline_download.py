"""Waits in the triggerer for the end of a submission. Only reads, since a trigger may run twice."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Iterator
from functools import partial
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_123pan.account import shared_client
from airflow_provider_123pan.callbacks.client import inbox_endpoint
from airflow_provider_123pan.callbacks.delivery import Delivery
from airflow_provider_123pan.callbacks.follower import DeliveryWaiter, InboxFollower, follower_for
from airflow_provider_123pan.download.events import to_event
from airflow_provider_123pan.download.submission import Submission
from airflow_provider_123pan.download.wait import (
    POLL_DELAYS_AFTER_DELIVERY,
    Outcome,
    poke_intervals,
    wait_for_outcome,
)
from airflow_provider_123pan.exceptions import Pan123Error
from airflow_provider_123pan.service.flow import Await, Flow
from airflow_provider_123pan.service.progress_queue import ProgressQueue

log = logging.getLogger(__name__)

#: Seconds from the trigger's start to its event at least. The worker's supervisor tells of the deferral some seconds
#: late, and a task that was resumed before that is taken for a failed one by the scheduler.
MIN_SECONDS_TO_EVENT = 5.0
LAST_POLL_SECONDS = 5.0  # seconds
FALLBACK_POLL_SECONDS = (
    30.0,
    300.0,
)  # seconds after which a wait with a callback asks progress: the first, the longest


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
            event = to_event(await self._end(Submission.parse(self.submission)))
        except Pan123Error as error:
            event = to_event(error)
        await asyncio.sleep(max(0.0, MIN_SECONDS_TO_EVENT - (time.monotonic() - started)))
        yield TriggerEvent(event)  # type: ignore[no-untyped-call]

    async def _end(self, submission: Submission) -> Outcome | None:
        shared = await shared_client.acquire(self.pan123_conn_id)
        follower, waiter = None, DeliveryWaiter()
        if submission.callback_id and (inbox := inbox_endpoint(shared.settings)):
            follower = follower_for(inbox)
            follower.subscribe(submission.callback_id, waiter)
        try:
            return await shared.client.run(
                wait_for_outcome(
                    submission,
                    self.deadline,
                    self._poking() if follower is None else self._safety_net(follower),
                    _TriggerWait(shared.queue, waiter),
                    silent=self.silent_fail,
                    rest_first=True,  # the worker has just checked, and the follower looks up earlier deliveries
                )
            )
        finally:
            if follower and submission.callback_id:
                follower.unsubscribe(submission.callback_id, waiter)
            await shared_client.release(shared)

    def _poking(self) -> Iterator[float]:
        return poke_intervals(self.poke_interval, self.exponential_backoff, self.max_wait)

    def _safety_net(self, follower: InboxFollower) -> Iterator[float]:
        """Seldom, while the inbox is in reach; else as without callbacks."""
        poking: Iterator[float] | None = None  # made when it is needed: thousands wait, and most never do
        pause, longest = FALLBACK_POLL_SECONDS
        while True:
            if not follower.reachable:
                poking = poking or self._poking()
                yield next(poking)
                continue
            yield pause * random.uniform(0.5, 1.5)
            pause = min(pause * 2, longest)


class _TriggerWait:
    """A trigger's: it queues with all others for questions, and a delivery ends its rest."""

    __slots__ = ("_polled_at", "_queue", "_urgent", "_waiter")

    def __init__(self, queue: ProgressQueue, waiter: DeliveryWaiter) -> None:
        self._waiter = waiter
        self._queue = queue
        self._polled_at = asyncio.get_running_loop().time()
        self._urgent = 0  # questions that need no turn, after a delivery

    def acquire_poll(self, left: float) -> Flow[bool]:
        if self._urgent:  # most likely such a question ends the wait: it is no cost of waiting
            self._urgent -= 1
            return True
        acquire_poll = self._queue.enqueue(self._polled_at)
        # At the deadline thousands may want their last question at once: those that get none time out.
        if (
            not (yield from self.pause(max(left, LAST_POLL_SECONDS), acquire_poll))
            and not acquire_poll.result()
        ):
            return False
        self._polled_at = asyncio.get_running_loop().time()
        return True

    def deliveries(self) -> Flow[tuple[Delivery, ...]]:
        yield from ()
        return self._waiter.deliveries

    def pause(self, seconds: float, acquire_poll: asyncio.Future[bool] | None = None) -> Flow[bool]:
        notified: bool = yield Await(partial(self._waiter.wait, seconds, acquire_poll))
        if notified:
            log.info("A callback woke this wait; asking 123pan for the offline task's progress")
            self._urgent = len(POLL_DELAYS_AFTER_DELIVERY)
        return notified
