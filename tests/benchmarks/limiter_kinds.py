"""The kinds of request limits that a service may have, in virtual time."""

from __future__ import annotations

import math
import random
from collections import deque
from dataclasses import dataclass, field
from typing import ClassVar


class Limiter:
    """A limit; times are seconds since the simulation began and never decrease.

    :ivar request_seconds: the least and the most time that a request takes to arrive.
    :ivar answer_seconds: the least and the most time from then to the end of the answer.
    """

    request_seconds: ClassVar[tuple[float, float]] = (0.015, 0.06)
    answer_seconds: ClassVar[tuple[float, float]] = (0.015, 0.06)

    def begin(self, random: random.Random) -> None:
        """Draw what is random about the limit, such as when its windows begin."""

    def grants(self, now: float) -> bool:
        """Return True if a request that arrives now is accepted, and False for a 429."""
        raise NotImplementedError

    def ended(self) -> None:
        """Record that the answer to an accepted request was sent."""

    def permits(self, since: float, until: float) -> float:
        """Return the number of requests that the limit allows between two times, at an even pace."""
        raise NotImplementedError


class _Steady(Limiter):
    """What most limits have in common."""

    limit: float

    def begin(self, random: random.Random) -> None:
        """Nothing is random."""

    def ended(self) -> None:
        """Answers do not matter."""

    def permits(self, since: float, until: float) -> float:
        """Return the product of rate and time."""
        return self.limit * (until - since)


@dataclass
class Bucket(_Steady):
    """A token bucket that holds the tokens of one second."""

    limit: float
    tokens: float = field(init=False)
    filled_at: float = 0.0

    def __post_init__(self) -> None:
        """Fill the bucket."""
        self.tokens = self.limit

    def grants(self, now: float) -> bool:
        """Take a token."""
        self.tokens = min(self.limit, self.tokens + (now - self.filled_at) * self.limit)
        self.filled_at = now
        granted = self.tokens >= 1
        self.tokens -= granted
        return granted


class SlowBucket(Bucket):
    """A token bucket before a service whose answers take seconds."""

    answer_seconds = (1.0, 3.0)


@dataclass
class FixedWindow(_Steady):
    """A number of requests per window; the first window has begun at a random earlier time."""

    count: int
    period: float = 1.0
    phase: float = 0.0
    window: int = -1
    used: int = 0

    def __post_init__(self) -> None:
        """Derive the rate."""
        self.limit = self.count / self.period

    def begin(self, random: random.Random) -> None:
        """Draw when the windows begin."""
        self.phase = random.random()

    def grants(self, now: float) -> bool:
        """Count a request."""
        if (window := math.floor(now / self.period + self.phase)) != self.window:
            self.window, self.used = window, 0
        granted = self.used < self.count
        self.used += granted
        return granted


@dataclass
class SlidingWindow(_Steady):
    """A number of requests within any period."""

    count: int
    period: float
    counts_refused: bool = False
    times: deque[float] = field(default_factory=deque)

    def __post_init__(self) -> None:
        """Derive the rate."""
        self.limit = self.count / self.period

    def grants(self, now: float) -> bool:
        """Look at the requests of the last period."""
        while self.times and self.times[0] <= now - self.period:
            self.times.popleft()
        granted = len(self.times) < self.count
        if granted or self.counts_refused:
            self.times.append(now)
        return granted


@dataclass
class Spacing(_Steady):
    """A minimum time between requests, after a burst."""

    limit: float
    burst: int = 0
    theoretical: float = 0.0

    def grants(self, now: float) -> bool:
        """Compare with the theoretical time of arrival."""
        granted = now >= self.theoretical - self.burst / self.limit
        if granted:
            self.theoretical = max(now, self.theoretical) + 1 / self.limit
        return granted


@dataclass
class Concurrent(_Steady):
    """A number of requests at the same time, each of which occupies the service until its answer ends."""

    request_seconds = (0.001, 0.005)
    answer_seconds = (0.03, 0.12)

    count: int
    running: int = 0

    def __post_init__(self) -> None:
        """Derive the rate."""
        self.limit = 2 * self.count / sum(self.answer_seconds)

    def grants(self, now: float) -> bool:
        """Begin a request."""
        granted = self.running < self.count
        self.running += granted
        return granted

    def ended(self) -> None:
        """Free its place."""
        self.running -= 1


@dataclass
class Changing(Limiter):
    """A limit that another one replaces."""

    at: float
    before: Limiter
    after: Limiter

    def begin(self, random: random.Random) -> None:
        """Draw for both."""
        self.before.begin(random)
        self.after.begin(random)

    def grants(self, now: float) -> bool:
        """Ask the limit of the time."""
        return (self.before if now < self.at else self.after).grants(now)

    def ended(self) -> None:
        """Answers do not matter."""

    def permits(self, since: float, until: float) -> float:
        """Add up both."""
        return self.before.permits(min(since, self.at), min(until, self.at)) + self.after.permits(
            max(since, self.at), max(until, self.at)
        )


class Together(Limiter):
    """Several limits that must all grant a request; those asked first count it even if a later one refuses."""

    def __init__(self, *limits: Limiter) -> None:
        self.limits = limits

    def begin(self, random: random.Random) -> None:
        """Draw for all."""
        for limit in self.limits:
            limit.begin(random)

    def grants(self, now: float) -> bool:
        """Ask one after the other."""
        return all(limit.grants(now) for limit in self.limits)

    def ended(self) -> None:
        """Answers do not matter."""

    def permits(self, since: float, until: float) -> float:
        """Return what the strictest permits."""
        return min(limit.permits(since, until) for limit in self.limits)


class Stray(Limiter):
    """A limit that also refuses the first requests, or a random share of all."""

    def __init__(self, limit: Limiter, *, first: int = 0, share: float = 0.0) -> None:
        self.limit, self.first, self.share = limit, first, share

    def begin(self, random: random.Random) -> None:
        """Keep the source of random numbers."""
        self.random = random
        self.limit.begin(random)

    def grants(self, now: float) -> bool:
        """Refuse without a reason, or ask the limit."""
        if self.first > 0 or self.random.random() < self.share:
            self.first -= 1
            return False
        return self.limit.grants(now)

    def ended(self) -> None:
        """Answers do not matter."""

    def permits(self, since: float, until: float) -> float:
        """Return what the limit permits."""
        return self.limit.permits(since, until)
