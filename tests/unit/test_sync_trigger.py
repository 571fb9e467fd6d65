"""What ends a sync's wait in the triggerer: errors, callbacks, and its last moment."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import datetime, timezone
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_123pan.callbacks.delivery import Delivery, DeliveryStatus
from airflow_provider_123pan.callbacks.follower import BatchWaiter
from airflow_provider_123pan.download.timing import WaitTiming
from airflow_provider_123pan.exceptions import (
    Pan123AccessTokenError,
    Pan123CredentialsError,
    Pan123Error,
    Pan123RedirectError,
)
from airflow_provider_123pan.sync.in_flight import callback_id
from airflow_provider_123pan.sync.timing import SyncTiming
from airflow_provider_123pan.triggers import sync_images
from airflow_provider_123pan.triggers.sync_images import Pan123SyncImagesTrigger, _Check


async def checking(*errors: Pan123Error | None) -> _Check:
    """Return checks that list a directory, of which each listing fails with the next of these errors."""
    left = iter(errors)

    async def run(_: Any) -> int:
        if error := next(left):
            raise error
        return 0

    async def enqueue(_: float) -> None:
        pass

    trigger = Pan123SyncImagesTrigger(
        pan123_conn_id="pan123_default",
        active={"a": [None, 0, False]},
        directory_id="d",
        since=datetime.now(timezone.utc).isoformat(),
        seed=None,
        want=1,
        until=time.time() + 3600,
    )
    client = SimpleNamespace(run=run, throttle=SimpleNamespace(rate=1.0))
    return _Check(trigger, SimpleNamespace(client=client, queue=SimpleNamespace(enqueue=enqueue)))  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", [Pan123RedirectError, Pan123AccessTokenError])
async def test_an_error_that_no_retry_fixes_ends_the_wait_only_if_it_stays(kind: type[Pan123Error]) -> None:
    check = await checking(kind("1"), None, kind("2"), kind("3"))
    for _ in range(3):
        assert not await check.check()
    with pytest.raises(kind, match="3"):
        await check.check()


async def test_wrong_credentials_end_the_wait_at_once() -> None:
    with pytest.raises(Pan123CredentialsError):
        await (await checking(Pan123CredentialsError("wrong"))).check()


class Congestion:
    """A queue that admits no poll, a follower, and a client that is never asked, as the trigger uses them.

    :ivar queued: set once a check queues.
    :ivar waiter: the trigger's.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, fallback_poll: float) -> None:
        self.queued = asyncio.Event()
        self.waiter = BatchWaiter()
        self.reachable = True
        self.settings = self.client = self.queue = self
        wait = replace(WaitTiming(), min_to_event=0.0, fallback_poll=(fallback_poll, fallback_poll))
        timing = replace(SyncTiming(), trigger_check=(0.001, 0.001), wait=wait)
        monkeypatch.setattr(Pan123SyncImagesTrigger, "timing", timing)
        monkeypatch.setattr(sync_images, "shared_client", self.shared)
        monkeypatch.setattr(sync_images, "inbox_endpoint", lambda _: self)
        monkeypatch.setattr(sync_images, "follower_for", lambda _: self)

    @asynccontextmanager
    async def shared(self, _: str) -> AsyncIterator[Congestion]:
        yield self

    def enqueue(self, _: float) -> asyncio.Future[bool]:
        """Return a place in the queue."""
        self.queued.set()
        return asyncio.get_running_loop().create_future()

    @contextmanager
    def subscription(self, _: Any, waiter: BatchWaiter) -> Iterator[None]:
        self.waiter = waiter
        yield


async def ended(seconds: float) -> list[str]:
    """Return the images with which a trigger wakes its task; it may wait for so long."""
    trigger = Pan123SyncImagesTrigger(
        pan123_conn_id="pan123_default",
        active={"a": [1, 0, False], "b": [2, 0, False]},
        directory_id="d",
        since=datetime.now(timezone.utc).isoformat(),
        seed="seed",
        want=2,
        until=time.time() + seconds,
    )
    (event,) = [event.payload async for event in trigger.run()]
    found: list[str] = event["ended"]
    return found


async def test_callbacks_end_the_wait_while_a_check_queues(monkeypatch: pytest.MonkeyPatch) -> None:
    congestion = Congestion(monkeypatch, fallback_poll=0.001)
    waiting = asyncio.create_task(ended(3600))
    await asyncio.wait_for(congestion.queued.wait(), 60)
    for key in "ab":
        congestion.waiter.deliver(Delivery(callback_id("seed", key, 0), DeliveryStatus.SUCCEEDED))
    assert await asyncio.wait_for(waiting, 60) == ["a", "b"]


async def test_the_last_moment_ends_the_wait_while_a_check_queues(monkeypatch: pytest.MonkeyPatch) -> None:
    congestion = Congestion(monkeypatch, fallback_poll=0.001)
    assert await asyncio.wait_for(ended(0.2), 60) == []
    assert congestion.queued.is_set()


async def test_without_the_inbox_a_check_comes_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    congestion = Congestion(monkeypatch, fallback_poll=3600.0)
    waiting = asyncio.create_task(ended(3600))

    async def lose_the_inbox() -> None:
        while not congestion.queued.is_set():
            congestion.reachable = False
            congestion.waiter.interrupt()
            await asyncio.sleep(0.001)

    await asyncio.wait_for(lose_the_inbox(), 60)
    waiting.cancel()
    await asyncio.wait({waiting})
