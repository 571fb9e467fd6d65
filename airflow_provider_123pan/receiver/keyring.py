"""The signing keys of connections, cached and rate-limited, so that requests cause few look-ups."""

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


@dataclass(frozen=True, slots=True)
class KeyringTiming:
    """The durations of a keyring in seconds, and its bounds.

    :ivar keep: keys are looked up again after this time.
    :ivar retry: an unknown connection, or one whose keys did not fit a signature, is looked up again after this time.
    :ivar lookup: a request waits this long for a look-up.
    :ivar unknown_lookups_per_second: look-ups of ids that have never been a connection's; also how many of them may
        come in a burst.
    :ivar max_running: look-ups that may run at the same time before an unknown id has to wait.
    :ivar max_unknown_ids: unknown ids that are remembered.
    """

    keep: float = 60.0
    retry: float = 5.0
    lookup: float = 5.0
    unknown_lookups_per_second: float = 3.0
    max_running: int = 20
    max_unknown_ids: int = 1000


class KeySource(Protocol):
    """Provides the connections' keys; both methods block, and may raise any error."""

    def names(self) -> Iterable[str]:
        """Return the ids of the connections that can be listed."""
        ...

    def keys(self, conn_id: str) -> Keys:
        """Return the keys of a connection, or none if it is unknown or cannot sign."""
        ...


@dataclass(frozen=True, slots=True)
class _Entry:
    keys: Keys
    looked_up_at: float


class Keyring:
    """Keys by connection id, for one event loop.

    An unknown id gets a random key, so that it takes the same steps to be rejected as a wrong signature. Known
    connections are looked up whenever they are due; unknown ids share a small allowance of look-ups.

    :param clock: returns seconds.
    """

    def __init__(
        self,
        source: KeySource,
        executor: Executor,
        timing: KeyringTiming = KeyringTiming(),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source = source
        self._executor = executor
        self._timing = timing
        self._clock = clock
        self._unknown_key: Keys = (secrets.token_bytes(32),)
        self._listed: frozenset[str] = frozenset()
        self._entries: dict[str, _Entry] = {}
        self._running: dict[str, asyncio.Task[Keys]] = {}
        self._allowance = timing.unknown_lookups_per_second
        self._allowed_at = clock()

    @property
    def usable(self) -> int:
        """The number of connections seen since the start whose callbacks can be verified."""
        return sum(bool(entry.keys) for entry in self._entries.values())

    async def refresh(self) -> None:
        """Look up all connections that can be listed and are due."""
        loop = asyncio.get_running_loop()
        self._listed = frozenset(await loop.run_in_executor(self._executor, self._source.names))
        for conn_id in self._listed:
            await self._keys_of(conn_id, self._timing.keep)

    async def verify(self, conn_id: str, check: Callable[[Keys], _Found | None]) -> _Found | None:
        """Return what ``check`` finds with the connection's keys.

        If it finds nothing, and a look-up is due, check again with the new keys: the secret may have been changed.
        """
        keys = await self._keys_of(conn_id, self._timing.keep)
        found = check(keys)
        if found is None and (newer := await self._keys_of(conn_id, self._timing.retry)) != keys:
            found = check(newer)
        return found

    async def _keys_of(self, conn_id: str, max_age: float) -> Keys:
        entry = self._entries.get(conn_id)
        keys = entry.keys if entry else ()
        age = self._clock() - entry.looked_up_at if entry else float("inf")
        due = age >= (max_age if keys else self._timing.retry)
        if due and (keys or conn_id in self._listed or conn_id in self._running or self._take_allowance()):
            if conn_id not in self._running:
                self._running[conn_id] = asyncio.create_task(self._look_up(conn_id, keys))
            task = self._running[conn_id]
            await asyncio.wait({task}, timeout=self._timing.lookup)
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

    def _take_allowance(self) -> bool:
        rate, now = self._timing.unknown_lookups_per_second, self._clock()
        self._allowance = min(rate, self._allowance + (now - self._allowed_at) * rate)
        self._allowed_at = now
        if self._allowance < 1 or len(self._running) >= self._timing.max_running:
            return False
        self._allowance -= 1
        return True

    def _forget_unknown(self) -> None:
        unknown = [conn_id for conn_id, entry in self._entries.items() if not entry.keys]
        for conn_id in unknown[: -self._timing.max_unknown_ids]:
            del self._entries[conn_id]
