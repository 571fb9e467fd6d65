"""Other ways to find a rate limit, with the surface of the throttle."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any


class _Paced:
    """A pace, and the exponential backoff of a refused call.

    :ivar full: False, because concurrent calls are not limited.
    """

    full = False

    def __init__(
        self, *, clock: Callable[[], float], uniform: Callable[[float, float], float], **_: Any
    ) -> None:
        self._clock, self._uniform = clock, uniform
        self.rate, self._slot = 2.0, -math.inf

    def reserve(self) -> float:
        """Reserve the next slot and return the seconds until it begins."""
        now = self._clock()
        self._slot = max(now, self._slot + 1 / self.rate)
        return self._slot - now

    def sending(self) -> AbstractContextManager[None]:
        """Return a block for a call that waits for its answer, which does not matter."""
        return nullcontext()

    def backoff(self, refusals: int) -> float:
        """Return the seconds before a refused call queues again."""
        return self._uniform(0, min(20.0, 2.0 ** min(refusals, 5)))

    def accepted(self, _: object = None) -> None:
        """Record an answer other than a 429."""

    def refused(self, _: object = None) -> None:
        """Record a 429."""


class FixedRate(_Paced):
    """A rate that never changes."""

    def __init__(self, right: float, **options: Any) -> None:
        super().__init__(**options)
        self.rate = right


class AIMD(_Paced):
    """One more request per second after each second, and half as many at a 429, at most once per second."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._changed = self._halved = self._clock()

    def accepted(self, _: object = None) -> None:
        """Increase the rate additively."""
        now = self._clock()
        self.rate += min(now - self._changed, 1.0)
        self._changed = now

    def refused(self, _: object = None) -> None:
        """Decrease the rate multiplicatively."""
        now = self._clock()
        if now - self._halved >= 1.0:
            self.rate, self._halved, self._changed = max(self.rate / 2, 0.15), now, now


class AdaptiveMode(_Paced):
    """The algorithm of botocore's retry mode "adaptive": CUBIC and a token bucket, both idle until the first 429."""

    BETA, SCALE, SMOOTHING, BUCKET_SECONDS = 0.7, 0.4, 0.8, 0.5

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._enabled = False
        self._tokens, self._filled_at, self._capacity = 0.0, self._clock(), 1.0
        self._maximum, self._failed_at = 0.0, self._clock()
        # The rate at which requests are sent, smoothed over half seconds.
        self._measured, self._count, self._bucket = 0.0, 0, math.floor(self._clock() / self.BUCKET_SECONDS)

    def reserve(self) -> float:
        """Take a token, once there was a 429."""
        if not self._enabled:
            return 0.0
        self._fill()
        self._tokens -= 1
        return max(0.0, -self._tokens / self.rate)

    def accepted(self, _: object = None) -> None:
        """Follow the cubic function."""
        self._measure()
        seconds = (self._maximum * (1 - self.BETA) / self.SCALE) ** (1 / 3)
        since = self._clock() - self._failed_at
        self._use(self.SCALE * (since - seconds) ** 3 + self._maximum)

    def refused(self, _: object = None) -> None:
        """Fall back to 0.7 of the rate."""
        self._measure()
        self._maximum = min(self._measured, self.rate) if self._enabled else self._measured
        self._failed_at, self._enabled = self._clock(), True
        self._use(self._maximum * self.BETA)

    def _measure(self) -> None:
        self._count += 1
        bucket = math.floor(self._clock() / self.BUCKET_SECONDS)
        if bucket > self._bucket:
            current = self._count / ((bucket - self._bucket) * self.BUCKET_SECONDS)
            self._measured += self.SMOOTHING * (current - self._measured)
            self._count, self._bucket = 0, bucket

    def _use(self, rate: float) -> None:
        self._fill()
        self.rate = max(min(rate, 2 * self._measured), 0.5)
        self._capacity = max(self.rate, 1.0)
        self._tokens = min(self._tokens, self._capacity)

    def _fill(self) -> None:
        now = self._clock()
        self._tokens = min(self._capacity, self._tokens + (now - self._filled_at) * self.rate)
        self._filled_at = now
