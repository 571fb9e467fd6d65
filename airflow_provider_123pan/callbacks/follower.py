"""One follower of a connection's inbox per triggerer process, which wakes the waits whose callbacks arrive.

No delivery is missed in between, because a wait subscribes before its callback_id is looked up, and the follower sets
its cursor before the first look-up.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import random
from collections.abc import Awaitable, Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import httpx

from airflow_provider_123pan.callbacks.client import InboxEndpoint, InboxPage
from airflow_provider_123pan.callbacks.contract import MAX_DELIVERIES, MAX_ITEMS, MAX_POLL_SECONDS
from airflow_provider_123pan.callbacks.delivery import Delivery
from airflow_provider_123pan.exceptions import InboxUnreachableError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FollowerTiming:
    """The durations of a follower, in seconds.

    :ivar gather: new subscriptions gather for this long before they are looked up together.
    :ivar retry: between two attempts to reach the inbox: the first, and the longest.
    """

    gather: float = 0.5
    retry: tuple[float, float] = (1.0, 30.0)


class DeliveryWaiter:
    """A wait for the deliveries of one callback."""

    __slots__ = ("_future", "_notified", "deliveries")

    def __init__(self) -> None:
        self.deliveries: tuple[Delivery, ...] = ()
        self._notified = False
        self._future: asyncio.Future[bool] | None = None

    async def wait(self, seconds: float, granted: asyncio.Future[bool] | None = None) -> bool:
        """Wait until a delivery arrives, ``seconds`` have passed, or ``granted`` has a result.

        :param granted: a request for a poll; it ends with the wait.
        :returns: whether a delivery arrived since the last call.
        """
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
        """End the current wait without a delivery."""
        if self._future is not None:
            _end(self._future)

    def deliver(self, delivery: Delivery) -> None:
        """Add a delivery unless it is known, and end the current wait."""
        if delivery not in self.deliveries and len(self.deliveries) < MAX_DELIVERIES:
            self.deliveries += (delivery,)
            self._notified = True
            self.interrupt()


class BatchWaiter(DeliveryWaiter):
    """A wait for many callbacks that records only which of them were delivered."""

    __slots__ = ("delivered",)

    def __init__(self) -> None:
        super().__init__()
        self.delivered: set[str] = set()

    def deliver(self, delivery: Delivery) -> None:
        """Record the callback_id, and end the current wait."""
        self.delivered.add(delivery.callback_id)
        self._notified = True
        self.interrupt()


class WakeWaiter(DeliveryWaiter):
    """A wait that any delivery ends; it stores none."""

    __slots__ = ()

    def deliver(self, delivery: Delivery) -> None:
        """End the current wait."""
        self._notified = True
        self.interrupt()


def _end(future: asyncio.Future[bool]) -> None:
    if not future.done():
        future.set_result(False)


class InboxFollower:
    """Follows one connection's inbox while there are subscriptions.

    :param transport: replaces httpx's own.
    :ivar reachable: whether the last request to the inbox was answered.
    """

    def __init__(
        self,
        inbox: InboxEndpoint,
        timing: FollowerTiming = FollowerTiming(),
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._inbox = inbox
        self._timing = timing
        self._transport = transport
        self._waiters: dict[str, list[DeliveryWaiter]] = {}
        self._waiters_for_all: list[DeliveryWaiter] = []
        self._new_ids: set[str] = set()
        self._epoch: str | None = None
        self._after: int | None = None
        self.reachable = True
        self._task: asyncio.Task[None] | None = None

    def subscription(self, callback_ids: Collection[str], waiter: DeliveryWaiter) -> Subscription:
        """Return a context in which ``waiter`` receives the deliveries to these callbacks, stored ones included.

        :param callback_ids: distinct ids; the caller does not change the collection while the context is open.
        """
        return Subscription(self, callback_ids, waiter)

    @contextmanager
    def subscription_to_all(self, waiter: DeliveryWaiter) -> Iterator[None]:
        """Let ``waiter`` receive the deliveries to all callbacks, within ``with``; stored ones are not looked up."""
        self._waiters_for_all.append(waiter)
        self._start_or_stop()
        try:
            yield
        finally:
            self._waiters_for_all.remove(waiter)
            self._start_or_stop()

    def _subscribe(self, callback_ids: Collection[str], waiter: DeliveryWaiter) -> None:
        for callback_id in callback_ids:
            self._waiters.setdefault(callback_id, []).append(waiter)
        self._new_ids.update(callback_ids)
        self._start_or_stop()

    def _unsubscribe(self, callback_ids: Collection[str], waiter: DeliveryWaiter) -> None:
        for callback_id in callback_ids:
            others = self._waiters[callback_id]
            others.remove(waiter)
            if not others:
                del self._waiters[callback_id]
                self._new_ids.discard(callback_id)
        self._start_or_stop()

    def _start_or_stop(self) -> None:
        is_needed = bool(self._waiters or self._waiters_for_all)
        if is_needed and self._task is None:
            self._task = asyncio.create_task(self._run(), name="pan123-inbox")
        elif not is_needed and self._task is not None:
            self._task.cancel()
            self._task = None

    async def _run(self) -> None:
        self._epoch = self._after = None
        # Reading the certificates takes tens of milliseconds, so it happens outside the loop.
        client = partial(httpx.AsyncClient, timeout=MAX_POLL_SECONDS + 10, transport=self._transport)
        async with await asyncio.to_thread(client) as http:
            await asyncio.gather(
                self._repeat(partial(self._follow, http)), self._repeat(partial(self._look_up_new, http))
            )

    async def _repeat(self, work: Callable[[], Awaitable[None]]) -> None:
        """Repeat the work until cancelled, whatever it raises: while the inbox is unreachable, progress is polled."""
        first, longest = self._timing.retry
        pause = first
        while True:
            try:
                await work()
            except InboxUnreachableError as error:
                if self.reachable:
                    log.warning("The inbox is out of reach, so progress is polled instead: %s", error)
                    self.reachable = False
                    for waiter in itertools.chain.from_iterable(self._waiters.values()):
                        waiter.interrupt()
            except Exception:
                log.exception("An error while following the inbox; the follower continues")
            else:
                pause = first
                continue
            await asyncio.sleep(pause * random.uniform(0.5, 1))
            pause = min(pause * 2, longest)

    async def _follow(self, http: httpx.AsyncClient) -> None:
        """Make one long poll."""
        query = {"epoch": self._epoch, "after": self._after, "timeout": MAX_POLL_SECONDS, "limit": MAX_ITEMS}
        page = await self._post(http, self._inbox.poll_url, query)
        self._after = page.last
        if page.epoch != self._epoch:  # another table: what arrived before this cursor must be looked up
            self._new_ids.update(self._waiters)
            self._epoch = page.epoch
        self._deliver(page)

    async def _look_up_new(self, http: httpx.AsyncClient) -> None:
        """Look up the callbacks that were subscribed to since the last time."""
        await asyncio.sleep(self._timing.gather)
        if self._epoch is None or not self._new_ids:
            return
        batch = list(itertools.islice(self._new_ids, MAX_ITEMS))
        self._new_ids.difference_update(
            batch
        )  # before the request: a subscription during it is looked up next time
        try:
            page = await self._post(http, self._inbox.lookup_url, {"callback_ids": batch})
        except BaseException:
            self._new_ids.update(self._waiters.keys() & batch)
            raise
        self._deliver(page)

    async def _post(self, http: httpx.AsyncClient, url: str, body: dict[str, Any]) -> InboxPage:
        try:
            answer = await http.post(url, json=body, headers=self._inbox.headers())
        except (httpx.HTTPError, OSError) as error:  # httpx lets errors of TLS through
            raise InboxUnreachableError(
                f"{self._inbox.base_url}: {str(error) or type(error).__name__}"
            ) from error
        page = self._inbox.page(answer.status_code, answer.headers, answer.content)
        if not self.reachable:
            log.warning("The inbox is reachable again")
            self.reachable = True
        return page

    def _deliver(self, page: InboxPage) -> None:
        for delivery in page.deliveries:
            for waiter in (*self._waiters.get(delivery.callback_id, ()), *self._waiters_for_all):
                waiter.deliver(delivery)


class Subscription:
    """A waiter's subscription to callbacks, as a context. A class with slots, because a triggerer holds thousands."""

    __slots__ = ("_callback_ids", "_follower", "_waiter")

    def __init__(
        self, follower: InboxFollower, callback_ids: Collection[str], waiter: DeliveryWaiter
    ) -> None:
        self._follower = follower
        self._callback_ids = callback_ids
        self._waiter = waiter

    def __enter__(self) -> None:
        self._follower._subscribe(self._callback_ids, self._waiter)

    def __exit__(self, *_: object) -> None:
        self._follower._unsubscribe(self._callback_ids, self._waiter)


_followers: dict[asyncio.AbstractEventLoop, dict[InboxEndpoint, InboxFollower]] = {}


def follower_for(inbox: InboxEndpoint) -> InboxFollower:
    """Return the running event loop's follower of a connection's inbox."""
    for loop in [loop for loop in _followers if loop.is_closed()]:
        del _followers[loop]
    return _followers.setdefault(asyncio.get_running_loop(), {}).setdefault(inbox, InboxFollower(inbox))
