"""Keeps the images in flight in Airflow's ``task_state_store``, so that a retry continues with them."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_123pan.sync.in_flight import Clock, InFlight, StoredImage

if TYPE_CHECKING:
    from airflow.sdk import Context

log = logging.getLogger(__name__)

STORE_KEY = "pan123_sync"
_LATEST_TIME = 4_102_444_800.0  # Unix seconds of the year 2100

# After a write, the store gets a pause of this many times the duration of the write.
_PAUSE_FACTOR = 1.0


class Journal:
    """The record of the images in flight.

    :param store: None on Airflow 3.2, where a retry after a crash submits again what was in flight.
    :param target: a digest of account and directory; a record of another target is ignored.
    """

    def __init__(self, store: Any, target: str, clock: Clock = time.monotonic) -> None:
        self._store = store
        self._target = target
        self._clock = clock
        self._due_at = 0.0

    @classmethod
    def of(cls, account: str, directory: str, context: Context) -> Journal:
        """Return the journal of a task for a directory of an account."""
        store: Any = context.get("task_state_store")  # Airflow 3.3
        return cls(store, hashlib.sha256(f"{account} {directory}".encode()).hexdigest())

    def load(self) -> Mapping[str, Any] | None:
        """Return the stored form of what an earlier try left in flight, if there is any.

        A record of a wrong shape is ignored with a warning: what was in flight may be submitted again.
        """
        record = self._store.get(STORE_KEY) if self._store is not None else None
        match record:
            case {
                "target": self._target,
                "seed": str(seed),
                "began_at": began_at,
                "active": Mapping() as active,
                **others,
            }:
                if (
                    seed.isascii()
                    and (began_at is None or _is_time(began_at))
                    and all(map(_is_stored_image, active.values()))
                    and _is_count(others.get("called_back", 0))
                ):
                    return record
            case None:
                return None
            case {"target": str(target)} if target != self._target:
                return None
        log.warning("The record %s in the task's state store has a wrong shape, and is ignored", STORE_KEY)
        return None

    def save(self, in_flight: InFlight) -> None:
        """Write the record; afterwards a crash loses nothing that is in flight."""
        if self._store is None:
            return
        began = self._clock()
        self._store.set(STORE_KEY, {"target": self._target, **in_flight.dump()})
        took = self._clock() - began
        self._due_at = self._clock() + _PAUSE_FACTOR * took

    def due(self) -> bool:
        """Return whether the pause after the last write is over."""
        return self._clock() >= self._due_at

    def forget(self) -> None:
        """Delete the record."""
        if self._store is not None:
            self._store.delete(STORE_KEY)


def _is_stored_image(values: Any) -> bool:
    if not isinstance(values, (list, tuple)) or len(values) != len(StoredImage._fields):
        return False
    canonical_digest, attempt, taskID, sent_at, submitted_at, succeeded_at, failed_at = values
    return (
        isinstance(canonical_digest, str)
        and attempt in (0, 1)
        and isinstance(taskID, (int, type(None)))
        and all(map(_is_time, (sent_at, submitted_at)))
        and all(when is None or _is_time(when) for when in (succeeded_at, failed_at))
    )


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_time(value: Any) -> bool:
    return isinstance(value, (int, float)) and 0 <= value < _LATEST_TIME
