"""Find the request limit, which 123pan does not publish, from the service's answers alone.

Requests are paced evenly. Until the first 429 the rate grows by three quarters per step. After that it follows a cubic
curve: a 429 lowers it, it climbs back to the rate that was refused, stays near it for a while, and then climbs faster
and faster, so a risen limit is soon found. While every call is refused, requests become rare. If that lasts for
seconds, the limit is a quota for a longer period, and the rate becomes the average of that period.

The simulation in ``tests/benchmarks/limiters.py`` shows what this makes of each kind of limit.
"""

from __future__ import annotations

import math
import random
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

# Requests per second before anything is known about the limit.
FIRST_RATE = 2.0
MAX_BACKOFF_SECONDS = 10.0


@dataclass(frozen=True)
class Tuning:
    """The constants of the throttle."""

    min_rate: float = 0.15
    growth: float = 1.75
    step_answers: int = 3
    step_seconds: float = 0.4
    lowest: float = 0.82
    highest: float = 0.90
    climb_seconds: float = 7.5
    climb_calls: float = 30.0
    react_seconds: float = 1.0
    react_calls: float = 3.0
    far_seconds: float = 0.25
    far_refusals: int = 4
    probe_slower: float = 1.0
    probe_seconds: float = 3.0
    long_seconds: float = 2.0
    long_calls: float = 4.0
    max_period: float = 60.0
    quota_share: float = 0.98
    period_share: float = 1.0
    convergence: float = 0.25


TUNING = Tuning()


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
        self._searching, self._learned = True, False
        # Time of the last reserved slot.
        self._slot = -math.inf
        # Times of the latest good answers.
        self._good: deque[float] = deque(maxlen=10_000)
        # The start of the current step of the search or of the time since the last cut, and the answers since then.
        self._since = now = clock()
        self._accepted = self._refused = 0
        # The climb from `_bottom` back to `_goal`, of which `_climbed` seconds have passed.
        self._bottom = self._goal = self._climbed = 0.0
        self._climbed_at = now
        # Time of the first of the refusals since the last good answer.
        self._refused_since, self._in_a_row = now, 0
        # The period of the quota in seconds, 0 if there is none, and the time at which it was last renewed.
        self._period, self._renewed_at = 0.0, now

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
            return self._good_rate(self._clock()) >= self._rate / 2 and len(self._good) >= TUNING.step_answers

    def converge(self, other: float) -> None:
        """Move a quarter of the way towards the rate of a faster process of the same account.

        The faster process is then refused and slows down, so the two even out within seconds. Refusals alone would
        take minutes, because a process that starts late is refused immediately.

        :param other: requests per second of the other process; a lower rate than this one's is ignored.
        """
        with self._lock:
            rate = min(self._rate + TUNING.convergence * (other - self._rate), self._ceiling)
            if rate <= self._rate and self._period <= TUNING.climb_seconds:
                return
            factor, self._rate = rate / self._rate, rate
            self._bottom, self._goal = factor * self._bottom, factor * self._goal

    def reserve(self) -> float:
        """Reserve the next slot and return the seconds until it begins."""
        with self._lock:
            now = self._clock()
            pause = 1 / self._rate
            pause = max(pause, min(pause * (1 + TUNING.probe_slower * max(self._in_a_row - 1, 0)), TUNING.probe_seconds))
            self._slot = max(now, self._slot + pause)
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
            in_a_row, self._in_a_row = self._in_a_row, 0
            self._accepted += 1
            self._good.append(now)
            if in_a_row and now - self._refused_since > max(
                TUNING.long_seconds, TUNING.long_calls / self._rate
            ):
                self._renewed(now)
            elif self._searching:
                self._grow(now)
            else:
                self._climb(now)

    def refused(self) -> None:
        """Record a 429."""
        with self._lock:
            now = self._clock()
            if not self._in_a_row:
                self._refused_since = now
            self._in_a_row += 1
            self._refused += 1
            seconds = now - self._since
            far_off = (
                seconds >= TUNING.far_seconds
                and self._refused >= TUNING.far_refusals
                and self._refused > self._accepted >= 1
            )
            if self._searching:
                self._searching = len(self._good) < TUNING.step_answers
                if not self._learned or not self._searching:
                    self._cut(now, self._rate / TUNING.growth)
            elif far_off or (
                self._accepted and seconds >= max(TUNING.react_seconds, TUNING.react_calls / self._rate)
            ):
                share = self._accepted / (self._accepted + self._refused)
                self._cut(now, self._rate * max(share if far_off else (1 + share) / 2, 0.5))
            self._learned = True

    def _grow(self, now: float) -> None:
        seconds = now - self._since
        if self._accepted < TUNING.step_answers or seconds < TUNING.step_seconds:
            return
        # An unused rate proves nothing about the limit, so it does not grow.
        if self._accepted / seconds >= self._rate / 2:
            self._rate = min(self._rate * TUNING.growth, self._ceiling)
        self._since, self._accepted, self._refused = now, 0, 0

    def _cut(self, now: float, goal: float) -> None:
        least = min(TUNING.min_rate, self._ceiling)
        self._period = max(min(self._period, 2 * (now - self._since)), self._period / 2)
        self._goal = max(goal, least)
        self._bottom = max(self._goal * self._uniform(TUNING.lowest, TUNING.highest), least)
        self._rate = self._bottom
        self._restart(now, 0.0)

    def _renewed(self, now: float) -> None:
        """Learn a quota from the good answers since it was last renewed."""
        period = min(now - self._renewed_at, TUNING.max_period)
        self._renewed_at = now
        while self._good and self._good[0] < now - period:
            self._good.popleft()
        self._searching = False
        self._period = period
        if (count := len(self._good) - 1) < TUNING.step_answers:
            rate = min(self._rate, FIRST_RATE)
        else:
            rate = max(TUNING.quota_share * count / (now - self._good[0]), TUNING.min_rate)
        self._rate = self._goal = min(rate, self._ceiling)
        self._bottom = self._goal * TUNING.highest
        self._restart(now, self._span())

    def _restart(self, now: float, climbed: float) -> None:
        self._since, self._accepted, self._refused = now, 0, 0
        self._climbed, self._climbed_at = climbed, now

    def _span(self) -> float:
        return max(TUNING.climb_seconds, TUNING.climb_calls / self._goal, TUNING.period_share * self._period)

    def _climb(self, now: float) -> None:
        pause, self._climbed_at = now - self._climbed_at, now
        if self._good_rate(now) < self._rate / 2:  # unused, as in _grow()
            return
        self._climbed += min(pause, 2 / self._rate)
        progress = self._climbed / self._span() - 1  # -1 at the bottom, 0 at the goal
        self._rate = min(self._goal + (self._goal - self._bottom) * progress**3, self._ceiling)

    def _good_rate(self, now: float) -> float:
        """Return the recent number of good answers per second."""
        seconds = max(3.0, 4 / self._rate)
        count = 0
        for at in reversed(self._good):
            if at < now - seconds:
                break
            count += 1
        return count / seconds
