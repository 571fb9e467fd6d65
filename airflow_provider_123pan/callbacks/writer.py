"""Group commit: deliveries that arrive while one transaction runs share the next."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from typing import TypeAlias

from airflow_provider_123pan.callbacks import metrics
from airflow_provider_123pan.callbacks.delivery import Delivery
from airflow_provider_123pan.callbacks.inbox import Inbox, Stored

MOST_WAITING = 2000  # deliveries that wait for a transaction; more are turned away
PATIENCE = 15.0  # seconds for a transaction; then those that wait are turned away
_BATCH = 250


_Waiting: TypeAlias = tuple[str, Delivery, "asyncio.Future[Stored]"]


class UnavailableError(Exception):
    """The inbox cannot take or give anything now; later it may."""


class Writer:
    """Stores deliveries in batches, one transaction at a time, for one event loop.

    :param committed: called after each transaction that stored something.
    :param failed: called with the error of each that did not commit.
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

    async def store(self, conn_id: str, delivery: Delivery) -> Stored:
        """Returns after the commit.

        :raises UnavailableError: the queue is full, or the inbox out of order; it may have been stored all the same.
        """
        if len(self._waiting) >= MOST_WAITING:
            raise UnavailableError
        future: asyncio.Future[Stored] = asyncio.get_running_loop().create_future()
        self._waiting.append((conn_id, delivery, future))
        self._go_on()
        return await future

    def close(self) -> None:
        """Begin nothing more."""
        _turn_away(self._waiting)
        self._waiting.clear()
        if self._running:
            self._running.cancel()

    def _go_on(self) -> None:
        """Begin a transaction, if none runs and some wait."""
        if self._running or not self._waiting:
            return
        loop = asyncio.get_running_loop()
        batch = [self._waiting.popleft() for _ in range(min(_BATCH, len(self._waiting)))]
        deliveries = [(conn_id, delivery) for conn_id, delivery, _ in batch]
        # Not within the task: that would queue behind all requests that can go on, and the database stand idle.
        work = loop.run_in_executor(self._executor, self._inbox.store, deliveries)
        self._running = loop.create_task(self._end(batch, work))

    async def _end(self, batch: list[_Waiting], work: asyncio.Future[list[Stored]]) -> None:
        try:
            while not (await asyncio.wait({work}, timeout=PATIENCE))[0]:
                _turn_away([*batch, *self._waiting])
                self._waiting.clear()
            results = work.result()
        except Exception as error:
            self._failed(error)
            _turn_away(batch)
        else:
            for (*_, future), result in zip(batch, results, strict=True):
                if not future.done():  # turned away meanwhile
                    future.set_result(result)
            for what in (Stored.NEW, Stored.REPEATED):
                if number := results.count(what):
                    metrics.count(what.value, number)
            if Stored.NEW in results:
                self._committed()
        finally:
            self._running = None
            self._go_on()


def _turn_away(waiting: Iterable[_Waiting]) -> None:
    for *_, future in waiting:
        if not future.done():
            future.set_exception(UnavailableError())
