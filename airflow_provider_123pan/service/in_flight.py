"""The calls that wait for their answers, and how many of them the service accepts at the same time."""

from __future__ import annotations

import math
from collections import Counter, deque
from dataclasses import dataclass

from airflow_provider_123pan.service.tuning import TUNING


@dataclass(frozen=True, slots=True, eq=False)
class Flight:
    """A call that was sent.

    :ivar sent_at: monotonic seconds.
    :ivar number: how many calls were in flight when it was sent, with itself.
    """

    sent_at: float
    number: int


class InFlight:
    """The calls in flight, and the limit on them that the answers show.

    A few refusals in a row are compared with the good answers between them. If every refused call had many others
    beside it, and such calls were rarely accepted, the service limits concurrent requests. A rate limit refuses its
    calls no matter how many others are in flight.
    """

    def __init__(self) -> None:
        #: The most calls that the service accepts at the same time; infinite if refusals do not depend on it.
        self.limit = math.inf
        self._flights: set[Flight] = set()
        # How many calls were in flight at the good answers and at the refusals since the last comparison.
        self._accepted: Counter[int] = Counter()
        self._refused: list[int] = []
        # The calls since the last one above the limit, and whether the last ones above it were refused.
        self._since_probe = 0
        self._probes: deque[bool] = deque(maxlen=TUNING.probes)

    @property
    def full(self) -> bool:
        """True if one more call would be refused; now and then one is let through to find out if that still holds."""
        return len(self._flights) >= self.limit + (self._since_probe >= TUNING.probe_calls)

    def begin(self, now: float) -> Flight:
        """Record that a call is sent."""
        flight = Flight(now, len(self._flights) + 1)
        self._flights.add(flight)
        self._since_probe = 0 if self.exceeded(flight) else self._since_probe + 1
        return flight

    def end(self, flight: Flight) -> None:
        """Forget a call that was answered or given up."""
        self._flights.discard(flight)

    def exceeded(self, flight: Flight) -> bool:
        """Return True if there were more calls in flight than the limit, which explains a refusal."""
        return flight.number > self.limit

    def answered(self, flight: Flight, *, refused: bool) -> None:
        """Learn from an answer."""
        if self.exceeded(flight):
            self._probes.append(refused)
            if len(self._probes) == TUNING.probes and 2 * sum(self._probes) < TUNING.probes:
                self.limit = math.inf
        if not refused:
            self._accepted[flight.number] += 1
            return
        self._refused.append(flight.number)
        if len(self._refused) == TUNING.few_refusals:
            self._compare()

    def _compare(self) -> None:
        refused, least = len(self._refused), min(self._refused)
        accepted = sum(count for number, count in self._accepted.items() if number >= least)
        # While refusals are frequent, the rate is too high, and so is the number of calls in flight.
        rare = self._accepted.total() >= TUNING.rare * refused
        if 1 < least <= self.limit and accepted <= refused and rare:
            self.limit = least - 1
            self._probes.clear()
        self._accepted.clear()
        self._refused.clear()
