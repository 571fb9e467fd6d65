"""Rate limits of common kinds; the service publishes neither the kind nor the rate of its own."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal

RateKind = Literal["bucket", "window", "minute"]


class Limits:
    """Counts of calls per key, in token buckets or in fixed windows of a second or a minute."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Start without any calls.

        :param clock: Returns the current time in seconds.
        """
        self._clock = clock
        self._buckets: dict[str, tuple[float, float]] = {}  # key → tokens left, time of the last call
        self._windows: dict[str, tuple[int, int]] = {}  # key → number of the window, calls in it

    def allows(self, key: str, rate: float, kind: RateKind) -> bool:
        """Return True and count a call if the limit allows it now.

        :param key: What the limit is for, such as a clientID.
        :param rate: Calls per second.
        :param kind: The kind of limit.
        """
        if kind == "bucket":
            return self._bucket(key, rate)
        return self._window(key, rate, 60.0 if kind == "minute" else 1.0)

    def _bucket(self, key: str, rate: float) -> bool:
        now = self._clock()
        capacity = max(rate, 1.0)
        left, last_call = self._buckets.get(key, (capacity, now))
        left = min(capacity, left + (now - last_call) * rate)
        allowed = left >= 1
        self._buckets[key] = (left - allowed, now)
        return allowed

    def _window(self, key: str, rate: float, seconds: float) -> bool:
        # At a lower rate, a window is long enough for one call.
        window = int(self._clock() / max(seconds, 1.0 / rate))
        last, calls = self._windows.get(key, (window, 0))
        calls = calls if last == window else 0
        allowed = calls < max(1, int(rate * seconds))
        self._windows[key] = (window, calls + allowed)
        return allowed
