"""The lag of an event loop, as a probe measured it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

INTERVAL = 0.1  # seconds that the probe sleeps


class Lag(NamedTuple):
    """One sleep of the probe.

    :ivar at: Unix seconds.
    :ivar seconds: by how much it was too long.
    :ivar cpu_wait: seconds for which the loop's thread waited for a CPU meanwhile.
    """

    at: float
    seconds: float
    cpu_wait: float

    @property
    def own(self) -> float:
        """The seconds that are not the machine's fault."""
        return max(0.0, self.seconds - self.cpu_wait)


def quantile(lags: Sequence[float], share: float) -> float:
    """Return a quantile, corrected for the sleeps that a blocked probe could not begin."""
    values = sorted(without_omission(lags))
    return values[min(len(values) - 1, int(share * len(values)))]


def without_omission(lags: Sequence[float]) -> list[float]:
    """Return the lags as a probe that never waits would have measured them.

    A loop that is blocked for a second delays one sleeper, and would have delayed ten that came every 0.1 s.

    :param lags: seconds by which sleeps were late.
    """
    found: list[float] = []
    for lag in lags:
        found.append(lag)
        while (lag := lag - INTERVAL) > 0:
            found.append(lag)
    return found
