"""A time limit for many short steps, with one timer for all of them."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable
from typing import Any, TypeVar

_Result = TypeVar("_Result")


class TimeLimit:
    """Interrupts steps that take too long, for one event loop.

    A timer for each step would cost a delivery a tenth of its time. One timer for all of them finds a step that is too
    long at the latest when it has taken twice the limit.

    :param seconds: the limit.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._started: dict[asyncio.Task[Any], float] = {}
        self._timer: asyncio.TimerHandle | None = None

    async def run(self, step: Awaitable[_Result]) -> _Result:
        """Return the result of a step; a task runs one step at a time.

        :raises TimeoutError: the step took too long.
        """
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task
        self._started[task] = loop.time()
        if self._timer is None:
            self._timer = loop.call_later(self._seconds, self._interrupt)
        try:
            return await step
        except asyncio.CancelledError:
            if task in self._started:  # another part has cancelled the task
                raise
            if sys.version_info >= (3, 11):
                task.uncancel()
            raise TimeoutError from None
        finally:
            self._started.pop(task, None)

    def _interrupt(self) -> None:
        loop = asyncio.get_running_loop()
        latest = loop.time() - self._seconds
        for task in [task for task, started in self._started.items() if started <= latest]:
            del self._started[task]
            task.cancel()
        self._timer = loop.call_later(self._seconds, self._interrupt) if self._started else None
