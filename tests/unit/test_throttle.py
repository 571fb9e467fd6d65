"""The throttle: pace, ceiling, cuts, and what it learns, in virtual time."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable

import pytest

from airflow_provider_123pan.service.throttle import MAX_BACKOFF_SECONDS, Throttle
from airflow_provider_123pan.service.tuning import TUNING
from tests.benchmarks.limiter_kinds import Bucket
from tests.benchmarks.simulation import Process, Simulation


@pytest.mark.parametrize("in_flight", [1, 16])
def test_the_ceiling_is_never_exceeded(in_flight: int) -> None:
    simulation = Simulation(Bucket(50), seed=1)
    process = Process(simulation, in_flight, ceiling=5.0)
    simulation.run(until=60)
    assert 4.5 * 60 < process.good <= 5 * 60 + 1
    assert process.refused == 0
    assert process.throttle.rate == 5
    assert not process.throttle.learned


def test_the_ceiling_holds_while_the_rate_climbs_back() -> None:
    now = 0.0
    # The smallest step down climbs back most slowly: after 1,000 answers it is still a little below the ceiling.
    throttle = Throttle(start=10, ceiling=10, clock=lambda: now, uniform=lambda low, high: high)
    throttle.refused()
    assert throttle.rate < 10
    for _ in range(1200):
        now += 0.1
        throttle.accepted()
    assert throttle.rate == 10


def test_an_unused_rate_does_not_grow() -> None:
    simulation = Simulation(Bucket(1000), seed=1)
    process = Process(simulation, 1)  # 75 ms per call: at most 13 per second
    simulation.run(until=60)
    assert process.good / 60 > 10
    assert process.throttle.rate < 5 * process.good / 60
    now = 0.0
    throttle = Throttle(clock=lambda: now)
    for _ in range(1000):
        now += 5 + throttle.reserve()
        throttle.accepted()
    assert throttle.rate == 2


def test_a_lowered_rate_does_not_climb_while_it_is_unused() -> None:
    now = 0.0
    throttle = Throttle(start=10, clock=lambda: now, uniform=lambda low, high: low)
    throttle.refused()
    lowered = throttle.rate
    assert lowered < 10
    for _ in range(100):
        now += 30
        throttle.accepted()
    assert throttle.rate == lowered


def test_a_quota_is_not_learned_from_the_time_before_idleness() -> None:
    now = 0.0
    throttle = Throttle(start=10, clock=lambda: now)
    for _ in range(4):
        now += 10
        throttle.accepted()
    for _ in range(20):
        now += 0.1
        throttle.accepted()
    for _ in range(4):
        throttle.refused()
        now += 1
    throttle.accepted()
    assert throttle.rate > 2  # 20 calls in 6 seconds, and not 24 in a minute


def test_a_refusal_of_one_of_the_first_calls_does_not_end_the_search() -> None:
    now = 0.0
    throttle = Throttle(start=10, clock=lambda: now)
    throttle.accepted()
    throttle.accepted()
    throttle.refused()
    assert throttle.learned
    assert throttle.rate < 10
    for _ in range(30):
        now += 1 / throttle.rate
        throttle.accepted()
    assert throttle.rate > 10


@pytest.mark.parametrize(("choose", "least", "most"), [(min, 0.82, 0.86), (max, 0.9, 0.94)])
def test_a_cut_is_random_within_a_small_range(
    choose: Callable[[float, float], float], least: float, most: float
) -> None:
    now = 0.0
    throttle = Throttle(start=10, clock=lambda: now, uniform=choose)
    for _ in range(8):
        throttle.accepted()
    throttle.refused()
    before = throttle.rate
    for _ in range(30):  # the search is over
        now += 1 / before
        throttle.accepted()
    before = throttle.rate
    throttle.refused()
    assert least < throttle.rate / before < most


def test_calls_become_rare_while_all_are_refused() -> None:
    now = 0.0
    throttle = Throttle(start=10, clock=lambda: now)
    sent = 0
    while now < 50:
        now += throttle.reserve()
        throttle.refused()
        sent += 1
    assert sent < 40
    now += (pause := throttle.reserve())
    assert pause == pytest.approx(TUNING.probe_seconds)
    throttle.accepted()
    assert throttle.reserve() < 1


def test_while_most_calls_are_refused_the_rate_is_halved_several_times_a_second() -> None:
    now = 0.0
    throttle = Throttle(start=100, clock=lambda: now, uniform=lambda low, high: high)
    for _ in range(20):
        now += 0.05
        throttle.accepted()
    throttle.refused()
    cut = throttle.rate
    for call in range(1, 60):
        now += 0.02
        throttle.accepted() if call % 5 == 0 else throttle.refused()
    assert throttle.rate < cut / 8


def test_requests_are_paced_evenly_and_idle_time_is_not_made_up_for() -> None:
    now = 0.0
    throttle = Throttle(start=4, clock=lambda: now)
    assert [throttle.reserve() for _ in range(4)] == [0, 0.25, 0.5, 0.75]
    now = 100.0
    assert [throttle.reserve() for _ in range(3)] == [0, 0.25, 0.5]


def test_the_slower_of_two_processes_follows_the_faster_one() -> None:
    throttle = Throttle(start=10, ceiling=20, clock=lambda: 0.0)
    throttle.converge(8)
    assert throttle.rate == 10
    throttle.converge(30)
    assert throttle.rate == 15
    throttle.converge(100)
    assert throttle.rate == 20
    throttle.refused()
    low = throttle.rate
    throttle.converge(low + 4)
    assert throttle.rate == pytest.approx(low + 1)


def test_a_quota_of_many_calls_is_learned_exactly() -> None:
    now = 0.0
    throttle = Throttle(start=500, clock=lambda: now)
    for _ in range(40 * 500):
        now += 1 / 500
        throttle.accepted()
    for _ in range(10):
        throttle.refused()
        now += 2
    throttle.accepted()
    assert throttle.rate == pytest.approx(40 * 500 / 60, rel=0.02)


def test_processes_that_share_a_quota_follow_in_both_directions() -> None:
    now = 0.0
    throttle = Throttle(start=10, clock=lambda: now)
    for _ in range(100):
        now += 0.1
        throttle.accepted()
    for _ in range(10):
        throttle.refused()
        now += 2
    throttle.accepted()
    assert (rate := throttle.rate) == pytest.approx(100 / 30, rel=0.02)
    throttle.converge(1)
    assert throttle.rate == pytest.approx(rate - (rate - 1) / 4)


def test_a_process_with_few_calls_is_not_bound_by_the_rate() -> None:
    now = 0.0
    throttle = Throttle(start=10, ceiling=10, clock=lambda: now)
    assert not throttle.rate_bound
    for pause, rate_bound in ((1.0, False), (0.1, True), (1.0, False)):
        for _ in range(40):
            now += pause
            throttle.accepted()
        assert throttle.rate_bound is rate_bound


def test_one_overshoot_counts_once() -> None:
    now = 0.0
    throttle = Throttle(start=20, clock=lambda: now)
    for _ in range(8):
        throttle.accepted()
    throttle.refused()
    rate = throttle.rate
    for _ in range(50):
        throttle.refused()
    assert throttle.rate == rate
    now = 2.0
    throttle.accepted()
    throttle.refused()
    assert throttle.rate < rate


def test_endless_refusals_leave_a_usable_rate_and_backoff() -> None:
    now = 0.0
    throttle = Throttle(clock=lambda: now, uniform=lambda low, high: high)
    assert [throttle.backoff(n) for n in range(3)] == [0.5, 1, 2]
    for refusals in range(10_000):
        now += 60
        throttle.refused()
        assert throttle.backoff(refusals) <= MAX_BACKOFF_SECONDS
    assert 1 / throttle.rate <= 10
    for call in range(10_000):
        now += 1
        throttle.refused() if call % 5 else throttle.accepted()
    assert 1 / throttle.rate <= 10


@pytest.mark.parametrize("start", [None, 0.0, -3.0, math.nan, math.inf])
def test_a_meaningless_start_is_ignored(start: float | None) -> None:
    assert Throttle(start=start).rate == Throttle().rate == 2


@pytest.mark.parametrize("ceiling", [0.0, -1.0, math.nan])
def test_a_meaningless_ceiling_is_an_error(ceiling: float) -> None:
    with pytest.raises(ValueError, match="ceiling must be above 0"):
        Throttle(ceiling=ceiling)


def test_no_two_threads_get_the_same_slot() -> None:
    throttle = Throttle(start=1000, clock=lambda: 0.0)
    slots: list[float] = []
    threads = [
        threading.Thread(target=lambda: slots.extend(throttle.reserve() for _ in range(200)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(slots) == pytest.approx([number / 1000 for number in range(1600)])
