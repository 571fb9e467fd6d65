"""Deletes old deliveries by the earliest of several clocks, because one that is ahead would delete new ones."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from airflow_provider_123pan.callbacks.address import CLOCK_SKEW
from airflow_provider_123pan.receiver.inbox import Inbox

log = logging.getLogger(__name__)


class Pruner:
    """Deletes the deliveries of one inbox when they are older than the retention. Its calls block.

    :param retention: seconds for which deliveries are kept.
    :param clock: returns Unix seconds.
    :param steady_clock: returns seconds since any time; setting the clock does not change it.
    """

    def __init__(
        self,
        inbox: Inbox,
        retention: float,
        clock: Callable[[], float] = time.time,
        steady_clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._inbox = inbox
        self._retention = retention
        self._clock = clock
        self._steady_clock = steady_clock
        self._offset = clock() - steady_clock()  # from the steady clock to Unix seconds
        self._differ = False

    def prune(self) -> int:
        """Delete the old deliveries, and return their number."""
        now = self._earliest_time()
        return self._inbox.prune(now - self._retention, now + CLOCK_SKEW)

    def _earliest_time(self) -> float:
        """Return the time by the clock that is behind the others, and warn if they differ."""
        now, steady = self._clock(), self._steady_clock()
        if now - steady - self._offset <= CLOCK_SKEW:  # otherwise, the clock has jumped forward
            self._offset = now - steady
        times = (now, self._offset + steady, self._inbox.database_time())
        differ = max(times) - min(times) > CLOCK_SKEW
        if differ and not self._differ:
            log.warning(
                "The receiver's clock has jumped forward, or it differs from the clock of the inbox's database: the "
                "times are %d, %d (counted since the start) and %d (the database's), in Unix seconds. Old deliveries "
                "are deleted by the earliest one. Correct the clocks, and restart the receiver.",
                *times,
            )
        self._differ = differ
        return min(times)
