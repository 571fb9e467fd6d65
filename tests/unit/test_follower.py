"""The follower of an inbox: which requests it makes, and which of them it repeats."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from airflow_provider_123pan.callbacks.client import InboxEndpoint
from airflow_provider_123pan.callbacks.contract import MARKER, MAX_ITEMS
from airflow_provider_123pan.callbacks.delivery import Delivery, DeliveryStatus
from airflow_provider_123pan.callbacks.follower import (
    DeliveryWaiter,
    FollowerTiming,
    InboxFollower,
    WakeWaiter,
)

TIMING = FollowerTiming(gather=0.01, retry=(0.01, 0.01))


def callback(number: int) -> str:
    """Return a callback_id."""
    return f"{number:032x}"


class Inbox:
    """Answers look-ups immediately, and a long poll when the test provides a page."""

    def __init__(self) -> None:
        self.epoch = "one"
        self.polls, self.open = 0, 0
        self.lookups: list[list[str]] = []
        self.failures: list[Exception] = []
        self.pages: asyncio.Queue[tuple[Delivery, ...]] = asyncio.Queue()

    async def answer(self, request: httpx.Request) -> httpx.Response:
        """Answer a request of the follower."""
        body = json.loads(request.content)
        deliveries: tuple[Delivery, ...] = ()
        if request.url.path.endswith("/lookup"):
            self.lookups.append(body["callback_ids"])
            if self.failures:
                raise self.failures.pop()
        else:
            self.polls, self.open = self.polls + 1, self.open + 1
            assert self.open == 1
            try:
                if body["after"] is not None:
                    deliveries = await self.pages.get()
            finally:
                self.open -= 1
        page = {"epoch": self.epoch, "last": 0, "deliveries": [found.as_dict() for found in deliveries]}
        return httpx.Response(200, json=page, headers={MARKER: "1"})


@pytest.fixture
async def inbox() -> AsyncIterator[Inbox]:
    """Return an inbox, and end its followers after the test."""
    yield Inbox()
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()


@pytest.fixture
def follower(inbox: Inbox) -> InboxFollower:
    """Return a follower of the inbox with short pauses."""
    endpoint = InboxEndpoint("http://inbox", "conn", (b"key",))
    return InboxFollower(endpoint, TIMING, httpx.MockTransport(inbox.answer))


async def until(condition: Callable[[], Any]) -> None:
    """Wait for a condition."""

    async def poll() -> None:
        while not condition():  # noqa: ASYNC110 - the objects have no events
            await asyncio.sleep(0.005)

    await asyncio.wait_for(poll(), 60)


async def test_thousands_of_waits_cost_one_poll_and_few_lookups(
    inbox: Inbox, follower: InboxFollower
) -> None:
    waiters = [DeliveryWaiter() for _ in range(MAX_ITEMS + 500)]
    with ExitStack() as subscriptions:
        for number, waiter in enumerate(waiters):
            subscriptions.enter_context(follower.subscription([callback(number)], waiter))
        await until(lambda: len(inbox.lookups) == 2)
        assert sorted(map(len, inbox.lookups)) == [500, MAX_ITEMS]
        inbox.pages.put_nowait((Delivery(callback(7), DeliveryStatus.SUCCEEDED),))
        await until(lambda: waiters[7].deliveries)
    assert inbox.polls <= 3
    assert len(inbox.lookups) == 2
    assert [number for number, waiter in enumerate(waiters) if waiter.deliveries] == [7]


async def test_callbacks_are_looked_up_again_in_another_table(inbox: Inbox, follower: InboxFollower) -> None:
    with follower.subscription([callback(1)], DeliveryWaiter()):
        await until(lambda: len(inbox.lookups) == 1)
        inbox.epoch = "two"
        inbox.pages.put_nowait(())
        await until(lambda: len(inbox.lookups) == 2)
    assert inbox.lookups == [[callback(1)]] * 2


@pytest.mark.parametrize("error", [httpx.ConnectError("unreachable"), ssl.SSLError("bad record mac")])
async def test_a_failed_lookup_is_repeated(
    inbox: Inbox, follower: InboxFollower, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    inbox.failures.append(error)
    with follower.subscription([callback(1)], DeliveryWaiter()):
        await until(lambda: len(inbox.lookups) == 2)
    assert inbox.lookups == [[callback(1)]] * 2
    assert f"so progress is polled instead: http://inbox: {error}" in caplog.text


async def test_a_callback_without_a_subscription_is_not_looked_up(
    inbox: Inbox, follower: InboxFollower
) -> None:
    with follower.subscription([callback(2)], DeliveryWaiter()):
        with follower.subscription([callback(1)], DeliveryWaiter()):
            pass
        await until(lambda: inbox.lookups)
    assert inbox.lookups == [[callback(2)]]


async def test_following_ends_with_the_last_subscription(inbox: Inbox, follower: InboxFollower) -> None:
    with follower.subscription([callback(1)], DeliveryWaiter()):
        with follower.subscription([callback(1)], DeliveryWaiter()):
            await until(lambda: inbox.lookups and inbox.open)
        assert inbox.open
    await until(lambda: not inbox.open)


async def test_a_subscription_to_all_wakes_on_any_delivery_without_lookups(
    inbox: Inbox, follower: InboxFollower
) -> None:
    waiter = WakeWaiter()
    with follower.subscription_to_all(waiter):
        await until(lambda: inbox.open)
        inbox.pages.put_nowait((Delivery(callback(7), DeliveryStatus.SUCCEEDED),))
        assert await waiter.wait(60)
        assert not await waiter.wait(0)
    assert inbox.lookups == []
    assert waiter.deliveries == ()
    await until(lambda: not inbox.open)
