"""The throttle against a service with an unknown rate limit, in virtual time."""

from __future__ import annotations

import heapq
import itertools
import math
import random
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Any

import pytest

from airflow_provider_123pan.account.rate import SharedRate
from airflow_provider_123pan.service.throttle import MAX_BACKOFF_SECONDS, Throttle

SEEDS = range(6)
KINDS = ["bucket", "window"]


class MemoryVariables(dict[str, str]):
    """Airflow's Variables."""

    def set(self, name: str, value: str, description: str) -> None:
        """Overwrite a Variable."""
        self[name] = value


class Simulation:
    """Virtual time, and a service with a rate limit.

    :param limit: requests per second.
    :param kind: ``bucket`` for a token bucket, ``window`` for windows of one second.
    """

    def __init__(self, limit: float, kind: str, seed: int) -> None:
        self.limit, self.kind, self.random = limit, kind, random.Random(seed)
        self.now, self.order = 0.0, itertools.count()
        self.events: list[tuple[float, int, Callable[[], None]]] = []
        self.tokens, self.filled_at = limit, 0.0
        self.window, self.used, self.phase = -1, 0, self.random.random()
        self.variables = MemoryVariables()

    def after(self, seconds: float, event: Callable[[], None]) -> None:
        """Schedule an event."""
        heapq.heappush(self.events, (self.now + seconds, next(self.order), event))

    def run(self, until: float) -> None:
        """Let the events up to a time happen."""
        while self.events and self.events[0][0] <= until:
            self.now, _, event = heapq.heappop(self.events)
            event()

    def latency(self) -> float:
        """Return the seconds that a request or an answer takes."""
        return self.random.uniform(0.015, 0.06)

    def grants(self) -> bool:
        """Return True if the service accepts a request now, and False for a 429."""
        if self.kind == "bucket":
            self.tokens = min(self.limit, self.tokens + (self.now - self.filled_at) * self.limit)
            self.filled_at = self.now
            granted = self.tokens >= 1
            self.tokens -= granted
        else:
            if (window := math.floor(self.now + self.phase)) != self.window:
                self.window, self.used = window, 0
            granted = self.used < self.limit
            self.used += granted
        return granted


class Process:
    """A process that makes calls; one of them waits for its slot and the others queue, as in the clients.

    :param in_flight: number of concurrent calls.
    :param calls: number of calls in total.
    :param options: arguments of the throttle.
    """

    def __init__(
        self, simulation: Simulation, in_flight: int, calls: float = math.inf, **options: Any
    ) -> None:
        self.simulation, self.calls = simulation, calls
        self.throttle = Throttle(clock=lambda: simulation.now, uniform=simulation.random.uniform, **options)
        self.rate = SharedRate(
            "a" * 64, simulation.variables, clock=lambda: simulation.now, uniform=simulation.random.uniform
        )
        self.queue: deque[int] = deque()  # calls, by their number of refusals
        self.waiting = False
        self.good = self.refused = 0
        self.done: Callable[[], None] = lambda: None
        for _ in range(in_flight):
            self.next_call()

    def next_call(self) -> None:
        """Begin a call, or report the end of the process."""
        if self.calls:
            self.calls -= 1
            if self.rate.due(self.throttle):  # as the hook does
                self.rate.exchange(self.throttle)
            self.enqueue(0)
        else:
            self.done()

    def enqueue(self, refusals: int) -> None:
        """Queue a call for a slot."""
        self.queue.append(refusals)
        if not self.waiting:
            self.wait()

    def wait(self) -> None:
        """Wait for the slot of the first call in the queue."""
        self.waiting = bool(self.queue)
        if self.waiting:
            self.simulation.after(self.throttle.reserve(), partial(self.send, self.queue.popleft()))

    def send(self, refusals: int) -> None:
        """Send a request."""
        self.simulation.after(self.simulation.latency(), partial(self.arrive, refusals))
        self.wait()

    def arrive(self, refusals: int) -> None:
        """Let the service decide on a request."""
        self.simulation.after(
            self.simulation.latency(), partial(self.answer, self.simulation.grants(), refusals)
        )

    def answer(self, granted: bool, refusals: int) -> None:
        """Receive an answer."""
        if granted:
            self.good += 1
            self.throttle.accepted()
            self.next_call()
        else:
            self.refused += 1
            self.throttle.refused()
            self.simulation.after(self.throttle.backoff(refusals), partial(self.enqueue, refusals + 1))


def simulate(
    limit: float,
    kind: str,
    seed: int,
    *,
    processes: int = 1,
    in_flight: int = 16,
    late: float = 0.0,
    **options: Any,
) -> Any:
    """Make calls for a minute.

    :param late: maximum delay of all processes but the first, in seconds.
    :returns: the processes, the share of the limit that they used, and the share of their requests that was refused.
    """
    simulation = Simulation(limit, kind, seed)
    running: list[Process] = []
    for number in range(processes):
        begin = simulation.random.uniform(0, late) if number else 0.0
        simulation.after(begin, lambda: running.append(Process(simulation, in_flight, **options)))
    simulation.run(until=60)
    good, refused = sum(p.good for p in running), sum(p.refused for p in running)
    return running, good / (60 * limit), refused / (good + refused)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("limit", "in_flight"), [(2, 16), (2, 1), (5, 16), (10, 16), (10, 1), (50, 16)])
def test_one_process_finds_the_limit(limit: float, kind: str, in_flight: int) -> None:
    for seed in SEEDS:
        [process], used, refused = simulate(limit, kind, seed, in_flight=in_flight)
        assert used >= 0.85
        assert refused < 0.08
        assert process.throttle.learned
        assert 0.6 * limit < process.throttle.rate < 1.4 * limit


@pytest.mark.parametrize("late", [0, 2], ids=["together", "one late"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("limit", "max_refused"), [(2, 0.2), (10, 0.08), (50, 0.08)])
def test_two_processes_share_the_limit(limit: float, kind: str, max_refused: float, late: float) -> None:
    shares = []
    for seed in SEEDS:
        running, used, refused = simulate(limit, kind, seed, processes=2, late=late)
        assert used >= 0.85
        assert refused < max_refused
        shares.append(min(p.good for p in running) / sum(p.good for p in running))
    # At 2 requests per second there are a dozen refusals per minute, so chance has a large influence.
    assert median(shares) >= 0.38
    assert min(shares) >= 0.25


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("limit", [2, 10, 50])
@pytest.mark.parametrize(("factor", "max_refused"), [(1 / 30, 0.09), (0.9, 0.09), (5, 0.22), (25, 0.36)])
def test_a_stored_rate_that_is_wrong_is_soon_corrected(
    limit: float, kind: str, factor: float, max_refused: float
) -> None:
    for seed in SEEDS[:3]:
        _, used, refused = simulate(limit, kind, seed, start=limit * factor)
        assert used >= 0.85
        assert refused < max_refused


@pytest.mark.parametrize("in_flight", [8, 32])
@pytest.mark.parametrize("kind", KINDS)
def test_the_calls_of_many_short_processes_all_succeed(kind: str, in_flight: int) -> None:
    simulation = Simulation(2, kind, seed=1)
    stored: list[float] = []
    lasted: list[float] = []
    started = itertools.count(1)

    def start() -> None:
        if next(started) > 300:
            return
        process, begin = Process(simulation, 1, calls=3, start=stored[-1] if stored else None), simulation.now

        def done() -> None:
            lasted.append(simulation.now - begin)
            stored.append(process.throttle.rate)
            start()

        process.done = done

    for _ in range(in_flight):
        simulation.after(simulation.random.random(), start)
    simulation.run(until=3600)
    assert len(lasted) == 300
    assert max(lasted) < 350  # seconds for three calls, each of which retries for 600
    assert simulation.now < 600  # 900 calls at 2 per second take at least 450 seconds


@pytest.mark.parametrize("in_flight", [1, 16])
def test_the_ceiling_is_never_exceeded(in_flight: int) -> None:
    [process], _, refused = simulate(50, "bucket", 1, in_flight=in_flight, ceiling=5.0)
    assert 4.5 * 60 < process.good <= 5 * 60 + 1
    assert refused == 0
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
    [process], _, _ = simulate(1000, "bucket", 1, in_flight=1)  # 75 ms per call: at most 13 per second
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
    throttle.refused()
    rate = throttle.rate
    for _ in range(50):
        throttle.refused()
    assert throttle.rate == rate
    now = 2.0
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
    assert 1 / throttle.rate < 10


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
