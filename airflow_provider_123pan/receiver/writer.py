"""Group commit: deliveries share a transaction, which begins when the event loop has nothing else to do."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from typing import TypeAlias

from airflow_provider_123pan.callbacks.delivery import Delivery
from airflow_provider_123pan.receiver import metrics
from airflow_provider_123pan.receiver.inbox import Inbox, StoreResult

MAX_WAITING = 2000  # deliveries that wait for a transaction; more are turned away
TRANSACTION_SECONDS = 15.0  # seconds for a transaction; then those that wait are turned away
_BATCH = 250
# The loop is idle if so many of its turns in a row take less than so many seconds.
_IDLE_TURNS = 5
_IDLE_TURN = 0.0002
_MAX_LULL_SECONDS = 0.25  # seconds that a transaction waits for a loop that is never idle


_Waiting: TypeAlias = tuple[str, Delivery, "asyncio.Future[StoreResult]"]


class UnavailableError(Exception):
    """The inbox cannot take or give anything now; later it may."""


class Writer:
    """Stores deliveries in batches, one transaction at a time, for one event loop.

    :param committed: called after each transaction that stored something.
    :param failed: called with the error of each that failed.
    """

    def __init__(
        self,
        inbox: Inbox,
        executor: Executor,
        committed: Callable[[], None],
        failed: Callable[[Exception], None],
    ) -> None:
        self._inbox = inbox
        self._executor = executor
        self._committed = committed
        self._failed = failed
        self._waiting: deque[_Waiting] = deque()
        self._running: asyncio.Task[None] | None = None

    async def store(self, conn_id: str, delivery: Delivery) -> StoreResult:
        """Returns after the commit.

        :raises UnavailableError: the queue is full, or the inbox out of order; it may have been stored all the same.
        """
        if len(self._waiting) >= MAX_WAITING:
            raise UnavailableError
        loop = asyncio.get_running_loop()
        future: asyncio.Future[StoreResult] = loop.create_future()
        self._waiting.append((conn_id, delivery, future))
        if self._running is None or self._running.done():
            self._running = loop.create_task(self._run())
        return await future

    def close(self) -> None:
        """Begin nothing more."""
        _turn_away(self._waiting)
        self._waiting.clear()
        if self._running:
            self._running.cancel()

    async def _run(self) -> None:
        """One transaction after the other, until none waits."""
        while self._waiting:
            await self._lull()
            await self._transact([self._waiting.popleft() for _ in range(min(_BATCH, len(self._waiting)))])

    async def _lull(self) -> None:
        """Returns when the loop is idle, a batch is full, or it took too long. Beside a busy loop, each step of a
        transaction waits for the interpreter's lock, and the loop for each step: that costs more than the steps."""
        now = time.monotonic()  # uvloop's own clock stands still for a millisecond
        end = now + _MAX_LULL_SECONDS
        idle = 0
        while idle < _IDLE_TURNS and now < end and len(self._waiting) < _BATCH:
            before = now
            await asyncio.sleep(0)
            now = time.monotonic()
            idle = idle + 1 if now - before < _IDLE_TURN else 0

    async def _transact(self, batch: list[_Waiting]) -> None:
        deliveries = [(conn_id, delivery) for conn_id, delivery, _ in batch]
        try:
            work = asyncio.get_running_loop().run_in_executor(self._executor, self._inbox.store, deliveries)
            while not (await asyncio.wait({work}, timeout=TRANSACTION_SECONDS))[0]:
                _turn_away([*batch, *self._waiting])
                self._waiting.clear()
            self._answer(batch, work.result())
        except Exception as error:
            self._failed(error)
        finally:
            _turn_away(batch)

    def _answer(self, batch: list[_Waiting], results: list[StoreResult]) -> None:
        for (*_, future), result in zip(batch, results, strict=True):
            if not future.done():  # turned away meanwhile
                future.set_result(result)
        for what in (StoreResult.NEW, StoreResult.REPEATED):
            if number := results.count(what):
                metrics.count(what.value, number)
        if StoreResult.NEW in results:
            self._committed()


def _turn_away(waiting: Iterable[_Waiting]) -> None:
    for *_, future in waiting:
        if not future.done():
            future.set_exception(UnavailableError())
