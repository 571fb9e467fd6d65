"""The follower of an inbox: how often it asks, and what it asks again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from airflow_provider_123pan.callbacks import follower as module
from airflow_provider_123pan.callbacks.client import InboxUnreachableError, RemoteInbox, RemotePage
from airflow_provider_123pan.callbacks.contract import MOST_ITEMS
from airflow_provider_123pan.callbacks.delivery import Delivery, DeliveryStatus
from airflow_provider_123pan.callbacks.follower import Hub, Waiter


def callback(number: int) -> str:
    return f"{number:032x}"


class Receiver:
    """Answers polls when the test says so, and look-ups at once."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.epoch = "one"
        self.polls, self.open = 0, 0
        self.looked_up: list[list[str]] = []
        self.failures: list[Exception] = []
        self.pages: asyncio.Queue[tuple[Delivery, ...]] = asyncio.Queue()
        monkeypatch.setattr(Hub, "_post", lambda hub, http, url, body: self.post(url, body))
        monkeypatch.setattr(module, "GATHER", 0.01)
        monkeypatch.setattr(module, "PAUSES", (0.01, 0.01))

    async def post(self, url: str, body: dict[str, Any]) -> RemotePage:
        if url.endswith("/lookup"):
            self.looked_up.append(body["callback_ids"])
            if self.failures:
                raise self.failures.pop()
            return RemotePage(self.epoch, 0, ())
        self.polls, self.open = self.polls + 1, self.open + 1
        assert self.open == 1
        try:
            deliveries = () if body["after"] is None else await self.pages.get()
        finally:
            self.open -= 1
        return RemotePage(self.epoch, 0, deliveries)


@pytest.fixture
async def receiver(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Receiver]:
    yield Receiver(monkeypatch)
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()


async def until(condition: Any) -> None:
    async def come() -> None:
        while not condition():  # noqa: ASYNC110 - of objects that know no events
            await asyncio.sleep(0.005)

    await asyncio.wait_for(come(), 5)


async def test_one_poll_and_few_look_ups_for_thousands(receiver: Receiver) -> None:
    hub = Hub(RemoteInbox("http://inbox", "conn", (b"key",)))
    waiters = [Waiter() for _ in range(MOST_ITEMS + 500)]
    for number, waiter in enumerate(waiters):
        hub.join(callback(number), waiter)
    await until(lambda: len(receiver.looked_up) == 2)
    assert sorted(map(len, receiver.looked_up)) == [500, MOST_ITEMS]
    receiver.pages.put_nowait((Delivery(callback(7), DeliveryStatus.SUCCEEDED),))
    await until(lambda: waiters[7].deliveries)
    assert receiver.polls <= 3
    assert len(receiver.looked_up) == 2
    assert [number for number, waiter in enumerate(waiters) if waiter.deliveries] == [7]


async def test_another_table_is_looked_through_again(receiver: Receiver) -> None:
    hub = Hub(RemoteInbox("http://inbox", "conn", (b"key",)))
    hub.join(callback(1), Waiter())
    await until(lambda: len(receiver.looked_up) == 1)
    receiver.epoch = "two"
    receiver.pages.put_nowait(())
    await until(lambda: len(receiver.looked_up) == 2)
    assert receiver.looked_up == [[callback(1)]] * 2


async def test_a_look_up_that_failed_is_made_again(receiver: Receiver) -> None:
    hub = Hub(RemoteInbox("http://inbox", "conn", (b"key",)))
    receiver.failures.append(InboxUnreachableError("away"))
    hub.join(callback(1), Waiter())
    await until(lambda: len(receiver.looked_up) == 2)
    assert receiver.looked_up == [[callback(1)]] * 2


async def test_who_has_left_is_not_looked_up(receiver: Receiver) -> None:
    hub = Hub(RemoteInbox("http://inbox", "conn", (b"key",)))
    gone, stays = Waiter(), Waiter()
    hub.join(callback(1), gone)
    hub.join(callback(2), stays)
    hub.leave(callback(1), gone)
    await until(lambda: receiver.looked_up)
    assert receiver.looked_up == [[callback(2)]]
