"""Whether a series of measurements grows: its slope with a confidence interval that respects autocorrelation.

A leak raises the lowest value of each minute; what is used at the same time by requests under way does not, so that
value stands for the minute. Memory does not scatter around a line: it steps up and stays. A fit that takes neighbouring
values for independent ones finds growth in every such step. So there are two estimates of the slope. If the
residuals of a least-squares line forget their past, the line is taken, with the effective number of values
``n (1 - r) / (1 + r)``, where ``r`` is the autocorrelation of the residuals at lag 1. Otherwise the series is a random
walk, and the slope is the mean change from minute to minute, whose interval is wide if few changes make it. A series
that levels off, as caches and memory allocators do once they are warm, has no slope left in its second half.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

BLOCK_SECONDS = 60.0
MIN_BLOCKS = 3
MAX_CORRELATION = 0.3  # of residuals of the line; 95 % of independent series of 25 values stay below
# The 97.5 % quantile of Student's t by degrees of freedom; between them it is linear in their reciprocal.
T_QUANTILES = (
    *((1, 12.706), (2, 4.303), (3, 3.182), (4, 2.776), (5, 2.571), (6, 2.447), (8, 2.306), (10, 2.228)),
    *((15, 2.131), (20, 2.086), (30, 2.042), (60, 2.000), (math.inf, 1.960)),
)

Sample = tuple[float, float]


@dataclass(frozen=True)
class Trend:
    """The slope of a series.

    :ivar level: the mean of the lowest values of the minutes.
    :ivar slope: change per hour.
    :ivar low: the lower end of the slope's 95 % confidence interval.
    :ivar high: its upper end.
    :ivar later: the slope of a line through the second half, per hour.
    """

    level: float
    slope: float
    low: float
    high: float
    later: float

    def grows(self, negligible: float) -> bool:
        """Return whether the interval lies above 0, and both slopes above what is negligible per hour."""
        return self.low > 0 and min(self.slope, self.later) > negligible


def trend(samples: Sequence[Sample]) -> Trend:
    """Return the trend of pairs of seconds and a value, in the order of time.

    :raises ValueError: they cover fewer than three minutes.
    """
    blocks = _blocks(samples)
    if len(blocks) < MIN_BLOCKS:
        raise ValueError(f"only {len(blocks)} minutes: a trend needs {MIN_BLOCKS}")
    slope, error, correlation = _line(blocks)
    later, *_ = _line(blocks[-max(2, len(blocks) // 2) :])
    if correlation > MAX_CORRELATION:
        slope, error = _walk(blocks)
    per_hour = 3600 / BLOCK_SECONDS
    return Trend(
        statistics.fmean(blocks),
        *(value * per_hour for value in (slope, slope - error, slope + error, later)),
    )


def _blocks(samples: Sequence[Sample]) -> list[float]:
    """Return the lowest value of each minute; the last minute counts only if it is half full."""
    start = samples[0][0] if samples else 0.0
    values: dict[int, list[float]] = {}
    for at, value in samples:
        values.setdefault(int((at - start) // BLOCK_SECONDS), []).append(value)
    numbers = sorted(values)
    if len(numbers) > 1 and 2 * len(values[numbers[-1]]) < len(values[numbers[-2]]):
        numbers.pop()
    return [min(values[number]) for number in numbers]


def _line(values: Sequence[float]) -> tuple[float, float, float]:
    """Fit a line.

    :returns: the slope, the half width of its interval, and the autocorrelation of the residuals.
    """
    count, centre, mean = len(values), (len(values) - 1) / 2, statistics.fmean(values)
    spread = sum((index - centre) ** 2 for index in range(count))
    slope = sum((index - centre) * (value - mean) for index, value in enumerate(values)) / spread
    residuals = [value - mean - slope * (index - centre) for index, value in enumerate(values)]
    squares = sum(residual**2 for residual in residuals)
    if squares <= 1e-18 * sum(value**2 for value in values):
        return slope, 0.0, 0.0
    products = sum(one * next_one for one, next_one in pairwise(residuals))
    correlation = max(0.0, products / squares)
    freedom = max(1.0, count * (1 - correlation) / (1 + correlation) - 2)
    return slope, t_quantile(freedom) * math.sqrt(squares / freedom / spread), correlation


def _walk(values: Sequence[float]) -> tuple[float, float]:
    """Return the mean change, and the half width of its interval."""
    changes = [after - before for before, after in pairwise(values)]
    if len(changes) < 2:
        return changes[0], math.inf
    error = statistics.stdev(changes) / math.sqrt(len(changes))
    return statistics.fmean(changes), t_quantile(len(changes) - 1) * error


def t_quantile(freedom: float) -> float:
    """Return the 97.5 % quantile of Student's t distribution for at least one degree of freedom."""
    for (below, at_below), (above, at_above) in pairwise(T_QUANTILES):
        if freedom <= above:
            share = (1 / below - 1 / freedom) / (1 / below - 1 / above)
            return at_below + (at_above - at_below) * share
    return T_QUANTILES[-1][1]
