"""Rate limits of both kinds that such services use; the real one publishes neither kind nor rate."""

from __future__ import annotations

import time
from typing import Literal


class Limits:
    """Counts calls per key, as a token bucket or in fixed one-second windows."""

    def __init__(self) -> None:
        self._buckets: dict[str, tuple[float, float]] = {}  # key → tokens left, when that was
        self._windows: dict[str, tuple[int, int]] = {}  # key → window, calls in it

    def allows(self, key: str, rate: float, kind: Literal["bucket", "window"]) -> bool:
        return self._bucket(key, rate) if kind == "bucket" else self._window(key, rate)

    def _bucket(self, key: str, rate: float) -> bool:
        now = time.monotonic()
        capacity = max(rate, 1.0)
        left, then = self._buckets.get(key, (capacity, now))
        left = min(capacity, left + (now - then) * rate)
        allowed = left >= 1
        self._buckets[key] = (left - allowed, now)
        return allowed

    def _window(self, key: str, rate: float) -> bool:
        # Below one call a second, a window lasts as long as one call needs.
        window = int(time.monotonic() / max(1.0, 1.0 / rate))
        last, calls = self._windows.get(key, (window, 0))
        calls = calls if last == window else 0
        allowed = calls < max(1, int(rate))
        self._windows[key] = (window, calls + allowed)
        return allowed
