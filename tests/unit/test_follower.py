"""The follower of an inbox: how often it asks, and what it asks again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from airflow_provider_123pan.callbacks import follower as module
from airflow_provider_123pan.callbacks.client import InboxEndpoint, InboxPage
from airflow_provider_123pan.callbacks.contract import MAX_ITEMS
from airflow_provider_123pan.callbacks.delivery import Delivery, DeliveryStatus
from airflow_provider_123pan.callbacks.follower import DeliveryWaiter, InboxFollower
from airflow_provider_123pan.exceptions import InboxUnreachableError


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
        monkeypatch.setattr(InboxFollower, "_post", lambda follower, http, url, body: self.post(url, body))
        monkeypatch.setattr(module, "GATHER_SECONDS", 0.01)
        monkeypatch.setattr(module, "RETRY_SECONDS", (0.01, 0.01))

    async def post(self, url: str, body: dict[str, Any]) -> InboxPage:
        if url.endswith("/lookup"):
            self.looked_up.append(body["callback_ids"])
            if self.failures:
                raise self.failures.pop()
            return InboxPage(self.epoch, 0, ())
        self.polls, self.open = self.polls + 1, self.open + 1
        assert self.open == 1
        try:
            deliveries = () if body["after"] is None else await self.pages.get()
        finally:
            self.open -= 1
        return InboxPage(self.epoch, 0, deliveries)


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
    follower = InboxFollower(InboxEndpoint("http://inbox", "conn", (b"key",)))
    waiters = [DeliveryWaiter() for _ in range(MAX_ITEMS + 500)]
    for number, waiter in enumerate(waiters):
        follower.subscribe(callback(number), waiter)
    await until(lambda: len(receiver.looked_up) == 2)
    assert sorted(map(len, receiver.looked_up)) == [500, MAX_ITEMS]
    receiver.pages.put_nowait((Delivery(callback(7), DeliveryStatus.SUCCEEDED),))
    await until(lambda: waiters[7].deliveries)
    assert receiver.polls <= 3
    assert len(receiver.looked_up) == 2
    assert [number for number, waiter in enumerate(waiters) if waiter.deliveries] == [7]


async def test_another_table_is_looked_through_again(receiver: Receiver) -> None:
    follower = InboxFollower(InboxEndpoint("http://inbox", "conn", (b"key",)))
    follower.subscribe(callback(1), DeliveryWaiter())
    await until(lambda: len(receiver.looked_up) == 1)
    receiver.epoch = "two"
    receiver.pages.put_nowait(())
    await until(lambda: len(receiver.looked_up) == 2)
    assert receiver.looked_up == [[callback(1)]] * 2


async def test_a_look_up_that_failed_is_made_again(receiver: Receiver) -> None:
    follower = InboxFollower(InboxEndpoint("http://inbox", "conn", (b"key",)))
    receiver.failures.append(InboxUnreachableError("away"))
    follower.subscribe(callback(1), DeliveryWaiter())
    await until(lambda: len(receiver.looked_up) == 2)
    assert receiver.looked_up == [[callback(1)]] * 2


async def test_who_has_left_is_not_looked_up(receiver: Receiver) -> None:
    follower = InboxFollower(InboxEndpoint("http://inbox", "conn", (b"key",)))
    gone, stays = DeliveryWaiter(), DeliveryWaiter()
    follower.subscribe(callback(1), gone)
    follower.subscribe(callback(2), stays)
    follower.unsubscribe(callback(1), gone)
    await until(lambda: receiver.looked_up)
    assert receiver.looked_up == [[callback(2)]]
