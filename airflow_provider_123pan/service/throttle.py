"""Finds the request limit that 123pan does not publish, from nothing but its answers.

Requests are paced evenly. Until the first 429 the rate grows by three quarters again and again; from then on
each 429 takes the rate down a step, and while answers are good it climbs back, fast at first, slowly near the
rate that was too much. Every constant was tuned in simulation: see ``tests/unit/test_throttle.py``.
"""

from __future__ import annotations

import math
import random
import threading
import time
from collections import deque
from collections.abc import Callable

FIRST_RATE = 2.0  # requests a second, before anything is known
LOWEST_RATE = 0.15  # one request in 7 seconds: many processes share the limit, but each must get through
GROWTH = 1.75  # per step, before the first 429
STEP_ANSWERS, STEP_SECONDS = 3, 0.4  # a step takes at least both
OVERSHOOT = 1.08  # at a 429, the rate was too much by at least this factor …
WORST_OVERSHOOT = 1.9  # … and at most by this one: a little more than GROWTH
FOLLOW = 0.25  # of the way to a faster process
LONGEST_BACKOFF = 10.0  # seconds


class Throttle:
    """The pace of one process towards one account; safe to share between threads, or within an event loop.

    Hold a lock from before ``reserve()`` until its wait is over, so that the others queue for a slot instead of
    taking slots far ahead, at a rate that is soon out of date::

        with throttle.slots:  # in an event loop, an asyncio.Lock
            time.sleep(throttle.reserve())

    :param start: requests a second that an earlier process found. It is soon corrected if it is wrong.
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
        if ceiling is not None and not ceiling > 0:
            raise ValueError(f"ceiling must be above 0 requests a second, not {ceiling!r}")
        if start is None or not math.isfinite(start):
            start = FIRST_RATE
        self.slots = threading.Lock()
        self._clock, self._uniform, self._lock = clock, uniform, threading.Lock()
        self._ceiling = math.inf if ceiling is None else ceiling
        # A rate found while many processes shared the limit says little about the limit: start no lower.
        self._rate = min(max(start, FIRST_RATE), self._ceiling)
        self._learned = False
        self._slot = -math.inf  # when the last request may be sent
        self._good: deque[float] = deque(maxlen=10_000)  # when the latest good answers came
        self._since, self._answers = clock(), 0  # this growth step: its start, and its good answers
        self._ignore_refusals_until = -math.inf  # the 429s of one overshoot count once
        # The climb: from `_bottom` back to `_goal` in `_span` seconds, `_climbed` seconds of them done.
        self._bottom = self._goal = self._climbed = 0.0
        self._span = 1.0

    @property
    def rate(self) -> float:
        """Requests a second at which requests are paced now."""
        return self._rate

    @property
    def learned(self) -> bool:
        """Whether a 429 was seen: only then is the rate a measure of the service's limit."""
        return self._learned

    @property
    def measured_rate(self) -> float:
        """Requests a second that the next process may start from: the rate, or what went well while no 429 was seen."""
        with self._lock:
            return self._rate if self._learned else self._good_rate(self._clock())

    @property
    def rate_bound(self) -> bool:
        """Whether it is the rate that holds calls up, and not that there are few."""
        with self._lock:
            return self._good_rate(self._clock()) >= self._rate / 2 and len(self._good) >= STEP_ANSWERS

    def converge(self, other: float) -> None:
        """Move a quarter of the way towards the rate of a faster process of the same account.

        The faster one is refused soon, and comes down by that; so the two become even within seconds. By refusals alone
        it takes minutes, for who begins late, and meets the limit at once, never gets far.
        """
        with self._lock:
            rate = min(self._rate + FOLLOW * (other - self._rate), self._ceiling)
            if rate <= self._rate:
                return
            factor, self._rate = rate / self._rate, rate
            self._bottom, self._goal = factor * self._bottom, factor * self._goal

    def reserve(self) -> float:
        """Take the next slot; return the seconds to wait for it."""
        with self._lock:
            now = self._clock()
            self._slot = max(now, self._slot + 1 / self._rate)
            return self._slot - now

    def backoff(self, refusals: int) -> float:
        """Return the seconds that a refused call waits before it queues for a slot again.

        :param refusals: how often this call was refused before, so 0 at its first 429.
        """
        return self._uniform(0, min(LONGEST_BACKOFF, 2 ** min(refusals, 16) / self._rate))

    def accepted(self) -> None:
        """Note an answer that was not a 429."""
        with self._lock:
            now = self._clock()
            if self._learned:
                self._climb(now)
            else:
                self._grow(now)
            self._good.append(now)

    def refused(self) -> None:
        """Note a 429."""
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
        # A rate that nobody uses is no evidence: it must not run away.
        if self._answers / seconds >= self._rate / 2:
            self._rate = min(self._rate * GROWTH, self._ceiling)
        self._since, self._answers = now, 0

    def _step_down(self, now: float) -> None:
        good = self._good_rate(now)
        # How much was too much? A small step down each time keeps processes that share the limit even: who has
        # more is refused more often. What really got through decides only where the rate may be far off.
        far_off = not self._learned or good < self._rate / 4
        lowest = self._rate / (WORST_OVERSHOOT if far_off else OVERSHOOT)
        self._goal = min(max(good, lowest), self._rate / OVERSHOOT)
        self._bottom = max(self._goal * self._uniform(0.82, 0.9), min(LOWEST_RATE, self._ceiling))
        self._goal = max(self._goal, self._bottom)
        # A low rate may be a share of a low limit: climb sooner, so that the shares even out sooner.
        self._span = min(max(6 * self._goal, 4.0), 10.0)
        self._rate, self._climbed, self._since = self._bottom, 0.0, now
        self._ignore_refusals_until = now + max(1.0, 1.5 / self._rate)

    def _climb(self, now: float) -> None:
        pause, self._since = now - self._since, now
        if self._good_rate(now) < self._rate / 2:  # not used, see _grow()
            return
        self._climbed += min(pause, 2 / self._rate)
        progress = self._climbed / self._span - 1  # -1 at the bottom, 0 at the goal
        slope = progress**3 if progress < 0 else progress
        self._rate = min(self._goal + (self._goal - self._bottom) * slope, self._ceiling)

    def _good_rate(self, now: float) -> float:
        """Good answers a second, lately."""
        seconds = max(3.0, 4 / self._rate)
        while self._good and self._good[0] < now - seconds:
            self._good.popleft()
        return len(self._good) / seconds
