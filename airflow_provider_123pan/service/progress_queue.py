"""The queue of all progress polls in one event loop; it reserves most of the rate limit for submissions."""

from __future__ import annotations

import asyncio
import heapq
import itertools

from airflow_provider_123pan.service.throttle import FIRST_RATE, Throttle

# The share of the found rate that polls may use. Until a rate is found, polls use all of it and help to find it.
SHARE = 0.2


class ProgressQueue:
    """A queue in which the task that was polled longest ago comes first.

    :param throttle: the throttle of the account.
    :param found: requests per second that an earlier process found, or None.
    """

    def __init__(self, throttle: Throttle, *, found: float | None) -> None:
        self._throttle = throttle
        self._found = found
        self._waiting: list[tuple[float, int, asyncio.Future[bool]]] = []
        self._numbers = itertools.count()
        self._timer: asyncio.TimerHandle | None = None

    def enqueue(self, polled_at: float) -> asyncio.Future[bool]:
        """Return a future whose result becomes True as soon as the caller may poll.

        :param polled_at: time of the task's last poll, by the clock of the caller's event loop.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[bool] = loop.create_future()
        heapq.heappush(self._waiting, (polled_at, next(self._numbers), future))
        if self._timer is None:
            self._serve(loop)
        return future

    def _serve(self, loop: asyncio.AbstractEventLoop) -> None:
        """Admit one poll, and schedule the next one."""
        self._timer = None
        while self._waiting:
            *_, future = heapq.heappop(self._waiting)
            if not future.done():
                future.set_result(True)
                self._timer = loop.call_later(1 / self._rate(), self._serve, loop)
                return

    def _rate(self) -> float:
        """Return polls per second."""
        if self._throttle.learned:
            return SHARE * self._throttle.rate
        if self._found is None:
            return self._throttle.rate
        # Not the throttle's rate alone: polls are too few to be refused, so it grows with every burst.
        return SHARE * min(max(self._found, FIRST_RATE), self._throttle.rate)
