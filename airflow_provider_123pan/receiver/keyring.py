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

from airflow_provider_123pan.receiver.writer import UnavailableError

log = logging.getLogger(__name__)

Keys: TypeAlias = tuple[bytes, ...]
_Found = TypeVar("_Found")


@dataclass(frozen=True, slots=True)
class KeyringTiming:
    """The durations of a keyring in seconds, and its bounds.

    :ivar keep: keys are looked up again after this time.
    :ivar retry: after a rejected request, further ones of the same connection cause no look-up for this time.
    :ivar lookup: a request waits this long for a look-up.
    :ivar lookups_per_second: look-ups that requests without a valid signature may cause; also how many of them may come
        in a burst.
    :ivar max_running: look-ups that may run at the same time before such a request causes no more.
    :ivar max_unknown_ids: ids of unknown connections that are remembered.
    """

    keep: float = 60.0
    retry: float = 5.0
    lookup: float = 5.0
    lookups_per_second: float = 3.0
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


@dataclass(slots=True)
class _Entry:
    """What is known of a connection id.

    :ivar rejected_at: when the newest keys did not fit a signature.
    :ivar verified: whether a signature was valid.
    """

    keys: Keys = ()
    looked_up_at: float = float("-inf")
    rejected_at: float = float("-inf")
    verified: bool = False


class Keyring:
    """Keys by connection id, for one event loop.

    Whether a connection exists must not show: a signature is checked with the keys in memory, or with a random key if
    there are none. If it is not valid, all connection ids take the same steps, and share a small allowance of look-ups.
    A known connection is one that was listed, or that has sent a valid signature. Its id counts only as it is spelled,
    because some backends find a connection under any spelling.

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
        self._random_key: Keys = (secrets.token_bytes(32),)
        self._listed: frozenset[str] = frozenset()
        self._listed_folded: frozenset[str] = frozenset()
        self._entries: dict[str, _Entry] = {}
        self._running: dict[str, asyncio.Task[bool]] = {}
        self._allowance = timing.lookups_per_second
        self._allowed_at = clock()

    @property
    def usable(self) -> int:
        """The number of known connections whose callbacks can be verified."""
        return sum(bool(entry.keys) and self._is_known(conn_id) for conn_id, entry in self._entries.items())

    async def refresh(self) -> None:
        """Look up all connections that can be listed and are due."""
        loop = asyncio.get_running_loop()
        self._listed = frozenset(await loop.run_in_executor(self._executor, self._source.names))
        self._listed_folded = frozenset(map(str.casefold, self._listed))
        for conn_id in self._listed:
            if self._is_due(self._entry(conn_id)):
                await self._look_up(conn_id)

    async def verify(self, conn_id: str, check: Callable[[Keys], _Found | None]) -> _Found | None:
        """Return what ``check`` finds with the connection's keys, or None if the signature is not valid.

        :raises UnavailableError: the signature may be valid, but the newest keys could not be looked up.
        """
        entry = self._entry(conn_id)
        found = check(entry.keys or self._random_key)
        if found is None:
            return await self._verify_again(conn_id, entry, check)
        entry.verified = True
        if self._is_due(entry) and await self._look_up(conn_id):
            found = check(self._entry(conn_id).keys or self._random_key)
        return found

    async def _verify_again(
        self, conn_id: str, entry: _Entry, check: Callable[[Keys], _Found | None]
    ) -> _Found | None:
        """Check with the newest keys: the connection may be new, or its secret changed."""
        if self._clock() - entry.rejected_at < self._timing.retry:
            return None
        if conn_id not in self._running and not self._take_allowance():
            raise UnavailableError
        if not await self._look_up(conn_id):
            raise UnavailableError
        entry = self._entry(conn_id)
        found = check(entry.keys or self._random_key)
        if found is None:
            entry.rejected_at = self._clock()
        else:
            entry.verified = True
        return found

    async def _look_up(self, conn_id: str) -> bool:
        """Look up a connection's keys, and return whether that succeeded in time."""
        if conn_id not in self._running:
            self._running[conn_id] = asyncio.create_task(self._run_lookup(conn_id))
        task = self._running[conn_id]
        await asyncio.wait({task}, timeout=self._timing.lookup)
        return task.done() and task.result()

    async def _run_lookup(self, conn_id: str) -> bool:
        loop = asyncio.get_running_loop()
        try:
            keys = await loop.run_in_executor(self._executor, self._source.keys, conn_id)
        except Exception as error:
            log.warning("The keys of a connection could not be looked up: %s", type(error).__name__)
            self._entry(
                conn_id
            ).looked_up_at = self._clock()  # known keys stay in use until they are due again
            return False
        finally:
            del self._running[conn_id]
        entry = self._entries.pop(conn_id, _Entry())
        entry.keys, entry.looked_up_at = keys, self._clock()
        entry.verified = entry.verified and bool(keys)
        self._entries[conn_id] = entry
        self._forget_unknown()
        return True

    def _entry(self, conn_id: str) -> _Entry:
        """Return a connection id's entry, or an empty one that is not kept."""
        return self._entries.get(conn_id, _Entry())

    def _is_due(self, entry: _Entry) -> bool:
        return self._clock() - entry.looked_up_at >= self._timing.keep

    def _is_known(self, conn_id: str) -> bool:
        if conn_id in self._listed:
            return True
        return self._entries[conn_id].verified and conn_id.casefold() not in self._listed_folded

    def _take_allowance(self) -> bool:
        rate, now = self._timing.lookups_per_second, self._clock()
        self._allowance = min(rate, self._allowance + (now - self._allowed_at) * rate)
        self._allowed_at = now
        if self._allowance < 1 or len(self._running) >= self._timing.max_running:
            return False
        self._allowance -= 1
        return True

    def _forget_unknown(self) -> None:
        """Forget all but the unknown ids that were looked up last."""
        unknown = [conn_id for conn_id in self._entries if not self._is_known(conn_id)]
        for conn_id in unknown[: -self._timing.max_unknown_ids]:
            del self._entries[conn_id]
