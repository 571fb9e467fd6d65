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
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from airflow_provider_123pan.service.concurrency import ConcurrencyLimit, SentCall
from airflow_provider_123pan.service.tuning import TUNING

# Requests per second before anything is known about the limit.
FIRST_RATE = 2.0
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
        self._searching, self._learned = True, False
        # Time of the last reserved slot.
        self._slot = -math.inf
        # Times of the good answers: of the last seconds, and of the longest period.
        self._recent: deque[float] = deque(maxlen=10_000)
        self._good: deque[float] = deque()
        # The start of the current step of the search or of the time since the last cut; calls and answers since then.
        self._since = now = clock()
        self._sent = self._accepted = self._refused = 0
        self._concurrency = ConcurrencyLimit()
        # The climb from `_bottom` back to `_goal`, of which `_climbed` seconds have passed.
        self._bottom = self._goal = self._climbed = 0.0
        self._climbed_at = now
        # The refusals since the last good answer, and the time of the first of them.
        self._in_a_row, self._refused_since = 0, now
        # The period of the quota in seconds, 0 if there is none, and the start of the current one.
        self._period, self._period_began = 0.0, now

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
            return self._good_rate(self._clock()) >= self._rate / 2 and len(self._recent) >= TUNING.few

    def converge(self, other: float) -> None:
        """Move a quarter of the way towards the rate of a faster process of the same account.

        The faster process is then refused and slows down, so the two even out within seconds. Refusals alone would
        take minutes, because a process that starts late is refused immediately. Under a quota no process is refused
        before the end of the period, so the faster one moves too.

        :param other: requests per second of the other process; a lower rate than this one's counts only under a quota.
        """
        with self._lock:
            rate = min(self._rate + TUNING.convergence * (other - self._rate), self._ceiling)
            if rate < self._rate and self._period <= TUNING.climb_seconds:
                return
            factor, self._rate = rate / self._rate, rate
            self._bottom, self._goal = factor * self._bottom, factor * self._goal

    def reserve(self) -> float:
        """Reserve the next slot and return the seconds until it begins."""
        with self._lock:
            now, pause = self._clock(), 1 / self._rate
            if self._in_a_row > 2:  # each further refusal makes the calls rarer
                pause = max(pause, min(pause * (self._in_a_row - 1), TUNING.probe_seconds))
            self._slot = max(now, self._slot + pause)
            return self._slot - now

    def backoff(self, refusals: int) -> float:
        """Return the seconds for which a refused call waits before it queues for a slot again.

        :param refusals: number of earlier refusals of this call, 0 at its first 429.
        """
        return self._uniform(0, min(MAX_BACKOFF_SECONDS, 2 ** min(refusals, 16) / self._rate))

    @property
    def full(self) -> bool:
        """True if too many calls wait for their answers: the slot must be given up, and another one taken later."""
        return self._concurrency.full

    @contextmanager
    def sending(self) -> Iterator[SentCall]:
        """Count a call as waiting for its answer within the block; its answer is recorded with what the block gets."""
        with self._lock:
            self._sent += 1
            call = self._concurrency.begin(self._clock())
        try:
            yield call
        finally:
            # Without the lock, which this thread may hold while the garbage collector ends an abandoned call.
            self._concurrency.end(call)

    def accepted(self, call: SentCall | None = None) -> None:
        """Record an answer other than a 429.

        :param call: the call, from :meth:`sending`; without it, the call counts as sent now.
        """
        with self._lock:
            now = self._clock()
            call = self._answered(call, now, refused=False)
            refusals, self._in_a_row = self._in_a_row, 0
            if not refusals and not self._good_rate(
                now
            ):  # idle, so the time before says nothing about a quota
                self._period_began = now
            self._accepted += 1
            self._recent.append(now)
            self._good.append(now)
            self._forget_good_before(now - TUNING.max_period)
            if refusals >= TUNING.long_refusals and now - self._refused_since > TUNING.long_seconds:
                self._learn_quota(now)
            elif self._searching:
                self._grow(now, call.sent_at)
            else:
                self._climb(now)

    def refused(self, call: SentCall | None = None) -> None:
        """Record a 429, as :meth:`accepted` records other answers."""
        with self._lock:
            now = self._clock()
            call = self._answered(call, now, refused=True)
            if not self._in_a_row:
                self._refused_since = now
            self._in_a_row += 1
            self._refused += 1
            learned, self._learned = self._learned, True
            # A call that was sent at another rate says nothing about this one, nor does one too many at the same time.
            if call.sent_at < self._since or self._concurrency.exceeded(call):
                return
            if self._searching:
                # A 429 to the first calls says nothing about this process's rate: it lowers it, but the search goes on.
                self._searching = len(self._good) < TUNING.few
                if not (learned and self._searching):
                    self._cut(now, self._rate / TUNING.growth)
            else:
                self._step_down(now)

    def _answered(self, call: SentCall | None, now: float, *, refused: bool) -> SentCall:
        if call is None:
            call, self._sent = SentCall(now, 1), self._sent + 1
        self._concurrency.answered(call, refused=refused)
        return call

    def _grow(self, now: float, sent_at: float) -> None:
        seconds = now - self._since
        if self._accepted < TUNING.few or seconds < TUNING.step_seconds or sent_at < self._since:
            return
        # An unused rate proves nothing about the limit, so it does not grow.
        if self._sent / seconds >= self._rate / 2:
            self._rate = min(self._rate * TUNING.growth, self._ceiling)
        self._since, self._sent, self._accepted, self._refused = now, 0, 0, 0

    def _step_down(self, now: float) -> None:
        """Lower the rate, unless the last cut may not have had its effect yet, or every call is refused."""
        if not self._accepted:
            return
        seconds, share = now - self._since, self._accepted / (self._accepted + self._refused)
        if seconds < TUNING.settle_periods * self._period:
            return
        if share < 0.5 and self._refused >= TUNING.few and seconds >= TUNING.far_seconds:
            self._cut(now, self._rate / 2)
        elif seconds >= TUNING.react_seconds:
            # The limit lies between the rate of the accepted calls and the rate of all calls.
            self._cut(now, self._rate * (1 + share) / 2)

    def _cut(self, now: float, goal: float) -> None:
        # A refusal long before the end of the period means that the period is shorter.
        self._period = max(min(self._period, 2 * (now - self._since)), self._period / 2)
        self._goal = max(goal, self._least)
        self._bottom = max(self._goal * self._uniform(TUNING.lowest, TUNING.highest), self._least)
        self._rate = self._bottom
        self._begin_climb(now, 0.0)

    def _learn_quota(self, now: float) -> None:
        """Set the rate to the average of the period that has just ended."""
        self._period, self._period_began = min(now - self._period_began, TUNING.max_period), now
        self._forget_good_before(now - self._period)
        count = len(self._good) - 1  # without the first of the next period
        rate = count / self._period if count >= TUNING.few else min(self._rate, FIRST_RATE)
        self._searching = False
        self._rate = self._goal = min(max(rate, self._least), self._ceiling)
        self._bottom = self._goal * TUNING.highest
        self._begin_climb(now, self._climb_time())

    def _forget_good_before(self, time: float) -> None:
        while self._good[0] < time:
            self._good.popleft()

    def _begin_climb(self, now: float, climbed: float) -> None:
        self._since, self._sent, self._accepted, self._refused = now, 0, 0, 0
        self._climbed, self._climbed_at = climbed, now

    def _climb(self, now: float) -> None:
        pause, self._climbed_at = now - self._climbed_at, now
        if self._good_rate(now) < self._rate / 2:  # unused, as in _grow()
            return
        self._climbed += min(pause, 2 / self._rate)
        progress = self._climbed / self._climb_time() - 1  # -1 at the bottom, 0 at the goal
        self._rate = min(self._goal + (self._goal - self._bottom) * progress**3, self._ceiling)

    def _climb_time(self) -> float:
        """Return the seconds from the bottom to the goal."""
        return max(
            TUNING.climb_seconds,
            min(TUNING.climb_calls / self._goal, TUNING.climb_most),
            TUNING.climb_periods * self._period,
        )

    @property
    def _least(self) -> float:
        return min(TUNING.min_rate, self._ceiling)

    def _good_rate(self, now: float) -> float:
        """Return the recent number of good answers per second."""
        seconds = max(3.0, 4 / self._rate)
        while self._recent and self._recent[0] < now - seconds:
            self._recent.popleft()
        return len(self._recent) / seconds
