"""Group commit, without a database."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import cast

import pytest

from airflow_provider_123pan.callbacks.delivery import Delivery, DeliveryStatus
from airflow_provider_123pan.receiver import writer as module
from airflow_provider_123pan.receiver.inbox import Inbox, StoreResult
from airflow_provider_123pan.receiver.writer import UnavailableError, Writer

DELIVERY = Delivery("0" * 32, DeliveryStatus.SUCCEEDED)


class Held:
    """An inbox whose first transaction lasts until it is let go."""

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.go_on = threading.Event()
        self._begun = threading.Event()

    async def begun(self) -> None:
        assert await asyncio.to_thread(self._begun.wait, 20)

    def store(self, batch: Sequence[tuple[str, Delivery]]) -> list[StoreResult]:
        self.batches.append(len(batch))
        self._begun.set()
        assert self.go_on.wait(20)
        return [StoreResult.NEW] * len(batch)


@contextmanager
def writing(
    committed: Callable[[], None] = lambda: None, failed: Callable[[Exception], None] = lambda _: None
) -> Iterator[tuple[Held, Writer]]:
    """At the end its thread has ended too."""
    inbox = Held()
    with ThreadPoolExecutor(1) as threads:
        yield inbox, Writer(cast("Inbox", inbox), threads, committed, failed)


def _keep_busy() -> None:
    """What another request does to the loop."""
    time.sleep(module._IDLE_TURN * 2)


async def _stores(writer: Writer, number: int) -> list[asyncio.Task[StoreResult]]:
    """So many deliveries, each in the queue."""
    tasks = [asyncio.create_task(writer.store("pan123_default", DELIVERY)) for _ in range(number)]
    await asyncio.sleep(0)
    return tasks


async def test_what_arrives_during_a_transaction_shares_the_next_one() -> None:
    with writing() as (inbox, writer):
        stores = await _stores(writer, 1)
        await inbox.begun()
        stores += await _stores(writer, 9)
        assert not any(store.done() for store in stores)
        inbox.go_on.set()
        assert await asyncio.gather(*stores) == [StoreResult.NEW] * 10
    assert inbox.batches == [1, 9]


async def test_closing_turns_away_what_waits_and_begins_nothing_more() -> None:
    with writing() as (inbox, writer):
        await _stores(writer, 1)
        await inbox.begun()
        waiting = await _stores(writer, 2)
        writer.close()
        for store in waiting:
            with pytest.raises(UnavailableError):
                await store
        inbox.go_on.set()
    assert inbox.batches == [1]


async def test_what_arrives_while_the_loop_is_busy_shares_one_transaction(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_MAX_LULL_SECONDS", 60.0)

    with writing() as (inbox, writer):
        inbox.go_on.set()
        stores: list[asyncio.Task[StoreResult]] = []
        for _ in range(20):
            _keep_busy()
            stores += await _stores(writer, 1)
            await asyncio.sleep(0)  # a turn without work is no lull yet
        assert await asyncio.gather(*stores) == [StoreResult.NEW] * 20
    assert inbox.batches == [20]


@pytest.mark.parametrize(("most_lull", "batch"), [(0.01, 250), (60.0, 1)], ids=["long", "full"])
async def test_a_loop_that_is_never_idle_does_not_keep_a_transaction_from_its_start(
    monkeypatch: pytest.MonkeyPatch, most_lull: float, batch: int
) -> None:
    monkeypatch.setattr(module, "_MAX_LULL_SECONDS", most_lull)
    monkeypatch.setattr(module, "_BATCH", batch)

    with writing() as (inbox, writer):
        inbox.go_on.set()
        (store,) = await _stores(writer, 1)
        end = time.monotonic() + 20
        while not store.done() and time.monotonic() < end:
            _keep_busy()
            await asyncio.sleep(0)
        assert store.done()


async def test_an_error_after_the_commit_stops_no_later_transaction() -> None:
    failures: list[Exception] = []

    def committed() -> None:
        raise OSError("no route to the metrics")

    with writing(committed, failures.append) as (inbox, writer):
        stores = await _stores(writer, 1)
        await inbox.begun()
        stores += await _stores(writer, 2)
        inbox.go_on.set()
        assert await asyncio.wait_for(asyncio.gather(*stores), 20) == [StoreResult.NEW] * 3
    assert [type(error) for error in failures] == [OSError] * 2
    assert inbox.batches == [1, 2]
