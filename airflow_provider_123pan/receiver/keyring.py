"""The signing keys of connections, looked up seldom whatever the requests claim."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Protocol, TypeAlias, TypeVar

log = logging.getLogger(__name__)

Keys: TypeAlias = tuple[bytes, ...]
_Found = TypeVar("_Found")

KEEP_SECONDS = 60.0  # seconds until keys that fit are looked up again
RETRY_SECONDS = (
    5.0  # seconds until a connection is looked up again because it was unknown or its keys did not fit
)
UNKNOWN_LOOKUPS_PER_SECOND = 3.0  # look-ups of names that were never a connection's
_LOOKUP_SECONDS = 5.0  # seconds that a request waits for a look-up
_MAX_RUNNING = 20
_MAX_UNKNOWN_IDS = 1000


class KeySource(Protocol):
    """Where keys come from; both calls block, and may raise anything."""

    def names(self) -> Iterable[str]: ...
    def keys(self, conn_id: str) -> Keys: ...


@dataclass(frozen=True, slots=True)
class _Entry:
    keys: Keys
    looked_up_at: float


class Keyring:
    """Keys by connection, for one event loop.

    A name that no connection has gets a key that nobody knows, so that it is refused by the same steps as a wrong
    signature. Connections that are known are looked up whenever it is due; names that are not share a small allowance.
    """

    def __init__(
        self, source: KeySource, executor: Executor, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._source = source
        self._executor = executor
        self._clock = clock
        self._unknown_key: Keys = (secrets.token_bytes(32),)
        self._listed: frozenset[str] = frozenset()
        self._entries: dict[str, _Entry] = {}
        self._running: dict[str, asyncio.Task[Keys]] = {}
        self._allowance = UNKNOWN_LOOKUPS_PER_SECOND
        self._allowed_at = clock()

    @property
    def usable(self) -> int:
        """How many connections can be verified, of those seen so far."""
        return sum(bool(entry.keys) for entry in self._entries.values())

    async def refresh(self) -> None:
        """Look up all connections that can be listed."""
        loop = asyncio.get_running_loop()
        self._listed = frozenset(await loop.run_in_executor(self._executor, self._source.names))
        for conn_id in self._listed:
            await self._of(conn_id, KEEP_SECONDS)

    async def verify(self, conn_id: str, check: Callable[[Keys], _Found | None]) -> _Found | None:
        """What ``check`` finds with the connection's keys; if nothing, once more with those of a new look-up, if one is
        due: the secret may have been changed."""
        keys = await self._of(conn_id, KEEP_SECONDS)
        found = check(keys)
        if found is None and (newer := await self._of(conn_id, RETRY_SECONDS)) != keys:
            found = check(newer)
        return found

    async def _of(self, conn_id: str, max_age: float) -> Keys:
        entry = self._entries.get(conn_id)
        keys = entry.keys if entry else ()
        age = self._clock() - entry.looked_up_at if entry else float("inf")
        due = age >= (max_age if keys else RETRY_SECONDS)
        if due and (keys or conn_id in self._listed or conn_id in self._running or self._allowed()):
            if conn_id not in self._running:
                self._running[conn_id] = asyncio.create_task(self._look_up(conn_id, keys))
            task = self._running[conn_id]
            await asyncio.wait({task}, timeout=_LOOKUP_SECONDS)
            keys = task.result() if task.done() else keys
        return keys or self._unknown_key

    async def _look_up(self, conn_id: str, before: Keys) -> Keys:
        loop = asyncio.get_running_loop()
        try:
            keys = await loop.run_in_executor(self._executor, self._source.keys, conn_id)
        except Exception as error:
            log.warning("The keys of a connection could not be looked up: %s", type(error).__name__)
            keys = before
        finally:
            del self._running[conn_id]
        self._entries.pop(conn_id, None)
        self._entries[conn_id] = _Entry(keys, self._clock())
        self._forget_unknown()
        return keys

    def _allowed(self) -> bool:
        now = self._clock()
        self._allowance = min(
            UNKNOWN_LOOKUPS_PER_SECOND,
            self._allowance + (now - self._allowed_at) * UNKNOWN_LOOKUPS_PER_SECOND,
        )
        self._allowed_at = now
        if self._allowance < 1 or len(self._running) >= _MAX_RUNNING:
            return False
        self._allowance -= 1
        return True

    def _forget_unknown(self) -> None:
        unknown = [conn_id for conn_id, entry in self._entries.items() if not entry.keys]
        for conn_id in unknown[:-_MAX_UNKNOWN_IDS]:
            del self._entries[conn_id]
