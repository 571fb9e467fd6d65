"""The rate that a process found, kept in a Variable as the next one's start."""

from __future__ import annotations

import pytest

from airflow_provider_123pan.hooks import variables
from airflow_provider_123pan.hooks.variables import RATE_PERIOD, SharedRate
from airflow_provider_123pan.service.throttle import Throttle

ACCOUNT = "0123456789abcdef" * 4
NAME = "pan123_rate__0123456789abcdef"


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Kept(dict[str, str]):
    """Variables that count what is written."""

    writes = 0

    def set(self, name: str, value: str, description: str) -> None:
        self.writes += 1
        self[name] = value


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(variables.time, "monotonic", made)
    return made


def keep(rate: SharedRate, throttle: Throttle) -> None:
    """What the hook does before each call."""
    if rate.due(throttle):
        rate.save(throttle)


def calls(throttle: Throttle, clock: Clock, per_second: float, seconds: float) -> None:
    for _ in range(int(per_second * seconds)):
        clock.now += 1 / per_second
        throttle.accepted()


@pytest.mark.parametrize(("text", "found"), [("12.5", 12.5), ("1e3", 1000.0)])
def test_what_was_kept_is_the_next_start(text: str, found: float) -> None:
    rate = SharedRate(ACCOUNT, Kept({NAME: text}))
    assert rate.load() == found
    assert rate.found


@pytest.mark.parametrize("text", ["", "fast", "nan", "inf", "-1", "0"])
def test_what_is_no_rate_counts_as_none(text: str) -> None:
    rate = SharedRate(ACCOUNT, Kept({NAME: text}))
    assert rate.load() is None
    assert not rate.found


def test_a_rate_that_was_found_is_kept_but_not_each_small_change(clock: Clock) -> None:
    kept, throttle = Kept(), Throttle(start=20, clock=clock)
    rate = SharedRate(ACCOUNT, kept)
    assert rate.load() is None
    keep(rate, throttle)
    assert not kept
    throttle.refused()
    keep(rate, throttle)
    assert float(kept[NAME]) == pytest.approx(throttle.rate, rel=0.01)
    clock.now += RATE_PERIOD / 2
    throttle.refused()
    throttle.refused()
    keep(rate, throttle)
    assert kept.writes == 1
    clock.now += RATE_PERIOD
    for _ in range(5):
        clock.now += 5
        throttle.refused()
    keep(rate, throttle)
    assert kept.writes == 2
    assert float(kept[NAME]) == pytest.approx(throttle.rate, rel=0.01)


def test_what_went_well_without_a_refusal_is_kept_once_per_doubling(clock: Clock) -> None:
    kept, throttle = Kept(), Throttle(start=100, clock=clock)
    rate = SharedRate(ACCOUNT, kept)
    calls(throttle, clock, 1, 10)
    keep(rate, throttle)
    assert not kept  # no more than every process begins with
    for _ in range(10):
        calls(throttle, clock, 30, 5)
        keep(rate, throttle)
    assert kept.writes == 1
    assert float(kept[NAME]) == pytest.approx(30, rel=0.1)
    calls(throttle, clock, 80, 5)
    keep(rate, throttle)
    assert kept.writes == 2
    assert not throttle.learned
