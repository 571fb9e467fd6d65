"""The trigger that waits until enough images of a sync have ended for a worker to continue. It only reads."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator
from contextlib import nullcontext
from datetime import datetime
from typing import Any, ClassVar

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_123pan.account.shared_client import SharedClient, shared_client
from airflow_provider_123pan.callbacks.client import inbox_endpoint
from airflow_provider_123pan.callbacks.follower import BatchWaiter, InboxFollower, follower_for
from airflow_provider_123pan.download.events import to_event
from airflow_provider_123pan.exceptions import Pan123AnswerError, Pan123Error, Pan123ServiceError
from airflow_provider_123pan.service.listing import find_default_directories, visit_images
from airflow_provider_123pan.service.models import Image, TaskStatus
from airflow_provider_123pan.service.progress_queue import SHARE
from airflow_provider_123pan.service.protocol import PAGE, get_offline_download
from airflow_provider_123pan.service.timing import READ_RETRY_SECONDS
from airflow_provider_123pan.sync.entries import image_key, stem_of, unnumbered
from airflow_provider_123pan.sync.in_flight import Watched, callback_id
from airflow_provider_123pan.sync.timing import SyncTiming

log = logging.getLogger(__name__)

MAX_POLLS = 20  # per check, or more if the rate allows


class Pan123SyncImagesTrigger(BaseTrigger):
    """Fire once: when ``want`` of the images have ended, as far as a trigger can see, or at ``until``.

    The worker finds out how they ended.

    :param active: the images in flight, by their keys: taskID, attempt, and whether a callback came
        (:class:`~airflow_provider_123pan.sync.in_flight.Watched`).
    :param directory_id: None for the default directory, while it does not exist.
    :param seed: makes the callback ids; None without callbacks.
    :param since: an ISO 8601 moment before which no image in flight was submitted.
    :param want: the number of images whose end is worth starting a worker.
    :param until: Unix seconds.
    :param folders: the paths of the directories below the target directory, by their ids; only those of images in
        flight, and None without any.
    """

    timing: ClassVar[SyncTiming] = SyncTiming()

    def __init__(
        self,
        *,
        pan123_conn_id: str,
        directory_id: str | None,
        active: dict[str, list[Any]],
        seed: str | None,
        since: str,
        want: int,
        until: float,
        folders: dict[str, str] | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.pan123_conn_id = pan123_conn_id
        self.directory_id = directory_id
        self.active = active
        self.seed = seed
        self.since = since
        self.want = want
        self.until = until
        self.folders = folders or {}

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments, as Airflow stores them."""
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "pan123_conn_id": self.pan123_conn_id,
                "directory_id": self.directory_id,
                "active": self.active,
                "seed": self.seed,
                "since": self.since,
                "want": self.want,
                "until": self.until,
                **({"folders": self.folders} if self.folders else {}),
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, and yield the one event."""
        started = time.monotonic()
        try:
            event: dict[str, Any] = {"status": "woken", "ended": sorted(await self._wait())}
        except Pan123Error as error:
            event = to_event(error)
        await asyncio.sleep(max(0.0, self.timing.wait.min_to_event - (time.monotonic() - started)))
        yield TriggerEvent(event)  # type: ignore[no-untyped-call]

    async def _wait(self) -> set[str]:
        """Wait, and return the keys of the images that have ended."""
        async with shared_client(self.pan123_conn_id) as shared:
            inbox = inbox_endpoint(shared.settings) if self.seed else None
            follower, waiter = follower_for(inbox) if inbox else None, BatchWaiter()
            watched = {key: Watched(*values) for key, values in self.active.items()}
            keys = (
                {
                    callback_id(self.seed, key, image.attempt): key
                    for key, image in watched.items()
                    if not image.called_back
                }
                if self.seed
                else {}
            )
            check = _Check(self, shared)
            first, longest = self.timing.trigger_check
            pause = first
            checking: asyncio.Task[bool] | None = None
            with follower.subscription(keys, waiter) if follower else nullcontext():
                look_at = time.time() + self._jittered(pause, follower)
                try:
                    while True:
                        check.ended.update(keys[callback] for callback in waiter.delivered)
                        now = time.time()
                        if len(check.ended) >= self.want or now >= self.until:
                            return check.ended
                        if checking and checking.done():
                            pause = first if checking.result() else min(pause * 1.5, longest)
                            checking, look_at = None, time.time() + self._jittered(pause, follower)
                        elif checking is None and now >= look_at:
                            # A task, since it may queue for long, and callbacks and the deadline do not wait for it.
                            checking = asyncio.create_task(check.check())
                            checking.add_done_callback(lambda _: waiter.interrupt())
                        wake_at = self.until if checking else min(look_at, self.until)
                        await waiter.wait(max(0.0, wake_at - time.time()))
                        if follower and not follower.reachable:
                            look_at = min(look_at, time.time() + self._jittered(pause, follower))
                finally:
                    if checking and not checking.done():
                        checking.cancel()
                        await asyncio.wait({checking})

    def _jittered(self, pause: float, follower: InboxFollower | None) -> float:
        """Vary a pause in seconds; it is longer while callbacks can wake the wait."""
        if follower and follower.reachable:
            pause *= self.timing.wait.fallback_poll[0] / self.timing.trigger_check[0]
        return pause * random.uniform(0.5, 1.5)


class _Check:
    """What a trigger can see of the images: names in a listing, and progress."""

    def __init__(self, trigger: Pan123SyncImagesTrigger, shared: SharedClient) -> None:
        self._trigger = trigger
        self._client = shared.client
        self._queue = shared.queue
        self._asked = dict.fromkeys(trigger.active, asyncio.get_running_loop().time())
        self._unknown: set[str] = set()  # whose taskID the service did not know when it was last asked
        self._directory_ids = [*filter(None, [trigger.directory_id]), *trigger.folders]
        self._looked_at = asyncio.get_running_loop().time()
        self._new = 0
        self._is_refused = False
        self.ended: set[str] = set()

    async def check(self) -> bool:
        """Check once; return whether more images have ended."""
        before = len(self.ended)
        try:
            if len(self._trigger.active) - before >= max(1, len(self._directory_ids)) + self._new // PAGE:
                await self._queue.enqueue(0.0)
                await self._list()
            await self._ask()
        except Pan123Error as error:
            # A redirect, or a refused access_token, ends the wait only if it stays.
            if not error.retryable and (self._is_refused or not error.transient):
                raise
            self._is_refused = not error.retryable
            log.warning("Will check again later: %s", error)
        else:
            self._is_refused = False
        return len(self.ended) > before

    async def _list(self) -> None:
        if not self._directory_ids:
            self._directory_ids = await self._client.run(find_default_directories())
        since, self._new = datetime.fromisoformat(self._trigger.since), 0
        for directory_id in self._directory_ids:
            self._new += await self._client.run(
                visit_images(directory_id, self._on_image, since, until=self._trigger.until)
            )

    def _on_image(self, image: Image) -> None:
        stem = stem_of(image.file_name)
        folder = self._trigger.folders.get(image.directory_id or "", "")
        keys = {image_key(stem, folder), image_key(unnumbered(stem), folder)}
        self.ended.update(keys & self._trigger.active.keys())

    async def _ask(self) -> None:
        """Poll the images that were not polled for the longest time: a failure shows in no listing."""
        loop = asyncio.get_running_loop()
        silent = sorted(self._trigger.active.keys() - self.ended, key=self._asked.__getitem__)
        most = max(MAX_POLLS, round(SHARE * self._client.throttle.rate * (loop.time() - self._looked_at)))
        self._looked_at = loop.time()
        for key in silent[:most]:
            taskID = self._trigger.active[key][0]
            if len(self.ended) >= self._trigger.want or time.time() >= self._trigger.until:
                return
            if taskID is None or loop.time() - self._asked[key] < self._trigger.timing.trigger_check[0]:
                continue
            await self._queue.enqueue(self._asked[key])
            if key in self.ended:  # a callback came meanwhile
                continue
            self._asked[key] = loop.time()
            try:
                task = await self._client.call(get_offline_download(taskID), READ_RETRY_SECONDS)
            except (Pan123ServiceError, Pan123AnswerError):
                if key in self._unknown:  # and not just not known yet: the worker decides
                    self.ended.add(key)
                self._unknown.add(key)
                continue
            self._unknown.discard(key)
            if task.status in (TaskStatus.FAILED, TaskStatus.SUCCEEDED):
                self.ended.add(key)
