"""Group commit, without a database."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, cast

import pytest

from airflow_provider_123pan.callbacks.delivery import Delivery, DeliveryStatus
from airflow_provider_123pan.receiver.inbox import Inbox, StoreResult
from airflow_provider_123pan.receiver.writer import UnavailableError, Writer, WriterTiming

DELIVERY = Delivery("0" * 32, DeliveryStatus.SUCCEEDED)


class BlockedInbox:
    """An inbox whose transactions last until the test releases them."""

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.released = threading.Event()
        self._begun = threading.Event()

    async def begun(self) -> None:
        """Wait for the first transaction."""
        assert await asyncio.to_thread(self._begun.wait, 60)

    def store(self, batch: Sequence[tuple[str, Delivery]]) -> list[StoreResult]:
        """Record the size of a batch, and block."""
        self.batches.append(len(batch))
        self._begun.set()
        assert self.released.wait(60)
        return [StoreResult.NEW] * len(batch)


@contextmanager
def writing(
    committed: Callable[[], None] = lambda: None,
    failed: Callable[[Exception], None] = lambda _: None,
    **arguments: Any,
) -> Iterator[tuple[BlockedInbox, Writer]]:
    """Run a writer, and join its thread at the end."""
    inbox = BlockedInbox()
    with ThreadPoolExecutor(1) as threads:
        yield inbox, Writer(cast("Inbox", inbox), threads, committed, failed, **arguments)


async def _stores(writer: Writer, number: int) -> list[asyncio.Task[StoreResult]]:
    """Put deliveries into the queue."""
    tasks = [asyncio.create_task(writer.store("pan123_default", DELIVERY)) for _ in range(number)]
    await asyncio.sleep(0)
    return tasks


async def test_deliveries_that_arrive_during_a_transaction_share_the_next_one() -> None:
    with writing() as (inbox, writer):
        stores = await _stores(writer, 1)
        await inbox.begun()
        stores += await _stores(writer, 9)
        assert not any(store.done() for store in stores)
        inbox.released.set()
        assert await asyncio.gather(*stores) == [StoreResult.NEW] * 10
    assert inbox.batches == [1, 9]


async def test_closing_rejects_pending_deliveries_and_begins_no_transaction() -> None:
    with writing() as (inbox, writer):
        await _stores(writer, 1)
        await inbox.begun()
        pending = await _stores(writer, 2)
        writer.close()
        for store in pending:
            with pytest.raises(UnavailableError):
                await store
        inbox.released.set()
    assert inbox.batches == [1]


async def test_a_transaction_holds_a_bounded_number_of_deliveries() -> None:
    with writing(timing=WriterTiming(max_batch=2)) as (inbox, writer):
        inbox.released.set()
        stores = await _stores(writer, 5)
        assert await asyncio.gather(*stores) == [StoreResult.NEW] * 5
    assert inbox.batches == [2, 2, 1]


async def test_an_error_after_the_commit_prevents_no_later_transaction() -> None:
    failures: list[Exception] = []

    def committed() -> None:
        raise OSError("no route to the metrics")

    with writing(committed, failures.append) as (inbox, writer):
        stores = await _stores(writer, 1)
        await inbox.begun()
        stores += await _stores(writer, 2)
        inbox.released.set()
        assert await asyncio.wait_for(asyncio.gather(*stores), 60) == [StoreResult.NEW] * 3
    assert [type(error) for error in failures] == [OSError] * 2
    assert inbox.batches == [1, 2]
