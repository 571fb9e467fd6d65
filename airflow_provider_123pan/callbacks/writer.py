"""Group commit: deliveries that arrive while one transaction runs share the next."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor

from airflow_provider_123pan.callbacks import metrics
from airflow_provider_123pan.callbacks.delivery import Delivery
from airflow_provider_123pan.callbacks.inbox import Inbox, Stored

MOST_WAITING = 2000  # deliveries that wait for a transaction; more are turned away
PATIENCE = 20.0  # seconds that a delivery waits for its commit
_BATCH = 250


class UnavailableError(Exception):
    """The inbox cannot take or give anything now; later it may."""


class Writer:
    """Stores deliveries in batches, one transaction at a time.

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
        self._waiting: deque[tuple[str, Delivery, asyncio.Future[Stored]]] = deque()
        self._arrived = asyncio.Event()

    async def store(self, conn_id: str, delivery: Delivery) -> Stored:
        """Returns after the commit.

        :raises UnavailableError: the queue is full, or the inbox out of order; it may have been stored all the same.
        """
        if len(self._waiting) >= MOST_WAITING:
            raise UnavailableError
        future: asyncio.Future[Stored] = asyncio.get_running_loop().create_future()
        self._waiting.append((conn_id, delivery, future))
        self._arrived.set()
        done, _ = await asyncio.wait({future}, timeout=PATIENCE)
        if not done:
            raise UnavailableError
        return future.result()

    async def run(self) -> None:
        """Store what arrives, for ever."""
        while True:
            await self._arrived.wait()
            batch = [self._waiting.popleft() for _ in range(min(_BATCH, len(self._waiting)))]
            if not self._waiting:
                self._arrived.clear()
            await self._commit(batch)

    async def _commit(self, batch: list[tuple[str, Delivery, asyncio.Future[Stored]]]) -> None:
        loop = asyncio.get_running_loop()
        deliveries = [(conn_id, delivery) for conn_id, delivery, _ in batch]
        try:
            results = await loop.run_in_executor(self._executor, self._inbox.store, deliveries)
        except Exception as error:
            self._failed(error)
            for *_, future in batch:
                future.set_exception(UnavailableError())
                future.exception()  # whoever gave up waiting will not look at it
            return
        for (*_, future), result in zip(batch, results, strict=True):
            future.set_result(result)
        for what in (Stored.NEW, Stored.REPEATED):
            if number := results.count(what):
                metrics.count(what.value, number)
        if Stored.NEW in results:
            self._committed()
