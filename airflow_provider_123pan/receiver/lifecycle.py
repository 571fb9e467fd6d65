"""The parts behind the receiver's routes: started, repaired and stopped together, once per process."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from airflow_provider_123pan.receiver.inbox import Inbox
from airflow_provider_123pan.receiver.keyring import Keyring, KeyringTiming, KeySource
from airflow_provider_123pan.receiver.pruner import Pruner
from airflow_provider_123pan.receiver.reader import Reader, ReaderTiming
from airflow_provider_123pan.receiver.writer import Writer, WriterTiming

log = logging.getLogger(__name__)

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class ReceiverTiming:
    """The durations of a receiver, in seconds, and those of its parts.

    :ivar start: the start waits this long for the inbox, and then continues without it.
    :ivar reopen: between two attempts to open the inbox.
    :ivar refresh: between two look-ups of all listed connections, about.
    :ivar prune: between two deletions of old deliveries, about.
    :ivar body: a body that takes longer to arrive counts as one that cannot be read.
    :ivar health: a result of a health check is reused for this long, because any client may request one.
    :ivar health_check: a health check that takes longer than this has failed.
    """

    start: float = 5.0
    reopen: float = 5.0
    refresh: float = 60.0
    prune: float = 3600.0
    body: float = 10.0
    health: float = 1.0
    health_check: float = 5.0
    writer: WriterTiming = field(default_factory=WriterTiming)
    reader: ReaderTiming = field(default_factory=ReaderTiming)
    keyring: KeyringTiming = field(default_factory=KeyringTiming)


class Lifecycle:
    """Keyring, writer and reader over one inbox, started and stopped in one event loop.

    :param retention: seconds for which deliveries are kept.
    """

    def __init__(
        self, inbox: Inbox, source: KeySource, retention: float, timing: ReceiverTiming = ReceiverTiming()
    ) -> None:
        self._inbox = inbox
        self._pruner = Pruner(inbox, retention)
        self._timing = timing
        # Separate threads: a slow look-up of keys delays no commit, and neither does a long read.
        self._key_threads = ThreadPoolExecutor(2, "pan123-keys")
        self._read_threads = ThreadPoolExecutor(2, "pan123-read")
        self._write_thread = ThreadPoolExecutor(1, "pan123-write")
        self.keyring = Keyring(source, self._key_threads, timing.keyring)
        self.reader = Reader(inbox, self._read_threads, self._failed, timing.reader)
        self.writer = Writer(inbox, self._write_thread, self.reader.wake, self._failed, timing.writer)
        self._tasks: list[asyncio.Task[None]] = []
        self._opening: asyncio.Task[None] | None = None
        self._check: asyncio.Task[None] | None = None
        self._checked_at = float("-inf")

    @property
    def ready(self) -> bool:
        """Whether the inbox was available when it was last used."""
        return self._opening is not None and self._opening.done()

    async def start(self) -> None:
        """Start all parts, and return when the inbox is open, or after a few seconds; never fail."""
        self._opening = asyncio.create_task(self._open_inbox())
        self._tasks = [
            asyncio.create_task(self.reader.run()),
            asyncio.create_task(_repeat(self._prune, self._timing.prune)),
            asyncio.create_task(_repeat(self.keyring.refresh, self._timing.refresh)),
        ]
        await asyncio.wait({self._opening}, timeout=self._timing.start)

    async def stop(self) -> None:
        """Stop all parts; running transactions end by themselves."""
        self.writer.close()
        tasks = [*self._tasks, *filter(None, (self._opening, self._check))]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for threads in (self._key_threads, self._read_threads, self._write_thread):
            threads.shutdown(wait=False, cancel_futures=True)
        self._inbox.close()

    async def is_healthy(self) -> bool:
        """Return whether a delivery could be stored now."""
        check = self._check
        if check is None and self.ready and time.monotonic() - self._checked_at > self._timing.health:
            check = self._check = asyncio.create_task(self._check_inbox())
        if check and not (await asyncio.wait({check}, timeout=self._timing.health_check))[0]:
            return False
        return self.ready

    async def _check_inbox(self) -> None:
        """Begin and commit a transaction as a delivery does, because a database may be readable and still be locked."""
        try:
            await asyncio.get_running_loop().run_in_executor(self._write_thread, self._inbox.store, [])
        except Exception as error:
            self._failed(error)
        finally:
            self._check, self._checked_at = None, time.monotonic()

    def _failed(self, error: Exception) -> None:
        if self.ready:
            log.warning("The inbox is unavailable; the receiver tries to open it again: %s", _reason(error))
            self._opening = asyncio.create_task(self._open_inbox())

    async def _open_inbox(self) -> None:
        """Create the missing tables, with as many attempts as it takes."""
        logged = False
        while True:
            try:
                await self._call(self._inbox.create)
                return
            except Exception as error:
                if not logged:
                    log.warning(
                        "The inbox cannot be opened; the receiver tries again every %g s: %s",
                        self._timing.reopen,
                        _reason(error),
                    )
                logged = True
            await asyncio.sleep(self._timing.reopen)

    async def _prune(self) -> None:
        if self._opening:
            await asyncio.wait({self._opening})
        if number := await self._call(self._pruner.prune):
            log.info("Deleted %d old deliveries", number)

    async def _call(self, function: Callable[..., _Result], *arguments: Any) -> _Result:
        return await asyncio.get_running_loop().run_in_executor(self._read_threads, function, *arguments)


async def _repeat(step: Callable[[], Awaitable[None]], seconds: float) -> None:
    while True:
        try:
            await step()
        except Exception as error:
            log.warning("%s failed and will be repeated: %s", step.__name__.strip("_"), _reason(error))
        # With jitter, so that several processes do not run it at the same time.
        await asyncio.sleep(seconds * random.uniform(0.8, 1.2))


def _reason(error: Exception) -> str:
    """Return an error's first line: SQLAlchemy's message continues with the statement and its parameters."""
    cause = getattr(error, "orig", None) or error
    return f"{type(cause).__name__}: {str(cause).partition(chr(10))[0]}"
