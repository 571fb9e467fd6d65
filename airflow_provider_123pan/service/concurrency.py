"""The calls that wait for their answers, and how many of them the service accepts at the same time."""

from __future__ import annotations

import math
from collections import Counter, deque
from dataclasses import dataclass

from airflow_provider_123pan.service.tuning import TUNING


@dataclass(frozen=True, slots=True, eq=False)
class SentCall:
    """A call that was sent.

    :ivar sent_at: monotonic seconds.
    :ivar number: how many calls waited for their answers when it was sent, with itself.
    """

    sent_at: float
    number: int


class ConcurrencyLimit:
    """The calls that wait for their answers, and the limit on them that the answers show.

    A few refusals in a row are compared with the good answers between them. If every refused call had many others
    beside it, and such calls were rarely accepted, the service limits concurrent requests. A rate limit refuses its
    calls no matter how many others wait.
    """

    def __init__(self) -> None:
        #: The most calls that the service accepts at the same time; infinite if refusals do not depend on it.
        self.limit = math.inf
        self._calls: set[SentCall] = set()
        # How many calls waited at the good answers and at the refusals since the last comparison.
        self._accepted: Counter[int] = Counter()
        self._refused: list[int] = []
        # The calls since the last one above the limit, and whether the last ones above it were refused.
        self._since_probe = 0
        self._probes: deque[bool] = deque(maxlen=TUNING.probes)

    @property
    def full(self) -> bool:
        """True if one more call would be refused; now and then one is let through to find out if that still holds."""
        return len(self._calls) >= self.limit + (self._since_probe >= TUNING.probe_calls)

    def begin(self, now: float) -> SentCall:
        """Record that a call is sent."""
        call = SentCall(now, len(self._calls) + 1)
        self._calls.add(call)
        self._since_probe = 0 if self.exceeded(call) else self._since_probe + 1
        return call

    def end(self, call: SentCall) -> None:
        """Forget a call that was answered or given up."""
        self._calls.discard(call)

    def exceeded(self, call: SentCall) -> bool:
        """Return True if more calls waited than the limit allows, which explains a refusal."""
        return call.number > self.limit

    def answered(self, call: SentCall, *, refused: bool) -> None:
        """Learn from an answer."""
        if self.exceeded(call):
            self._probes.append(refused)
            if len(self._probes) == TUNING.probes and 2 * sum(self._probes) < TUNING.probes:
                self.limit = math.inf
        if not refused:
            self._accepted[call.number] += 1
            return
        self._refused.append(call.number)
        if len(self._refused) == TUNING.few_refusals:
            self._compare()

    def _compare(self) -> None:
        refused, least = len(self._refused), min(self._refused)
        accepted = sum(count for number, count in self._accepted.items() if number >= least)
        # While refusals are frequent, the rate is too high, and so is the number of calls that wait.
        rare = self._accepted.total() >= TUNING.rare * refused
        if 1 < least <= self.limit and accepted <= refused and rare:
            self.limit = least - 1
            self._probes.clear()
        self._accepted.clear()
        self._refused.clear()
