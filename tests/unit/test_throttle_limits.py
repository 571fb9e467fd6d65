"""The throttle against every kind of unknown limit, in virtual time: the goals with a margin."""

from __future__ import annotations

from functools import partial
from statistics import median

import pytest

from airflow_provider_123pan.service.throttle import Throttle
from tests.benchmarks.limiter_kinds import Bucket, Changing, Concurrent, FixedWindow
from tests.benchmarks.limiter_peers import FixedRate
from tests.benchmarks.limiters import (
    CHANGES,
    CROWDS,
    SCENARIOS,
    SHARED,
    Result,
    Scenario,
    medians,
    run,
    short_processes,
)
from tests.benchmarks.simulation import Process, Simulation

SEEDS = range(3)


def result(name: str) -> Result:
    """Return the medians of a scenario of the benchmark."""
    return medians((SCENARIOS | CHANGES | SHARED | CROWDS)[name], SEEDS)


@pytest.mark.parametrize(
    ("kind", "used"),
    [
        ("token bucket", 0.95),
        ("one-second window", 0.92),
        ("sliding second", 0.88),
        ("sliding second that counts refused calls", 0.9),
    ],
)
@pytest.mark.parametrize(("rate", "refused"), [(2, 0.08), (10, 0.03), (50, 0.02)])
def test_a_limit_per_second_is_found(kind: str, used: float, rate: int, refused: float) -> None:
    found = result(f"{kind}, {rate}/s")
    assert found.used >= used
    assert found.refused < refused


@pytest.mark.parametrize(
    ("name", "used", "refused"),
    [("even spacing, 10/s", 0.66, 0.04), ("even spacing with a burst of 3, 10/s", 0.95, 0.04)],
)
def test_a_limit_on_the_spacing_is_found(name: str, used: float, refused: float) -> None:
    found = result(name)
    assert found.used >= used
    assert found.refused < refused


@pytest.mark.parametrize(
    "name",
    [
        "100 per 10 s",
        "600 per minute",
        "120 per minute",
        "600 per sliding minute",
        "20 per second and 300 per minute",
    ],
)
def test_a_quota_is_spread_over_its_period(name: str) -> None:
    found = result(name)
    assert found.used >= 0.95
    assert found.refused < 0.08


def test_a_cap_on_concurrent_requests_is_found() -> None:
    found = result("3 at the same time")
    assert found.used >= 0.73
    assert found.refused < 0.06


def test_a_cap_on_concurrent_requests_that_rises_is_found() -> None:
    cap = Concurrent(3)
    simulation = Simulation(cap, seed=1)
    process = Process(simulation, 32)
    simulation.run(until=150)
    cap.count = 9
    simulation.run(until=240)
    before = process.good
    simulation.run(until=300)
    assert (process.good - before) / 60 >= 0.6 * 3 * cap.limit


@pytest.mark.parametrize("limit", [10, 50])
def test_a_limit_of_a_slow_service_is_found(limit: int) -> None:
    found = result(f"answers after 1 to 3 s, {limit}/s")
    assert found.used >= 0.9
    assert found.refused < 0.08


@pytest.mark.parametrize(
    ("name", "used"), [("429 on the first call, then 10/s", 0.95), ("1 % stray 429, 10/s", 0.85)]
)
def test_a_refusal_without_a_reason_does_not_keep_the_rate_down(name: str, used: float) -> None:
    assert result(name).used >= used


@pytest.mark.parametrize("kind", ["bucket", "window"])
@pytest.mark.parametrize("before", [5, 10])
def test_a_limit_that_rises_is_found_within_30_seconds(kind: str, before: int) -> None:
    found = result(f"{kind} {before} to 50/s, 30 to 60 s later")
    assert found.used >= 0.9
    assert found.refused < 0.04


@pytest.mark.parametrize("kind", ["bucket", "window"])
@pytest.mark.parametrize(("after", "refused"), [(10, 0.15), (5, 0.25)])
def test_a_limit_that_falls_is_found_soon(kind: str, after: int, refused: float) -> None:
    assert result(f"{kind} 50 to {after}/s, first 20 s").refused < refused
    later = result(f"{kind} 50 to {after}/s, 20 to 120 s later")
    assert later.used >= 0.9
    assert later.refused < 0.04


EIGHT_IN_A_SLIDING_SECOND = "8 processes, sliding second, 10/s"


@pytest.mark.parametrize("name", SHARED)
def test_processes_share_a_limit_evenly(name: str) -> None:
    found = result(name)
    assert found.used >= (0.81 if name == EIGHT_IN_A_SLIDING_SECOND else 0.88)
    assert found.refused < (0.13 if ", 2/s" in name else 0.098)
    assert found.least >= 0.75


def test_the_best_fixed_rates_use_no_more_of_a_sliding_second() -> None:
    scenario = SHARED[EIGHT_IN_A_SLIDING_SECOND]
    fixed = [
        run(scenario, seed, partial(FixedRate, total / scenario.processes))
        for total in (8.6, 8.8, 9, 9.2, 9.4, 9.6)
        for seed in SEEDS
    ]
    assert median(found.used for found in fixed) < result(EIGHT_IN_A_SLIDING_SECOND).used + 0.02


@pytest.mark.parametrize("kind", ["token bucket", "one-second window"])
@pytest.mark.parametrize(("processes", "used", "refused"), [(4, 0.75, 0.2), (8, 0.74, 0.3), (16, 0.78, 0.46)])
def test_many_processes_share_a_low_limit(kind: str, processes: int, used: float, refused: float) -> None:
    found = result(f"{processes} processes, {kind}, 2/s")
    assert found.used >= used
    assert found.refused < refused
    assert found.least >= 0.5


def test_a_high_limit_is_reached_within_seconds() -> None:
    assert medians(Scenario(partial(Bucket, 50), seconds=10), SEEDS).used >= 0.6


def test_a_quota_that_rises_is_found_within_minutes() -> None:
    def limiter() -> Changing:
        return Changing(120, FixedWindow(100, 10), FixedWindow(500, 10))

    assert medians(Scenario(partial(limiter), seconds=300, after=200), SEEDS).used >= 0.5


@pytest.mark.parametrize("kind", [Bucket, FixedWindow])
@pytest.mark.parametrize("limit", [2, 10, 50])
@pytest.mark.parametrize(("factor", "most_refused"), [(1 / 30, 0.09), (0.9, 0.09), (5, 0.22), (25, 0.36)])
def test_a_stored_rate_that_is_wrong_is_soon_corrected(
    kind: type[Bucket | FixedWindow], limit: int, factor: float, most_refused: float
) -> None:
    for seed in SEEDS:
        found = run(Scenario(partial(kind, limit), seconds=60), seed, partial(Throttle, start=limit * factor))
        assert found.used >= 0.8
        assert found.refused < most_refused


@pytest.mark.parametrize("at_once", [8, 32])
@pytest.mark.parametrize("kind", [Bucket, FixedWindow])
def test_the_calls_of_many_short_processes_all_succeed(
    kind: type[Bucket | FixedWindow], at_once: int
) -> None:
    ended, _ = short_processes(kind(2), 1, at_once=at_once)
    assert ended == 300
