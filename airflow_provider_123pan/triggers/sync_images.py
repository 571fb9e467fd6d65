"""Waits in the triggerer until enough of a batch's images have ended for a worker to go on. Only reads."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_123pan.account.shared_client import SharedClient, shared_client
from airflow_provider_123pan.callbacks.client import inbox_endpoint
from airflow_provider_123pan.callbacks.follower import BatchWaiter, InboxFollower, follower_for
from airflow_provider_123pan.download.events import to_event
from airflow_provider_123pan.download.lookup import READ_RETRY_SECONDS
from airflow_provider_123pan.exceptions import Pan123AnswerError, Pan123Error, Pan123ServiceError
from airflow_provider_123pan.service.models import Image, TaskStatus
from airflow_provider_123pan.service.progress_queue import SHARE
from airflow_provider_123pan.service.protocol import PAGE, get_offline_download
from airflow_provider_123pan.sync.directory import default_directory, list_images
from airflow_provider_123pan.sync.entries import digest, stem_of, unnumbered
from airflow_provider_123pan.sync.in_flight import callback_id
from airflow_provider_123pan.triggers.offline_download import FALLBACK_POLL_SECONDS, MIN_SECONDS_TO_EVENT

log = logging.getLogger(__name__)

CHECK_SECONDS = (10.0, 60.0)  # seconds between two looks without callbacks: the first, the longest
MAX_POLLS = 20  # about progress per look, or what the rate allows


class Pan123SyncImagesTrigger(BaseTrigger):
    """Fires once: when ``want`` of the images have ended, as far as can be seen from here, or at ``until``.

    What has become of them, the worker finds out.

    :param active: by the key of each image in flight: its taskID, its attempt, and whether it was called back.
    :param directory_id: None: the service's own directory, which did not exist yet.
    :param seed: makes the callback_ids; None without callbacks.
    :param since: nothing in flight is older (ISO 8601).
    :param until: Unix seconds.
    """

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
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.pan123_conn_id = pan123_conn_id
        self.directory_id = directory_id
        self.active = active
        self.seed = seed
        self.since = since
        self.want = want
        self.until = until

    def serialize(self) -> tuple[str, dict[str, Any]]:
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
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        started = time.monotonic()
        try:
            event: dict[str, Any] = {"status": "woken", "ended": sorted(await self._wait())}
        except Pan123Error as error:
            event = to_event(error)
        await asyncio.sleep(max(0.0, MIN_SECONDS_TO_EVENT - (time.monotonic() - started)))
        yield TriggerEvent(event)  # type: ignore[no-untyped-call]

    async def _wait(self) -> set[str]:
        """The keys of those that have ended."""
        async with shared_client(self.pan123_conn_id) as shared:
            inbox = inbox_endpoint(shared.settings) if self.seed else None
            follower, waiter = follower_for(inbox) if inbox else None, BatchWaiter()
            silent = {key: each[1] for key, each in self.active.items() if not each[2]}
            keys = (
                {callback_id(self.seed, key, attempt): key for key, attempt in silent.items()}
                if self.seed
                else {}
            )
            if follower:
                for each in keys:
                    follower.subscribe(each, waiter)
            check = _Check(self, shared)
            pause = CHECK_SECONDS[0]
            try:
                look_at = time.time() + _pause(pause, follower)
                while True:
                    check.ended.update(keys[each] for each in waiter.delivered)
                    now = time.time()
                    if len(check.ended) >= self.want or now >= self.until:
                        return check.ended
                    if now >= look_at:
                        found = await check.check()
                        pause = CHECK_SECONDS[0] if found else min(pause * 1.5, CHECK_SECONDS[1])
                        look_at = time.time() + _pause(pause, follower)
                        continue
                    await waiter.wait(max(0.0, min(look_at, self.until) - now))
            finally:
                if follower:
                    for each in keys:
                        follower.unsubscribe(each, waiter)


class _Check:
    """What the triggerer itself can see of the images: names in a listing, and progress."""

    def __init__(self, trigger: Pan123SyncImagesTrigger, shared: SharedClient) -> None:
        self._trigger = trigger
        self._client = shared.client
        self._queue = shared.queue
        self._asked = dict.fromkeys(trigger.active, time.time())
        self._directory_id = trigger.directory_id
        self._looked_at = time.time()
        self._new = 0
        self.ended: set[str] = set()

    async def check(self) -> bool:
        """Look once; whether more have ended."""
        before = len(self.ended)
        try:
            if len(self._trigger.active) - before >= 1 + self._new // PAGE:
                await self._queue.enqueue(0.0)
                await self._list()
            await self._ask()
        except Pan123Error as error:
            if not error.retryable:
                raise
            log.warning("Looked again later: %s", error)
        return len(self.ended) > before

    async def _list(self) -> None:
        if self._directory_id is None:
            self._directory_id = await self._client.run(default_directory())
        if self._directory_id is not None:
            since = datetime.fromisoformat(self._trigger.since)
            self._new = await self._client.run(list_images(self._directory_id, self._on_image, since))

    def _on_image(self, image: Image) -> None:
        stem = stem_of(image.file_name)
        self.ended.update({digest(stem), digest(unnumbered(stem))} & self._trigger.active.keys())

    async def _ask(self) -> None:
        """Ask about those that were not asked about for the longest time: a failure shows in no listing."""
        silent = sorted(self._trigger.active.keys() - self.ended, key=self._asked.__getitem__)
        now = time.time()
        most = max(MAX_POLLS, round(SHARE * self._client.throttle.rate * (now - self._looked_at)))
        self._looked_at = now
        for key in silent[:most]:
            taskID = self._trigger.active[key][0]
            if len(self.ended) >= self._trigger.want or time.time() >= self._trigger.until:
                return
            if taskID is None or time.time() - self._asked[key] < CHECK_SECONDS[0]:
                continue
            await self._queue.enqueue(self._asked[key])
            self._asked[key] = time.time()
            try:
                task = await self._client.call(get_offline_download(taskID), READ_RETRY_SECONDS)
            except (Pan123ServiceError, Pan123AnswerError):
                continue  # unknown, perhaps not yet; the worker decides
            if task.status in (TaskStatus.FAILED, TaskStatus.SUCCEEDED):
                self.ended.add(key)


def _pause(pause: float, follower: InboxFollower | None) -> float:
    """Callbacks wake at once: looks are a safety net then."""
    return (
        FALLBACK_POLL_SECONDS[0] * pause / CHECK_SECONDS[0] if follower and follower.reachable else pause
    ) * random.uniform(0.5, 1.5)
