"""Growth is found where there is some, and neither noise nor a step is taken for it."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import pytest

from tests.cluster.trends import Sample, t_quantile, trend

MINUTES, PER_MINUTE = 25, 12


def series(value: Callable[[float], float], noise: float = 0.0, seed: int = 1) -> list[Sample]:
    """Return a value every 5 s that depends on the minutes since the start."""
    chance = random.Random(seed)
    times = [60 * index / PER_MINUTE for index in range(MINUTES * PER_MINUTE)]
    return [(1e9 + at, value(at / 60) + chance.gauss(0, noise)) for at in times]


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(lambda minute: 300 + minute, id="steadily"),
        pytest.param(lambda minute: 300 + 3 * (minute // 3), id="by steps"),
        pytest.param(lambda minute: 300 + minute**2 / 25, id="faster and faster"),
        pytest.param(lambda minute: 300 + (minute**2 - 12**2) / 13 * (minute > 12), id="late"),
    ],
)
def test_growth_is_found(value: Callable[[float], float]) -> None:
    assert trend(series(value, noise=0.5)).grows(10)


def test_the_interval_mostly_contains_the_slope_per_hour() -> None:
    found = [trend(series(lambda minute: 300 + minute, noise=0.5, seed=seed)) for seed in range(100)]
    assert all(line.slope == pytest.approx(60, abs=4) for line in found)
    assert 88 <= sum(line.low < 60 < line.high for line in found) < 100  # 95 are expected


@pytest.mark.parametrize("minute", [2, 8, 12, 18, 23])
def test_one_step_is_no_growth(minute: int) -> None:
    found = trend(series(lambda now: 300 + 20 * (now >= minute), noise=0.5))
    assert not found.grows(0)


def test_what_levels_off_does_not_grow() -> None:
    assert not trend(series(lambda minute: 300 + 20 * (1 - math.exp(-minute / 3)), noise=0.1)).grows(3)


def test_what_requests_under_way_use_is_no_growth() -> None:
    chance = random.Random(1)
    busier = [(at, 20.0 + (chance.random() < at / 1500) * 5) for at in range(0, 60 * MINUTES, 5)]
    assert not trend(busier).grows(1)


def test_noise_is_hardly_ever_growth() -> None:
    grown = [trend(series(lambda _: 300, noise=5, seed=seed)).grows(0) for seed in range(100)]
    assert sum(grown) <= 0.06 * len(grown)  # 2.5 % are expected


def test_a_random_walk_is_hardly_ever_growth() -> None:
    def walk(seed: int) -> list[Sample]:
        chance, level = random.Random(seed), 300.0
        return [(60.0 * minute, level := level + chance.gauss(0, 1)) for minute in range(MINUTES)]

    grown = [trend(walk(seed)).grows(0) for seed in range(400)]
    assert sum(grown) <= 0.1 * len(grown)  # 5 % are expected; a plain line finds 17 %


def test_a_shrinking_series_does_not_grow() -> None:
    assert not trend(series(lambda minute: 300 - minute, noise=0.5)).grows(0)


def test_what_never_changes_has_an_interval_without_width() -> None:
    found = trend(series(lambda _: 7))
    assert (found.level, found.slope, found.low, found.high, found.later) == (7, 0, 0, 0, 0)


def test_growth_below_what_is_negligible_does_not_count() -> None:
    found = trend(series(lambda minute: 300 + minute / 60))
    assert found.grows(0.5)
    assert not found.grows(2)


def test_a_trend_needs_three_minutes() -> None:
    with pytest.raises(ValueError, match="only 2 minutes"):
        trend([(at, 1.0) for at in range(0, 120, 5)])


@pytest.mark.parametrize(("freedom", "quantile"), [(1, 12.706), (7, 2.365), (23, 2.069), (1000, 1.962)])
def test_quantiles_of_t_are_those_of_the_tables(freedom: float, quantile: float) -> None:
    assert t_quantile(freedom) == pytest.approx(quantile, abs=0.01)
