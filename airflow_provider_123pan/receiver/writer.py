"""Group commit: deliveries that come during a transaction share the next one."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import TypeAlias

from airflow_provider_123pan.callbacks.delivery import Delivery
from airflow_provider_123pan.receiver import metrics
from airflow_provider_123pan.receiver.inbox import Inbox, StoreResult

_Pending: TypeAlias = tuple[str, Delivery, "asyncio.Future[StoreResult]"]


@dataclass(frozen=True, slots=True)
class WriterTiming:
    """The durations of a writer in seconds, and its bounds.

    :ivar max_pending: deliveries that may wait for a transaction; the writer rejects further ones.
    :ivar transaction: after this time a transaction counts as stuck, and the writer rejects all pending deliveries.
    :ivar max_batch: deliveries per transaction.
    """

    max_pending: int = 2000
    transaction: float = 15.0
    max_batch: int = 250


class UnavailableError(Exception):
    """The inbox cannot be written or read now; a later request may succeed."""


class Writer:
    """A queue of deliveries that stores them in batches, one transaction at a time, for one event loop.

    :param committed: called after each transaction that stored a new delivery.
    :param failed: called with the error of each failed transaction.
    """

    def __init__(
        self,
        inbox: Inbox,
        executor: Executor,
        committed: Callable[[], None],
        failed: Callable[[Exception], None],
        timing: WriterTiming = WriterTiming(),
    ) -> None:
        self._inbox = inbox
        self._executor = executor
        self._committed = committed
        self._failed = failed
        self._timing = timing
        self._pending: deque[_Pending] = deque()
        self._running: asyncio.Task[None] | None = None

    async def store(self, conn_id: str, delivery: Delivery) -> StoreResult:
        """Store a delivery, and return after the commit.

        :raises UnavailableError: the queue is full, or the inbox is unavailable. The delivery may have been stored.
        """
        if len(self._pending) >= self._timing.max_pending:
            raise UnavailableError
        loop = asyncio.get_running_loop()
        future: asyncio.Future[StoreResult] = loop.create_future()
        self._pending.append((conn_id, delivery, future))
        if self._running is None or self._running.done():
            self._running = loop.create_task(self._run())
        return await future

    def close(self) -> None:
        """Reject all pending deliveries, and begin no further transaction."""
        _reject(self._pending)
        self._pending.clear()
        if self._running:
            self._running.cancel()

    async def _run(self) -> None:
        """Run one transaction after another, until no delivery is pending."""
        while self._pending:
            size = min(self._timing.max_batch, len(self._pending))
            await self._transact([self._pending.popleft() for _ in range(size)])

    async def _transact(self, batch: list[_Pending]) -> None:
        deliveries = [(conn_id, delivery) for conn_id, delivery, _ in batch]
        try:
            work = asyncio.get_running_loop().run_in_executor(self._executor, self._inbox.store, deliveries)
            while not (await asyncio.wait({work}, timeout=self._timing.transaction))[0]:
                _reject([*batch, *self._pending])
                self._pending.clear()
            self._answer(batch, work.result())
        except Exception as error:
            self._failed(error)
        finally:
            _reject(batch)

    def _answer(self, batch: list[_Pending], results: list[StoreResult]) -> None:
        for (*_, future), result in zip(batch, results, strict=True):
            if not future.done():  # rejected during the transaction
                future.set_result(result)
        for result in (StoreResult.NEW, StoreResult.REPEATED):
            if number := results.count(result):
                metrics.count(result.value, number)
        if StoreResult.NEW in results:
            self._committed()


def _reject(pending: Iterable[_Pending]) -> None:
    for *_, future in pending:
        if not future.done():
            future.set_exception(UnavailableError())
