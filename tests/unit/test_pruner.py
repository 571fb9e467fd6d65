"""By which clock deliveries become old."""

from __future__ import annotations

import logging
from typing import Any, cast

import pytest

from airflow_provider_123pan.receiver.inbox import Inbox
from airflow_provider_123pan.receiver.pruner import Pruner

START = 1_800_000_000.0
HOUR = 3600.0
DAY = 86400.0


class ThreeClocks:
    """Three clocks, and an inbox that records which times the pruner passes to it."""

    def __init__(self) -> None:
        self.clock = self.database = START
        self.steady = 5.0
        self.pruned: list[tuple[float, float]] = []
        self.pruner = Pruner(cast("Inbox", self), 30 * DAY, lambda: self.clock, lambda: self.steady)

    def pass_time(self, seconds: float) -> None:
        self.clock += seconds
        self.database += seconds
        self.steady += seconds

    def database_time(self) -> float:
        return self.database

    def prune(self, before: float, latest: float) -> int:
        self.pruned.append((before, latest))
        return 0

    def now(self) -> float:
        """Prune, and return the time by which that was done."""
        self.pruner.prune()
        before, latest = self.pruned[-1]
        assert latest == before + 30 * DAY + 300
        return before + 30 * DAY


@pytest.fixture
def times() -> ThreeClocks:
    return ThreeClocks()


@pytest.fixture
def warnings(caplog: pytest.LogCaptureFixture) -> Any:
    """Return a function that returns the number of warnings so far."""
    caplog.set_level(logging.WARNING)
    return lambda: len(caplog.records)


def test_clocks_that_agree_are_used_as_they_are(times: ThreeClocks, warnings: Any) -> None:
    assert times.now() == START
    times.pass_time(40 * DAY)
    times.database += 100
    assert times.now() == START + 40 * DAY
    assert warnings() == 0


@pytest.mark.parametrize("clocks", [["clock"], ["database"], ["clock", "database"]])
def test_a_clock_that_jumps_forward_deletes_nothing(
    times: ThreeClocks, clocks: list[str], warnings: Any
) -> None:
    """Neither the receiver's, nor the database's, nor that of a machine that runs both."""
    for clock in clocks:
        setattr(times, clock, START + 365 * DAY)
    assert times.now() == START
    times.pass_time(HOUR)
    assert times.now() == START + HOUR
    assert warnings() == 1
    for clock in clocks:
        setattr(times, clock, START + HOUR)
    assert times.now() == START + HOUR
    times.pass_time(HOUR)
    assert times.now() == START + 2 * HOUR
    assert warnings() == 1


def test_a_clock_that_was_ahead_at_the_start_is_followed_back(times: ThreeClocks, warnings: Any) -> None:
    times.clock = START - 365 * DAY
    times.database = START - 365 * DAY
    assert times.now() == START - 365 * DAY
    times.pass_time(HOUR)
    assert times.now() == START - 365 * DAY + HOUR
    assert warnings() == 0


def test_small_corrections_are_followed(times: ThreeClocks, warnings: Any) -> None:
    for _ in range(20):
        times.pass_time(HOUR)
        times.clock += 60
        times.database += 60
        times.now()
    assert times.now() == START + 20 * HOUR + 20 * 60
    assert warnings() == 0
