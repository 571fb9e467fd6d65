"""Keeps what is in flight in Airflow's ``task_state_store``."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from airflow_provider_123pan.sync.in_flight import Clock, InFlight

STORE_KEY = "pan123_sync"


_DUTY = 1.0  # the store is left in peace for so many times what a write takes


class Journal:
    """Keeps what is in flight in Airflow's ``task_state_store`` (3.3), so that a retry goes on with it.

    :param store: None on 3.2: a retry after a crash submits again what was in flight.
    :param target: a digest of account and directory; the record of another one is not taken.
    """

    def __init__(self, store: Any, target: str, clock: Clock = time.monotonic) -> None:
        self._store = store
        self._target = target
        self._clock = clock
        self._due_at = 0.0

    def load(self) -> Mapping[str, Any] | None:
        record = self._store.get(STORE_KEY) if self._store is not None else None
        match record:
            case {"target": self._target, "seed": str(), "began_at": _, "active": Mapping()}:
                return record
        return None

    def save(self, in_flight: InFlight) -> None:
        """Write; when it returns, a crash loses nothing that is in flight."""
        if self._store is None:
            return
        began = self._clock()
        self._store.set(STORE_KEY, {"target": self._target, **in_flight.dump()})
        took = self._clock() - began
        self._due_at = self._clock() + _DUTY * took

    def due(self) -> bool:
        """Whether the store had its peace after the last write."""
        return self._clock() >= self._due_at

    def forget(self) -> None:
        if self._store is not None:
            self._store.delete(STORE_KEY)
