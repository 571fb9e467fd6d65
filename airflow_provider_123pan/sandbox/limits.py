"""Rate limits of two common kinds; the service publishes neither the kind nor the rate of its own."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal


class Limits:
    """Counts of calls per key, in token buckets or in fixed windows of one second."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Start without any calls.

        :param clock: Returns the current time in seconds.
        """
        self._clock = clock
        self._buckets: dict[str, tuple[float, float]] = {}  # key → tokens left, time of the last call
        self._windows: dict[str, tuple[int, int]] = {}  # key → number of the window, calls in it

    def allows(self, key: str, rate: float, kind: Literal["bucket", "window"]) -> bool:
        """Return True and count a call if the limit allows it now.

        :param key: What the limit is for, such as a clientID.
        :param rate: Calls per second.
        :param kind: The kind of limit.
        """
        return self._bucket(key, rate) if kind == "bucket" else self._window(key, rate)

    def _bucket(self, key: str, rate: float) -> bool:
        now = self._clock()
        capacity = max(rate, 1.0)
        left, last_call = self._buckets.get(key, (capacity, now))
        left = min(capacity, left + (now - last_call) * rate)
        allowed = left >= 1
        self._buckets[key] = (left - allowed, now)
        return allowed

    def _window(self, key: str, rate: float) -> bool:
        # For less than one call per second, a window is long enough for one call.
        window = int(self._clock() / max(1.0, 1.0 / rate))
        last, calls = self._windows.get(key, (window, 0))
        calls = calls if last == window else 0
        allowed = calls < max(1, int(rate))
        self._windows[key] = (window, calls + allowed)
        return allowed
