"""Offline tasks: from the submission to the stored image, or to the reason why there is none."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from itertools import islice
from typing import Any
from urllib.parse import unquote, urlsplit

from airflow_provider_123pan.sandbox.envelope import Refusal
from airflow_provider_123pan.sandbox.fetcher import Fetcher, FetchError
from airflow_provider_123pan.sandbox.images import Picture, extension_of
from airflow_provider_123pan.sandbox.naming import DEFAULT_DIRECTORY_NAMES
from airflow_provider_123pan.sandbox.options import Options
from airflow_provider_123pan.sandbox.saving import save_picture
from airflow_provider_123pan.sandbox.store import HEALTHY, REJECTED, Image, Store

RUNNING, FAILED, SUCCESS, RETRYING = 0, 1, 2, 3
_STATES = ("running", "failed", "success", "retrying")
TOO_MANY = "同时下载的任务超出最大限制"  # observed on the cloud drive, a sister product


@dataclass(eq=False, slots=True)
class OfflineTask:
    """One offline task.

    :ivar task_id: The taskID.
    :ivar client_id: The clientID of the account that submitted the task.
    :ivar url: The source URL.
    :ivar file_name: The requested name of the image, or None to derive it from the URL.
    :ivar directory_id: The requested directory, or None for the default directory.
    :ivar callback_url: The callback URL, or an empty string.
    :ivar duration: Seconds from the submission to the end.
    :ivar stuck: True if the task never ends.
    :ivar retry_pending: True if progress still has to report "retrying" once.
    :ivar created: When the task was submitted, on the monotonic clock in seconds.
    :ivar status: The status that progress reports: `RUNNING`, `FAILED` or `SUCCESS`.
    :ivar reason: The reason of a failure, or an empty string.
    :ivar image: The stored image, or None.
    :ivar deliveries: The result of each callback: `HTTP <status>`, or the name of an exception.
    :ivar delivered_at: When the first callback was sent, in Unix seconds, or None.
    """

    task_id: int
    client_id: str
    url: str
    file_name: str | None
    directory_id: str | None
    callback_url: str
    duration: float
    stuck: bool
    retry_pending: bool
    created: float = field(default_factory=time.monotonic)
    status: int = RUNNING
    reason: str = ""
    image: Image | None = None
    deliveries: list[str] = field(default_factory=list)
    delivered_at: float | None = None

    @property
    def state(self) -> str:
        """The status as a word."""
        return _STATES[RETRYING if self.stuck else self.status]

    def progress(self) -> tuple[float, int]:
        """Return the next answer about progress; it may be the one that reports "retrying".

        :returns: `process`, a percentage that falls back to 0 on failure (official), and `status`.
        """
        elapsed = time.monotonic() - self.created
        share = round(min(99.0, 100 * elapsed / self.duration), 1) if self.duration else 99
        if self.stuck:
            return min(share, 50), RETRYING
        if self.retry_pending and elapsed >= self.duration / 2:
            self.retry_pending = False
            return share, RETRYING
        if self.status == RUNNING:
            return share, RUNNING
        return (100, SUCCESS) if self.status == SUCCESS else (0, FAILED)

    def succeed(self, image: Image) -> None:
        """End the task with a stored image."""
        self.image = image
        self.status = SUCCESS

    def fail(self, reason: str) -> None:
        """End the task without an image."""
        self.reason = reason
        self.status = FAILED

    def delivery_starts(self) -> None:
        """Record that a callback is being sent."""
        self.delivered_at = self.delivered_at or time.time()

    def delivery_ended(self, result: str) -> None:
        """Record the result of a callback.

        :param result: `HTTP <status>`, or the name of an exception.
        """
        self.deliveries.append(result)


Announce = Callable[[OfflineTask, Image | None], Awaitable[None]]


class OfflineTasks:
    """All offline tasks.

    :ivar last_id: The highest taskID used.
    :ivar running: Number of running tasks per clientID.
    """

    def __init__(
        self, options: Options, store: Store, fetcher: Fetcher, announce: Announce, last_id: int
    ) -> None:
        """Start without tasks.

        :param options: The sandbox's options; a change takes effect at once.
        :param store: Where images are stored.
        :param fetcher: Downloads source images.
        :param announce: Sends the callbacks of a task that has ended; its second argument is an image
            of another task, or None.
        :param last_id: The next taskID is higher than this.
        """
        self._options = options
        self._store = store
        self._fetcher = fetcher
        self._announce = announce
        self.last_id = last_id
        self._tasks: dict[int, OfflineTask] = {}
        self._timers: dict[int, asyncio.TimerHandle] = {}
        self._work: set[asyncio.Task[None]] = set()
        self._on_hold: list[OfflineTask] = []
        self.running: Counter[str] = Counter()

    async def submit(
        self, client_id: str, url: str, file_name: str | None, directory_id: str | None, callback_url: str
    ) -> OfflineTask:
        """Create a task and schedule its end; with `callback="early"`, end it before returning.

        :param client_id: The clientID of the submitting account.
        :param url: The source URL.
        :param file_name: The requested name of the image, or None.
        :param directory_id: The requested directory, or None for the default directory.
        :param callback_url: The callback URL, or an empty string.
        :returns: The new task.
        :raises Refusal: `active_cap` tasks of the account are already running.
        """
        options = self._options
        if options.active_cap is not None and self.running[client_id] >= options.active_cap:
            raise Refusal(TOO_MANY)
        self.last_id = max(self.last_id + 1, options.first_task_id)
        task = self._tasks[self.last_id] = OfflineTask(
            *(self.last_id, client_id, url, file_name, directory_id, callback_url),
            duration=random.uniform(*options.delay),
            stuck=bool(options.stuck and options.stuck.search(url)),
            retry_pending=bool(options.retrying and options.retrying.search(url)),
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

    def progress(self, client_id: str, task_id: int) -> tuple[float, int]:
        """Return the next answer about the progress of an account's task.

        What the service answers for an unknown taskID, and whether it knows a new one at once, is undocumented.

        :returns: As `OfflineTask.progress()`.
        :raises Refusal: The account has no such task, or the task is younger than `unknown_task` seconds, unless the
            option `unknown_task_as` is `running`.
        """
        task, now = self._tasks.get(task_id), time.monotonic()
        if task and task.client_id == client_id and now - task.created >= self._options.unknown_task:
            return task.progress()
        if self._options.unknown_task_as == "running":
            return 0, RUNNING
        raise Refusal(f"offline task {task_id} does not exist")

    def newest_first(self, limit: int | None = None) -> list[OfflineTask]:
        """Return up to `limit` tasks of all accounts, or all of them."""
        return list(islice(reversed(self._tasks.values()), limit))

    def __len__(self) -> int:
        """Return the number of tasks of all accounts."""
        return len(self._tasks)

    def clear(self) -> None:
        """Forget all tasks, and stop those that are running."""
        for timer in self._timers.values():
            timer.cancel()
        for work in self._work:
            work.cancel()
        self._timers.clear()
        self._on_hold.clear()
        self._tasks.clear()
        self.running.clear()

    def options_changed(self) -> None:
        """End the tasks that the option `hold` no longer matches."""
        on_hold, self._on_hold = self._on_hold, []
        for task in on_hold:
            self._end(task)

    def _due(self, task: OfflineTask) -> None:
        del self._timers[task.task_id]
        self._end(task)

    def _end(self, task: OfflineTask) -> None:
        if self._options.hold and self._options.hold.search(task.url):
            self._on_hold.append(task)
        else:
            self._start(self._run(task))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        started = asyncio.get_running_loop().create_task(work)
        self._work.add(started)  # the event loop holds only weak references to its tasks
        started.add_done_callback(self._work.discard)

    async def _run(self, task: OfflineTask) -> None:
        other_image = next(iter(self._store.tree(task.client_id).images.values()), None)
        try:
            task.succeed(self._store_image(task, await self._fetcher.fetch(task.url)))
        except (FetchError, Refusal) as error:
            task.fail(str(error))
        self.running[task.client_id] -= 1
        await self._announce(task, other_image)

    def _store_image(self, task: OfflineTask, picture: Picture) -> Image:
        options = self._options
        tree = self._store.tree(task.client_id)
        if task.directory_id is None:
            name = DEFAULT_DIRECTORY_NAMES[options.default_directory]
            directory = tree.default_directory(name, options.default_directories)
        else:
            directory = tree.directory(task.directory_id)
        rejected = options.review and options.review.search(task.url)
        return save_picture(
            options,
            self._store,
            tree,
            picture,
            task.file_name or name_from(task.url, picture),
            directory,
            status=REJECTED if rejected else HEALTHY,
        )


def name_from(url: str, picture: Picture) -> str:
    """Return the name of an image that was submitted without `fileName`.

    The service's rule is undocumented; the sandbox takes the last part of the URL's path (or the etag), and adds an
    image extension if it has none.
    """
    name = unquote(urlsplit(url).path.rpartition("/")[2]) or picture.etag
    return name if extension_of(name) else f"{name}.{picture.extension}"
