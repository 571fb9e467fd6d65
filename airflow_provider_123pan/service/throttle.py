"""Finds the service's limit by itself: none is published for the image host, and those of others change."""

from __future__ import annotations

import math
import random
import threading
import time
from collections import deque
from collections.abc import Callable

START = 2.0  # requests a second before anything is known
LOWEST = 1 / 30
BACKOFF = 30.0  # seconds that a refused call waits at most


class Throttle:
    """Paces requests evenly: doubles until the first 429, then stays just below what was granted.

    Threads, or the coroutines of a loop, share one.

    :param start: requests a second that an earlier process found.
    :param ceiling: requests a second that are never exceeded.
    """

    def __init__(
        self,
        *,
        start: float | None = None,
        ceiling: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._clock, self._uniform, self._lock = clock, uniform, threading.Lock()
        self._ceiling = ceiling or math.inf
        self._rate = min(self._ceiling, max(LOWEST, start or START))
        self._slot = -math.inf
        self._granted: deque[float] = deque()
        self._answers, self._since = 0, clock()
        self._learned = False
        self._slope, self._climbed, self._calm = 0.0, clock(), -math.inf

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self._rate

    @property
    def learned(self) -> bool:
        """Whether a refusal was seen, so that the rate is one that was found."""
        return self._learned

    def reserve(self) -> float:
        """Seconds until the next request may go; takes its slot."""
        with self._lock:
            now = self._clock()
            self._slot = max(now, self._slot + 1 / self._rate)
            return self._slot - now

    def accepted(self) -> None:
        """An answer came that was not a 429."""
        with self._lock:
            now = self._clock()
            self._granted.append(now)
            # Nobody who offers less than half of the rate learns anything about the limit.
            pushed = self._got(now) >= self._rate / 2
            if self._learned:
                if pushed:
                    elapsed = min(now - self._climbed, 2 / self._rate)
                    self._rate = min(self._ceiling, self._rate + self._slope * elapsed)
                self._climbed = now
                return
            self._answers += 1
            elapsed = now - self._since
            if self._answers >= 4 and elapsed >= 1:
                if self._answers / elapsed >= self._rate / 2:
                    self._rate = min(self._ceiling, self._rate * 2)
                self._answers, self._since = 0, now

    def refused(self) -> None:
        """A 429 came."""
        with self._lock:
            now = self._clock()
            self._learned = True
            if now < self._calm:
                return  # of the same burst
            got = min(max(self._got(now), self._rate / 2.2), self._rate / 1.2)
            self._rate = max(LOWEST, got * self._uniform(0.86, 0.94))
            self._slope = (got - self._rate) / min(max(24 / got, 6.0), 12.0)
            self._climbed = now
            self._calm = now + max(1.0, 2 / self._rate)

    def backoff(self, refusals: int) -> float:
        """Seconds until a call refused for the n-th time (from 0) is queued again: full jitter."""
        return self._uniform(0, min(BACKOFF, 2.0 ** min(refusals, 16) / self._rate))

    def _got(self, now: float) -> float:
        """Answers a second, lately."""
        span = max(1.5, 4 / self._rate)
        while self._granted and self._granted[0] < now - span:
            self._granted.popleft()
        return len(self._granted) / span
