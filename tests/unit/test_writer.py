"""Group commit, without a database."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import cast

import pytest

from airflow_provider_123pan.callbacks.delivery import Delivery, DeliveryStatus
from airflow_provider_123pan.callbacks.inbox import Inbox, Stored
from airflow_provider_123pan.callbacks.writer import UnavailableError, Writer

DELIVERY = Delivery("0" * 32, DeliveryStatus.SUCCEEDED)


class Held:
    """An inbox whose first transaction lasts until it is let go."""

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.go_on = threading.Event()

    def store(self, batch: Sequence[tuple[str, Delivery]]) -> list[Stored]:
        self.batches.append(len(batch))
        assert self.go_on.wait(20)
        return [Stored.NEW] * len(batch)


async def _stores(writer: Writer, number: int) -> list[asyncio.Task[Stored]]:
    """So many deliveries, each in the queue."""
    tasks = [asyncio.create_task(writer.store("pan123_default", DELIVERY)) for _ in range(number)]
    await asyncio.sleep(0)
    return tasks


def test_what_arrives_during_a_transaction_shares_the_next_one() -> None:
    async def run() -> None:
        inbox = Held()
        with ThreadPoolExecutor(1) as threads:
            writer = Writer(cast("Inbox", inbox), threads, lambda: None, lambda _: None)
            stores = [*await _stores(writer, 1), *await _stores(writer, 9)]
            assert not any(store.done() for store in stores)
            inbox.go_on.set()
            assert await asyncio.gather(*stores) == [Stored.NEW] * 10
        assert inbox.batches == [1, 9]

    asyncio.run(run())


def test_closing_turns_away_what_waits_and_begins_nothing_more() -> None:
    async def run() -> None:
        inbox = Held()
        with ThreadPoolExecutor(1) as threads:
            writer = Writer(cast("Inbox", inbox), threads, lambda: None, lambda _: None)
            await _stores(writer, 1)
            waiting = await _stores(writer, 2)
            writer.close()
            for store in waiting:
                with pytest.raises(UnavailableError):
                    await store
            inbox.go_on.set()
        assert inbox.batches == [1]

    asyncio.run(run())
