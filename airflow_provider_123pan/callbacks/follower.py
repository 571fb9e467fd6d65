"""One follower of a connection's inbox per triggerer process; it wakes whoever waits for a delivery.

Whoever waits registers first and is looked up after that, and the follower's cursor stands before the first
look-up, so that no delivery falls between.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import random
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import httpx

from airflow_provider_123pan.callbacks.client import InboxEndpoint, InboxPage
from airflow_provider_123pan.callbacks.contract import MAX_DELIVERIES, MAX_ITEMS, MAX_POLL_SECONDS
from airflow_provider_123pan.callbacks.delivery import Delivery
from airflow_provider_123pan.exceptions import InboxUnreachableError

log = logging.getLogger(__name__)

GATHER_SECONDS = 0.5  # seconds in which newcomers gather for one look-up
RETRY_SECONDS = (1.0, 30.0)  # seconds between tries to reach the inbox, from the first to the last


class DeliveryWaiter:
    """Somebody who waits for the deliveries of one callback."""

    __slots__ = ("_future", "_notified", "deliveries")

    def __init__(self) -> None:
        self.deliveries: tuple[Delivery, ...] = ()
        self._notified = False
        self._future: asyncio.Future[bool] | None = None

    async def wait(self, seconds: float, granted: asyncio.Future[bool] | None = None) -> bool:
        """Wait so long, until a delivery comes, or until ``turn`` has a result; whether a delivery came."""
        if not self._notified and seconds > 0:
            loop = asyncio.get_running_loop()
            self._future = granted or loop.create_future()
            timer = loop.call_later(seconds, _end, self._future)
            try:
                await self._future
            finally:
                timer.cancel()
                self._future = None
        if granted is not None:
            _end(granted)  # a request that is no longer needed must not take another wait's place
        notified, self._notified = self._notified, False
        return notified

    def interrupt(self) -> None:
        """End the rest without a delivery."""
        if self._future is not None:
            _end(self._future)

    def deliver(self, delivery: Delivery) -> None:
        if delivery not in self.deliveries and len(self.deliveries) < MAX_DELIVERIES:
            self.deliveries += (delivery,)
            self._notified = True
            self.interrupt()


class BatchWaiter(DeliveryWaiter):
    """Somebody who waits for many callbacks, and only wants to know which were delivered."""

    __slots__ = ("delivered",)

    def __init__(self) -> None:
        super().__init__()
        self.delivered: set[str] = set()

    def deliver(self, delivery: Delivery) -> None:
        self.delivered.add(delivery.callback_id)
        self._notified = True
        self.interrupt()


def _end(future: asyncio.Future[bool]) -> None:
    if not future.done():
        future.set_result(False)


class InboxFollower:
    """Follows one connection's inbox as long as somebody waits."""

    def __init__(self, inbox: InboxEndpoint) -> None:
        self._inbox = inbox
        self._waiters: dict[str, list[DeliveryWaiter]] = {}
        self._new_ids: set[str] = set()
        self._epoch: str | None = None
        self._after: int | None = None
        self.reachable = True
        self._task: asyncio.Task[None] | None = None

    def subscribe(self, callback_id: str, waiter: DeliveryWaiter) -> None:
        """Register: a delivery that is there already rings as well as every later one."""
        self._waiters.setdefault(callback_id, []).append(waiter)
        self._new_ids.add(callback_id)
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="pan123-inbox")

    def unsubscribe(self, callback_id: str, waiter: DeliveryWaiter) -> None:
        others = self._waiters[callback_id]
        others.remove(waiter)
        if not others:
            del self._waiters[callback_id]
            self._new_ids.discard(callback_id)
        if not self._waiters and self._task is not None:
            self._task.cancel()
            self._task = None

    async def _run(self) -> None:
        self._epoch = self._after = None
        # Reading the certificates takes tens of milliseconds: not in the loop.
        async with await asyncio.to_thread(partial(httpx.AsyncClient, timeout=MAX_POLL_SECONDS + 10)) as http:
            await asyncio.gather(
                self._for_ever(partial(self._follow, http)), self._for_ever(partial(self._look_up_new, http))
            )

    async def _for_ever(self, work: Callable[[], Awaitable[None]]) -> None:
        """No error ends the work: while the inbox is out of reach, progress still wakes everybody."""
        pause = RETRY_SECONDS[0]
        while True:
            try:
                await work()
            except InboxUnreachableError as error:
                if self.reachable:
                    log.warning("The inbox is out of reach, so progress is asked instead: %s", error)
                    self.reachable = False
                    for waiter in itertools.chain.from_iterable(self._waiters.values()):
                        waiter.interrupt()
            except Exception:
                log.exception("Following the inbox goes on after an error")
            else:
                pause = RETRY_SECONDS[0]
                continue
            await asyncio.sleep(pause * random.uniform(0.5, 1))
            pause = min(pause * 2, RETRY_SECONDS[1])

    async def _follow(self, http: httpx.AsyncClient) -> None:
        """One long poll."""
        ask = {"epoch": self._epoch, "after": self._after, "timeout": MAX_POLL_SECONDS, "limit": MAX_ITEMS}
        page = await self._post(http, self._inbox.poll_url, ask)
        self._after = page.last
        if page.epoch != self._epoch:  # another table: what came before this cursor must be looked up
            self._new_ids.update(self._waiters)
            self._epoch = page.epoch
        self._deliver(page)

    async def _look_up_new(self, http: httpx.AsyncClient) -> None:
        """Look up those who came since the last time."""
        await asyncio.sleep(GATHER_SECONDS)
        if self._epoch is None or not self._new_ids:
            return
        batch = list(itertools.islice(self._new_ids, MAX_ITEMS))
        self._new_ids.difference_update(batch)  # before: who joins meanwhile is looked up next time
        try:
            page = await self._post(http, self._inbox.lookup_url, {"callback_ids": batch})
        except BaseException:
            self._new_ids.update(self._waiters.keys() & batch)
            raise
        self._deliver(page)

    async def _post(self, http: httpx.AsyncClient, url: str, body: dict[str, Any]) -> InboxPage:
        try:
            answer = await http.post(url, json=body, headers=self._inbox.headers())
        except httpx.HTTPError as error:
            raise InboxUnreachableError(
                f"{self._inbox.base_url}: {str(error) or type(error).__name__}"
            ) from error
        page = self._inbox.page(answer.status_code, answer.headers, answer.content)
        if not self.reachable:
            log.warning("The inbox is in reach again")
            self.reachable = True
        return page

    def _deliver(self, page: InboxPage) -> None:
        for delivery in page.deliveries:
            for waiter in self._waiters.get(delivery.callback_id, ()):
                waiter.deliver(delivery)


_followers: dict[asyncio.AbstractEventLoop, dict[InboxEndpoint, InboxFollower]] = {}


def follower_for(inbox: InboxEndpoint) -> InboxFollower:
    """Return the running event loop's follower of a connection's inbox."""
    for loop in [loop for loop in _followers if loop.is_closed()]:
        del _followers[loop]
    return _followers.setdefault(asyncio.get_running_loop(), {}).setdefault(inbox, InboxFollower(inbox))
