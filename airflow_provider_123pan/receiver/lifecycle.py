"""What runs behind the receiver's routes, once per process."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from airflow_provider_123pan.receiver.inbox import Inbox
from airflow_provider_123pan.receiver.keyring import Keyring, KeySource
from airflow_provider_123pan.receiver.reader import Reader
from airflow_provider_123pan.receiver.writer import Writer

log = logging.getLogger(__name__)

_Result = TypeVar("_Result")

_START_SECONDS = 5.0  # seconds that a start waits for the inbox; it goes on without
_REOPEN_SECONDS = 5.0
_REFRESH_SECONDS = 60.0
_PRUNE_SECONDS = 3600.0
_HEALTH_SECONDS = 1.0  # seconds that an answer about the inbox is good for: anybody may ask


class Lifecycle:
    """Keys, writer and reader over one inbox; to be started and stopped in one event loop.

    :param retention: seconds that deliveries are kept.
    """

    def __init__(self, inbox: Inbox, source: KeySource, retention: float) -> None:
        self._inbox = inbox
        self._retention = retention
        # Threads of their own each: a slow look-up of keys holds up no commit, and neither does a long read.
        self._key_threads = ThreadPoolExecutor(2, "pan123-keys")
        self._read_threads = ThreadPoolExecutor(2, "pan123-read")
        self._write_thread = ThreadPoolExecutor(1, "pan123-write")
        self.keyring = Keyring(source, self._key_threads)
        self.reader = Reader(inbox, self._read_threads, self._failed)
        self.writer = Writer(inbox, self._write_thread, self.reader.wake, self._failed)
        self._tasks: list[asyncio.Task[None]] = []
        self._opening: asyncio.Task[None] | None = None
        self._checked_at = float("-inf")

    @property
    def ready(self) -> bool:
        """Whether the inbox is there, as far as is known."""
        return self._opening is not None and self._opening.done()

    async def start(self) -> None:
        """Returns when the inbox is there, or after a few seconds; never fails."""
        self._opening = asyncio.create_task(self._open_inbox())
        self._tasks = [
            asyncio.create_task(self.reader.run()),
            asyncio.create_task(_repeat(self._prune, _PRUNE_SECONDS)),
            asyncio.create_task(_repeat(self.keyring.refresh, _REFRESH_SECONDS)),
        ]
        await asyncio.wait({self._opening}, timeout=_START_SECONDS)

    async def stop(self) -> None:
        self.writer.close()
        tasks = [*self._tasks, *([self._opening] if self._opening else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for threads in (self._key_threads, self._read_threads, self._write_thread):
            threads.shutdown(wait=False, cancel_futures=True)
        self._inbox.close()

    async def is_healthy(self) -> bool:
        """Whether the inbox answers now."""
        if self.ready and time.monotonic() - self._checked_at > _HEALTH_SECONDS:
            self._checked_at = time.monotonic()
            try:
                await self._call(self._inbox.state)
            except Exception as error:
                self._failed(error)
        return self.ready

    def _failed(self, error: Exception) -> None:
        if self.ready:
            log.warning("The inbox is out of order: %s", _reason(error))
            self._opening = asyncio.create_task(self._open_inbox())

    async def _open_inbox(self) -> None:
        """Try until the tables are there."""
        quiet = False
        while True:
            try:
                await self._call(self._inbox.create)
                return
            except Exception as error:
                if not quiet:
                    log.warning("The inbox cannot be opened, trying on: %s", _reason(error))
                quiet = True
            await asyncio.sleep(_REOPEN_SECONDS)

    async def _prune(self) -> None:
        if self._opening:
            await asyncio.wait({self._opening})
        if number := await self._call(self._inbox.prune, time.time() - self._retention):
            log.info("Deleted %d old deliveries", number)

    async def _call(self, function: Callable[..., _Result], *arguments: Any) -> _Result:
        return await asyncio.get_running_loop().run_in_executor(self._read_threads, function, *arguments)


async def _repeat(step: Callable[[], Awaitable[None]], every: float) -> None:
    while True:
        try:
            await step()
        except Exception as error:
            log.warning("%s did not work: %s", step.__name__, _reason(error))
        # Spread, so that several processes do not come at once.
        await asyncio.sleep(every * random.uniform(0.8, 1.2))


def _reason(error: Exception) -> str:
    """The first line; SQLAlchemy's own text goes on with the statement and its parameters."""
    cause = getattr(error, "orig", None) or error
    return f"{type(cause).__name__}: {str(cause).partition(chr(10))[0]}"
