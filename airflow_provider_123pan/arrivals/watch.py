"""Watches a directory for new images, for as long as its trigger runs."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator
from contextlib import AbstractContextManager, aclosing, nullcontext
from dataclasses import dataclass, replace
from typing import Any

from airflow.sdk.exceptions import AirflowRuntimeError

from airflow_provider_123pan.account.shared_client import SharedClient, shared_client
from airflow_provider_123pan.arrivals.cursor import Cursor, key_of
from airflow_provider_123pan.arrivals.cursor_store import CursorStore
from airflow_provider_123pan.arrivals.lister import shared_lister
from airflow_provider_123pan.callbacks.client import inbox_endpoint
from airflow_provider_123pan.callbacks.follower import WakeWaiter, follower_for
from airflow_provider_123pan.exceptions import (
    Pan123AnswerError,
    Pan123Error,
    Pan123ServiceError,
    Pan123UnavailableError,
    Pan123VerifyingError,
)
from airflow_provider_123pan.service.listing import find_default_directories
from airflow_provider_123pan.service.models import Image
from airflow_provider_123pan.service.protocol import get_image
from airflow_provider_123pan.sync.directory import find_path

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ArrivalTiming:
    """The durations of a watch, in seconds.

    :ivar overlap: each listing shows again what is not older than this before the previous one. Clocks may differ by
        five minutes, and an image may be listed two minutes after its date. A watch also begins so much before its
        start.
    :ivar grid: listings begin at multiples of this, so that watches of one directory share them.
    :ivar max_age: another watch's listing may be used so long after its start.
    :ivar stored_within: between two cursors that are kept; an event is covered after this, and within twice this.
    :ivar after_delivery: after a callback, a check and, if it found nothing, another one.
    :ivar patience: a listed image may be without a URL for so long, by 123pan's own answers.
    :ivar refresh: connection and directory are looked up again after so long.
    :ivar retry: between two attempts after an error: the first, and the longest.
    """

    overlap: int = 600
    grid: int = 60
    max_age: float = 15.0
    stored_within: float = 30.0
    after_delivery: tuple[float, float] = (2.0, 8.0)
    patience: float = 3600.0
    refresh: float = 600.0
    retry: tuple[float, float] = (10.0, 600.0)


class Watch:
    """Reports each image of a directory once it is finished, at least once.

    An image is finished when 123pan's record of it has a URL and no rejection by review. A callback only makes the
    watch check earlier.

    Of several images, the last one is held back until Airflow has stored the events of the others. Airflow gives a run
    the events up to the one that scheduled it, and what follows within the same second waits for another event
    (observed in 3.3.2): that of the last image collects it.

    :param directory_id: None with ``names``, and for the default directory.
    :param names: the path of the directory; empty without one.
    :param poke_interval: seconds between two checks.
    """

    def __init__(
        self,
        pan123_conn_id: str,
        directory_id: str | None,
        names: tuple[str, ...],
        poke_interval: float,
        store: CursorStore,
        timing: ArrivalTiming,
    ) -> None:
        self._conn_id = pan123_conn_id
        self._directory_id = directory_id
        self._names = names
        self._poke_interval = poke_interval
        self._timing = timing
        self._keeper = CursorKeeper(store, timing)
        self._waiter = WakeWaiter()
        self._unfinished: dict[bytes, float] = {}
        self._held: tuple[bytes, Image] | None = None  # with its key
        self._refusal: Pan123Error | None = None  # in the latest check, of a call for one image
        self._directory_ids: list[str] = []
        self._attempts = 0
        self._follow_ups: list[float] = []

    async def images(self) -> AsyncGenerator[Image, None]:
        """Yield finished images, without end and whatever the service answers."""
        cursor: Cursor | None = None
        while True:
            try:
                cursor = cursor or await self._keeper.load()
                async with shared_client(self._conn_id) as shared:
                    with self._wake_by_callbacks(shared):
                        self._directory_ids = []
                        refresh_at = time.monotonic() + self._timing.refresh
                        while time.monotonic() < refresh_at:
                            if self._held is not None and self._keeper.is_idle:
                                yield self._report(cursor, *self._held)
                                self._held = cursor.held_since = None
                            async with aclosing(self._check(shared, cursor)) as found:
                                async for image in found:
                                    yield image
                            if self._refusal is None:
                                self._attempts = 0
                                await self._pause(cursor)
                            else:
                                await self._pause(cursor, self._retry_pause(self._refusal))
            except (Pan123Error, AirflowRuntimeError) as error:
                await asyncio.sleep(self._retry_pause(error))

    def _retry_pause(self, error: Exception) -> float:
        """Return the seconds until the next check after an error."""
        first, longest = self._timing.retry
        pause: float = min(first * 2 ** min(self._attempts, 10), longest)
        self._attempts += 1
        log.warning("The watch for new images checks again in %.0f s: %s", pause, error)
        return pause

    def _wake_by_callbacks(self, shared: SharedClient) -> AbstractContextManager[None]:
        inbox = inbox_endpoint(shared.settings) if shared.settings.callback_base_url else None
        return follower_for(inbox).subscription_to_all(self._waiter) if inbox else nullcontext()

    async def _check(self, shared: SharedClient, cursor: Cursor) -> AsyncGenerator[Image, None]:
        """List what is new, and yield the finished images.

        An image whose record cannot be read now is not finished, and holds up no other one.
        """
        since = next_since(self._timing)
        self._refusal = None
        cursor.begin_listing()
        unfinished: dict[bytes, float] = {}
        complete = False
        try:
            for directory_id in await self._resolve(shared):
                async with aclosing(self._listed(shared, directory_id, cursor.since)) as listed:
                    async for image in listed:
                        if cursor.knows(key := key_of(image)) or self._is_held(key):
                            continue
                        record = image if is_decided(image) else await self._record(shared, image)
                        if record is None:
                            unfinished[key] = time.monotonic()
                        elif is_decided(record):
                            if not record.rejected:  # a review may still accept it
                                record = replace(record, directory_id=record.directory_id or directory_id)
                                if self._held is not None:
                                    yield self._report(cursor, *self._held)
                                if self._held is None and self._keeper.is_idle:
                                    yield self._report(cursor, key, record)
                                else:
                                    self._held, cursor.held_since = (key, record), cursor.since
                        elif self._may_wait(key, record):
                            unfinished[key] = self._unfinished.get(key, time.monotonic())
                        else:
                            cursor.add(key)
            complete = True
        finally:
            if not complete:
                cursor.abandon_listing()
        self._unfinished = unfinished
        if not unfinished:  # else the next listing has to show them again
            cursor.since = since

    def _report(self, cursor: Cursor, key: bytes, image: Image) -> Image:
        """Return an image that is reported now, and remember it by the key of its listing."""
        cursor.add(key)
        self._keeper.changed = True
        return image

    def _is_held(self, key: bytes) -> bool:
        return self._held is not None and self._held[0] == key

    async def _listed(
        self, shared: SharedClient, directory_id: str, since: int
    ) -> AsyncGenerator[Image, None]:
        with shared_lister(shared, directory_id) as lister:
            async with aclosing(lister.pages(since, self._timing.max_age)) as pages:
                async for images in pages:
                    for image in images:
                        yield image

    async def _resolve(self, shared: SharedClient) -> list[str]:
        """Return the ids of the directories that are watched; none while there is none."""
        if self._directory_id is not None:
            return [self._directory_id]
        if not self._directory_ids:
            await shared.queue.enqueue(asyncio.get_running_loop().time())
            if self._names:
                found = await shared.client.run(find_path(self._names))
                self._directory_ids = [found] if found is not None else []
            else:
                self._directory_ids = await shared.client.run(find_default_directories())
            if not self._directory_ids:
                log.info("The directory does not exist yet; the watch waits for it")
        return self._directory_ids

    async def _record(self, shared: SharedClient, listed: Image) -> Image | None:
        """Return the record of an image, which may have the URL that its listing lacks; None if no answer gives it.

        After an error that may concern all calls, such as a refusal because of the rate limit, this check requests no
        further record, and the next check comes later.
        """
        if self._refusal is not None:
            return None
        await shared.queue.enqueue(asyncio.get_running_loop().time())
        try:
            return listed.completed_by(await shared.client.call(get_image(listed.fileID)))
        except (Pan123ServiceError, Pan123AnswerError) as error:
            log.info("File %s has no record yet: %s", listed.fileID, error)
            return listed
        except Pan123Error as error:
            if not error.transient:
                raise
            log.info("File %s shows no record now: %s", listed.fileID, error)
            if not isinstance(error, Pan123UnavailableError | Pan123VerifyingError):
                self._refusal = error
            return None

    def _may_wait(self, key: bytes, image: Image) -> bool:
        """Return whether an image without a URL is waited for, and log the end of that."""
        waited = time.monotonic() - self._unfinished.get(key, time.monotonic())
        if waited > self._timing.patience:
            log.warning("File %s (%r) got no URL within %.0f s", image.fileID, image.file_name, waited)
        return waited <= self._timing.patience

    async def _pause(self, cursor: Cursor, least: float = 0.0) -> None:
        """Wait for the next check, and keep the cursor as soon as the events that it covers are stored.

        :param least: no callback causes a check within so many seconds.
        """
        loop, seconds = asyncio.get_running_loop(), self._poke_interval
        if self._follow_ups:
            seconds = min(seconds, self._follow_ups.pop(0))
        earliest = loop.time() + least
        check_at = max(loop.time() + seconds, earliest)
        while (left := check_at - loop.time()) > 0:
            until_kept = await self._keeper.keep(cursor)
            if self._held is not None and self._keeper.is_idle:
                return
            if await self._waiter.wait(min(left, until_kept)):
                first, *self._follow_ups = self._timing.after_delivery
                check_at = min(check_at, max(loop.time() + first, earliest))


class CursorKeeper:
    """Keeps the cursor of a watch, always behind the events that Airflow has stored.

    A trigger is not told when its events are stored. The triggerer sends them to its supervisor about once a second,
    which stores them between two batches of requests. So two requests that are answered one after the other, long
    enough after an event, prove that it is stored, however busy the supervisor is; then the cursor is sent.

    :ivar changed: an event was reported since the last snapshot.
    """

    def __init__(self, store: CursorStore, timing: ArrivalTiming) -> None:
        self._store = store
        self._timing = timing
        self._snapshot: dict[str, Any] | None = None
        self._due = 0.0
        self._is_sent = False
        self.changed = False

    @property
    def is_idle(self) -> bool:
        """True if Airflow has stored every event that was reported."""
        return self._snapshot is None and not self.changed

    async def load(self) -> Cursor:
        """Return the kept cursor, or a new one, which is kept at once."""
        stored = await self._store.load()
        if stored is not None:
            try:
                return Cursor.load(stored)
            except ValueError as error:
                log.error("The kept cursor is not used, so images may be missing: %s", error)
        cursor = Cursor(next_since(self._timing))
        await self._store.save(cursor.dump())
        return cursor

    async def keep(self, cursor: Cursor) -> float:
        """Bring the latest snapshot closer to the store if that is due; return the seconds until the next step."""
        loop, step = asyncio.get_running_loop(), self._timing.stored_within / 2
        if self._snapshot is not None and loop.time() >= self._due:
            try:
                await self._store.load()  # the supervisor has handled what was sent before
                if self._is_sent:
                    await self._store.save(self._snapshot)
                    self._snapshot = None
                self._is_sent, self._due = True, loop.time() + step
            except Exception as error:  # the store may fail in any way, and the watch must go on
                log.warning("The cursor was not kept; the next attempt follows: %s", error)
                self._due = loop.time() + self._timing.retry[0]
        if self._snapshot is None and self.changed:
            self._snapshot, self.changed, self._is_sent = cursor.dump(), False, False
            self._due = loop.time() + step
        return float("inf") if self._snapshot is None else max(0.0, self._due - loop.time())


def next_since(timing: ArrivalTiming) -> int:
    """Return the time from which the listing after one that starts now shows images, in Unix seconds."""
    return int(time.time() - timing.max_age - timing.overlap) // timing.grid * timing.grid


def is_decided(image: Image) -> bool:
    """Return whether the record of an image shows how it ended: with a URL, or rejected."""
    return image.rejected or image.download_url is not None or image.user_url is not None
