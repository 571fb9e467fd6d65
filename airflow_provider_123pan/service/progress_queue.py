"""The queue of all questions about progress in one event loop, so that waiting leaves the limit to submitting."""

from __future__ import annotations

import asyncio
import heapq
import itertools

from airflow_provider_123pan.service.throttle import FIRST_RATE, Throttle

SHARE = 0.2  # of the rate that was found; until one is, questions help to find it


class ProgressQueue:
    """Gives turns, longest unasked first.

    :param found: requests a second that an earlier process found, if one did.
    """

    def __init__(self, throttle: Throttle, *, found: float | None) -> None:
        self._throttle = throttle
        self._found = found
        self._waiting: list[tuple[float, int, asyncio.Future[bool]]] = []
        self._numbers = itertools.count()
        self._timer: asyncio.TimerHandle | None = None

    def enqueue(self, polled_at: float) -> asyncio.Future[bool]:
        """Queue: the future gets True as its result when its turn has come.

        :param asked_at: when the task was asked about last, by the loop's clock.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[bool] = loop.create_future()
        heapq.heappush(self._waiting, (polled_at, next(self._numbers), future))
        if self._timer is None:
            self._serve(loop)
        return future

    def _serve(self, loop: asyncio.AbstractEventLoop) -> None:
        """Give one turn, and the next one when it is due."""
        self._timer = None
        while self._waiting:
            *_, future = heapq.heappop(self._waiting)
            if not future.done():
                future.set_result(True)
                self._timer = loop.call_later(1 / self._rate(), self._serve, loop)
                return

    def _rate(self) -> float:
        """Turns a second."""
        if self._throttle.learned:
            return SHARE * self._throttle.rate
        if self._found is None:
            return self._throttle.rate
        # Not more, though the throttle's rate grows with every burst: questions alone never meet a 429.
        return SHARE * min(max(self._found, FIRST_RATE), self._throttle.rate)
