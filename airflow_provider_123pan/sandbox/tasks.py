"""Offline tasks: from the submission over progress to the image, or to the reason why not."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass, field
from itertools import islice
from typing import Any
from urllib.parse import unquote, urlsplit

from airflow_provider_123pan.sandbox.callbacks import Callbacks
from airflow_provider_123pan.sandbox.envelope import Refusal
from airflow_provider_123pan.sandbox.fetcher import Fetcher, FetchError
from airflow_provider_123pan.sandbox.images import Picture, extension_of
from airflow_provider_123pan.sandbox.options import Options
from airflow_provider_123pan.sandbox.store import HEALTHY, REJECTED, Image, Store

RUNNING, FAILED, SUCCESS, RETRYING = 0, 1, 2, 3
_STATES = ("running", "failed", "success", "retrying")
TOO_MANY = "同时下载的任务超出最大限制"  # seen on the cloud-drive twin


@dataclass(eq=False, slots=True)
class OfflineTask:
    task_id: int
    client_id: str
    url: str
    file_name: str | None
    directory_id: str | None  # None = the default directory
    callback_url: str
    duration: float
    stuck: bool
    shows_retry: bool  # progress has still to say "retrying" once
    created: float = field(default_factory=time.monotonic)
    status: int = RUNNING
    reason: str = ""
    image: Image | None = None
    deliveries: list[str] = field(default_factory=list)  # what the callback address answered
    delivered_at: float | None = None  # Unix seconds at which the first callback set out

    @property
    def state(self) -> str:
        """The status as a word, for people."""
        return _STATES[RETRYING if self.stuck else self.status]

    def progress(self) -> tuple[float, int]:
        """`process` and `status`: 0 to 100, an int or a float, and back to 0 on failure (official)."""
        elapsed = time.monotonic() - self.created
        share = round(min(99.0, 100 * elapsed / self.duration), 1) if self.duration else 99
        if self.stuck:
            return min(share, 50), RETRYING
        if self.shows_retry and elapsed >= self.duration / 2:
            self.shows_retry = False
            return share, RETRYING
        if self.status == RUNNING:
            return share, RUNNING
        return (100, SUCCESS) if self.status == SUCCESS else (0, FAILED)


class OfflineTasks:
    def __init__(
        self, options: Options, store: Store, fetcher: Fetcher, callbacks: Callbacks, last_id: int
    ) -> None:
        self._options = options
        self._store = store
        self._fetcher = fetcher
        self._callbacks = callbacks
        self.last_id = last_id
        self._tasks: dict[int, OfflineTask] = {}
        self._timers: dict[int, asyncio.TimerHandle] = {}
        self._work: set[asyncio.Task[None]] = set()
        self._held: list[OfflineTask] = []
        self.running: Counter[str] = Counter()  # by clientID

    async def submit(
        self, client_id: str, url: str, file_name: str | None, directory_id: str | None, callback_url: str
    ) -> OfflineTask:
        options = self._options
        if options.active_cap is not None and self.running[client_id] >= options.active_cap:
            raise Refusal(TOO_MANY)
        self.last_id = max(self.last_id + 1, options.first_task_id)
        task = self._tasks[self.last_id] = OfflineTask(
            *(self.last_id, client_id, url, file_name, directory_id, callback_url),
            duration=random.uniform(*options.delay),
            stuck=bool(options.stuck and options.stuck.search(url)),
            shows_retry=bool(options.retrying and options.retrying.search(url)),
        )
        self.running[client_id] += 1
        if task.stuck:
            return task
        if options.callback == "early":
            await self._run(task)
        else:
            loop = asyncio.get_running_loop()
            self._timers[task.task_id] = loop.call_later(task.duration, self._due, task)
        return task

    def find(self, client_id: str, task_id: int) -> OfflineTask:
        """Undocumented: what an unknown taskID is answered, and whether a new one is known at once."""
        task = self._tasks.get(task_id)
        if task is None or task.client_id != client_id:
            raise Refusal(f"offline task {task_id} does not exist")
        if time.monotonic() - task.created < self._options.unknown_task:
            raise Refusal(f"offline task {task_id} does not exist")
        return task

    def newest_first(self, limit: int | None = None) -> list[OfflineTask]:
        return list(islice(reversed(self._tasks.values()), limit))

    def __len__(self) -> int:
        return len(self._tasks)

    def clear(self) -> None:
        """Forget all tasks and stop what is under way."""
        for timer in self._timers.values():
            timer.cancel()
        for work in self._work:
            work.cancel()
        self._timers.clear()
        self._held.clear()
        self._tasks.clear()
        self.running.clear()

    def changed(self) -> None:
        """Settings have changed: end what is held no longer."""
        held, self._held = self._held, []
        for task in held:
            self._end(task)

    def _due(self, task: OfflineTask) -> None:
        del self._timers[task.task_id]
        self._end(task)

    def _end(self, task: OfflineTask) -> None:
        if self._options.hold and self._options.hold.search(task.url):
            self._held.append(task)
        else:
            self._start(self._run(task))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        started = asyncio.get_running_loop().create_task(work)
        self._work.add(started)  # the loop itself holds its tasks only weakly
        started.add_done_callback(self._work.discard)

    async def _run(self, task: OfflineTask) -> None:
        another = next(iter(self._store.tree(task.client_id).images.values()), None)
        try:
            picture = await self._fetcher.fetch(task.url)
            task.image = self._keep(task, picture)
            task.status = SUCCESS
        except (FetchError, Refusal) as error:
            task.reason = str(error)
            task.status = FAILED
        self.running[task.client_id] -= 1
        await self._callbacks.announce(task, another)

    def _keep(self, task: OfflineTask, picture: Picture) -> Image:
        options = self._options
        tree = self._store.tree(task.client_id)
        directory = (
            tree.default_directory() if task.directory_id is None else tree.directory(task.directory_id)
        )
        rejected = options.review and options.review.search(task.url)
        self._store.keep(picture)
        return tree.save(
            picture,
            task.file_name or name_from(task.url, picture),
            directory,
            rename=options.same_etag == "rename",
            refresh=options.same_etag_dates == "refresh",
            status=REJECTED if rejected else HEALTHY,
            visible_at=time.monotonic() + options.visible_after,
        )


def name_from(url: str, picture: Picture) -> str:
    """Undocumented: the name without `fileName`. Here the address's last part, with an image extension."""
    name = unquote(urlsplit(url).path.rpartition("/")[2]) or picture.etag
    return name if extension_of(name) else f"{name}.{picture.extension}"
