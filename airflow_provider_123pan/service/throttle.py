"""Find the request limit, which 123pan does not publish, from the service's answers alone.

Requests are paced evenly. Until the first 429 the rate grows by three quarters per step. After that, each 429 lowers
the rate, and while answers are good it climbs back: fast at first, slowly near the rate that was refused. All
constants were tuned in the simulation in ``tests/unit/test_throttle.py``.
"""

from __future__ import annotations

import math
import random
import threading
import time
from collections import deque
from collections.abc import Callable

# Requests per second before anything is known about the limit.
FIRST_RATE = 2.0
# One request in 7 seconds: many processes may share the limit, and the calls of all of them must succeed in time.
MIN_RATE = 0.15
# The factor of a growth step before the first 429, and the minimum size of a step in answers and in seconds.
GROWTH = 1.75
STEP_ANSWERS, STEP_SECONDS = 3, 0.4
# At a 429 the rate was too high by at least the first and at most the second factor, which slightly exceeds GROWTH.
MIN_OVERSHOOT, MAX_OVERSHOOT = 1.08, 1.9
# The share of the difference to a faster process by which the rate is raised.
CONVERGENCE = 0.25
MAX_BACKOFF_SECONDS = 10.0


class Throttle:
    """The request rate of one process for one account; threads, or the tasks of an event loop, may share it.

    Hold a lock from before ``reserve()`` until its wait is over. Otherwise callers reserve slots far in the future, at
    a rate that may have changed by then::

        with throttle.slots:  # in an event loop, an asyncio.Lock
            time.sleep(throttle.reserve())

    :param start: requests per second that an earlier process found; a wrong value is soon corrected.
    :param ceiling: upper bound in requests per second, which is never exceeded.
    :param clock: monotonic seconds.
    :param uniform: returns a random number between its two arguments.
    :raises ValueError: if ``ceiling`` is not above 0.
    """

    def __init__(
        self,
        *,
        start: float | None = None,
        ceiling: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        if ceiling is not None and not ceiling > 0:
            raise ValueError(f"ceiling must be above 0 requests per second, not {ceiling!r}")
        if start is None or not math.isfinite(start):
            start = FIRST_RATE
        self.slots = threading.Lock()
        self._clock, self._uniform, self._lock = clock, uniform, threading.Lock()
        self._ceiling = math.inf if ceiling is None else ceiling
        # A lower rate was found while many processes shared the limit, and says little about the limit itself.
        self._rate = min(max(start, FIRST_RATE), self._ceiling)
        self._learned = False
        # Time of the last reserved slot.
        self._slot = -math.inf
        # Times of the latest good answers.
        self._good: deque[float] = deque(maxlen=10_000)
        # Start of the current growth step, and its number of good answers.
        self._since, self._answers = clock(), 0
        # The refusals that one overshoot causes count once.
        self._ignore_refusals_until = -math.inf
        # The climb from `_bottom` back to `_goal` takes `_span` seconds, of which `_climbed` seconds have passed.
        self._bottom = self._goal = self._climbed = 0.0
        self._span = 1.0

    @property
    def rate(self) -> float:
        """The current rate in requests per second."""
        return self._rate

    @property
    def learned(self) -> bool:
        """True after a 429; only then is the rate a measure of the service's limit."""
        return self._learned

    @property
    def measured_rate(self) -> float:
        """The rate that new processes should start from; before the first 429, the rate of good answers."""
        with self._lock:
            return self._rate if self._learned else self._good_rate(self._clock())

    @property
    def rate_bound(self) -> bool:
        """True if the rate limit, rather than a lack of calls, slows this process down."""
        with self._lock:
            return self._good_rate(self._clock()) >= self._rate / 2 and len(self._good) >= STEP_ANSWERS

    def converge(self, other: float) -> None:
        """Move a quarter of the way towards the rate of a faster process of the same account.

        The faster process is then refused and slows down, so the two even out within seconds. Refusals alone would
        take minutes, because a process that starts late is refused immediately.

        :param other: requests per second of the other process; a lower rate than this one's is ignored.
        """
        with self._lock:
            rate = min(self._rate + CONVERGENCE * (other - self._rate), self._ceiling)
            if rate <= self._rate:
                return
            factor, self._rate = rate / self._rate, rate
            self._bottom, self._goal = factor * self._bottom, factor * self._goal

    def reserve(self) -> float:
        """Reserve the next slot and return the seconds until it begins."""
        with self._lock:
            now = self._clock()
            self._slot = max(now, self._slot + 1 / self._rate)
            return self._slot - now

    def backoff(self, refusals: int) -> float:
        """Return the seconds for which a refused call waits before it queues for a slot again.

        :param refusals: number of earlier refusals of this call, 0 at its first 429.
        """
        return self._uniform(0, min(MAX_BACKOFF_SECONDS, 2 ** min(refusals, 16) / self._rate))

    def accepted(self) -> None:
        """Record an answer other than a 429."""
        with self._lock:
            now = self._clock()
            if self._learned:
                self._climb(now)
            else:
                self._grow(now)
            self._good.append(now)

    def refused(self) -> None:
        """Record a 429."""
        with self._lock:
            now = self._clock()
            if now >= self._ignore_refusals_until:
                self._step_down(now)
            self._learned = True

    def _grow(self, now: float) -> None:
        self._answers += 1
        seconds = now - self._since
        if self._answers < STEP_ANSWERS or seconds < STEP_SECONDS:
            return
        # An unused rate proves nothing about the limit, so it does not grow.
        if self._answers / seconds >= self._rate / 2:
            self._rate = min(self._rate * GROWTH, self._ceiling)
        self._since, self._answers = now, 0

    def _step_down(self, now: float) -> None:
        good = self._good_rate(now)
        # Small steps down keep processes that share the limit even, because a faster process is refused more often.
        # The rate of good answers counts only if the rate may be far too high.
        far_off = not self._learned or good < self._rate / 4
        lowest = self._rate / (MAX_OVERSHOOT if far_off else MIN_OVERSHOOT)
        self._goal = min(max(good, lowest), self._rate / MIN_OVERSHOOT)
        self._bottom = max(self._goal * self._uniform(0.82, 0.9), min(MIN_RATE, self._ceiling))
        self._goal = max(self._goal, self._bottom)
        # A low rate may be one share of a low limit: a faster climb evens the shares out sooner.
        self._span = min(max(6 * self._goal, 4.0), 10.0)
        self._rate, self._climbed, self._since = self._bottom, 0.0, now
        self._ignore_refusals_until = now + max(1.0, 1.5 / self._rate)

    def _climb(self, now: float) -> None:
        pause, self._since = now - self._since, now
        if self._good_rate(now) < self._rate / 2:  # unused, as in _grow()
            return
        self._climbed += min(pause, 2 / self._rate)
        progress = self._climbed / self._span - 1  # -1 at the bottom, 0 at the goal
        slope = progress**3 if progress < 0 else progress
        self._rate = min(self._goal + (self._goal - self._bottom) * slope, self._ceiling)

    def _good_rate(self, now: float) -> float:
        """Return the recent number of good answers per second."""
        seconds = max(3.0, 4 / self._rate)
        while self._good and self._good[0] < now - seconds:
            self._good.popleft()
        return len(self._good) / seconds
