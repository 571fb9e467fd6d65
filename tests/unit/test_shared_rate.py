"""The rate that a process found, in a Variable: the next one's start, and what others at the same time follow."""

from __future__ import annotations

import json

import pytest

from airflow_provider_123pan.account.rate import EXCHANGE_SECONDS, SHARE_OF_TIME, SharedRate
from airflow_provider_123pan.service.throttle import Throttle

ACCOUNT = "0123456789abcdef" * 4
NAME = "pan123_rate__0123456789abcdef"


class Backend:
    """Variables that take their time, and count what is written."""

    def __init__(self, text: str | None = None, *, takes: float = 0.0) -> None:
        self.now, self.text, self.takes, self.writes = 1000.0, text, takes, 0

    def get(self, name: str) -> str | None:
        assert name == NAME
        self.now += self.takes
        return self.text

    def set(self, name: str, value: str, description: str) -> None:
        assert name == NAME
        self.now += self.takes
        self.text, self.writes = value, self.writes + 1

    def clock(self) -> float:
        return self.now

    def rate(self) -> SharedRate:
        return SharedRate(ACCOUNT, self, clock=self.clock, uniform=lambda low, high: 1.0)

    def throttle(self, start: float) -> Throttle:
        return Throttle(start=start, ceiling=start, clock=self.clock, uniform=lambda low, high: low)

    @property
    def deliveries(self) -> float:
        return float(json.loads(self.text or "{}")["rate"])

    def calls(self, throttle: Throttle, per_second: float, seconds: float = 4) -> None:
        for _ in range(int(per_second * seconds)):
            self.now += 1 / per_second
            throttle.accepted()


def keep(rate: SharedRate, throttle: Throttle) -> bool:
    """What the hook does before each call."""
    if due := rate.due(throttle):
        rate.exchange(throttle)
    return due


@pytest.mark.parametrize(
    ("text", "found"),
    [('{"rate": 12.5, "process": "0123abcd"}', 12.5), ('{"rate": 7, "process": "another"}', 7.0)],
)
def test_what_was_kept_is_the_next_start(text: str, found: float) -> None:
    rate = Backend(text).rate()
    assert rate.load() == found
    assert rate.found


@pytest.mark.parametrize(
    "text",
    [
        *(None, "", "fast", "12.5", "1000", "null", "[]", "{}", '{"rate": 7}'),
        *(
            f'{{"rate": {rate}, "process": "another"}}'
            for rate in ('"x"', "null", "NaN", "Infinity", "-1", "0")
        ),
    ],
)
def test_what_is_no_rate_counts_as_none(text: str | None) -> None:
    rate = Backend(text).rate()
    assert rate.load() is None
    assert not rate.found


def test_a_limit_that_was_found_is_told() -> None:
    backend = Backend()
    rate, throttle = backend.rate(), backend.throttle(20)
    rate.load()
    assert not keep(rate, throttle)
    throttle.refused()
    assert keep(rate, throttle)
    assert backend.deliveries == pytest.approx(throttle.rate, rel=0.01)


def test_what_went_well_without_a_refusal_is_told_once_per_doubling() -> None:
    backend = Backend()
    rate, throttle = (
        backend.rate(),
        backend.throttle(400),
    )  # far above the calls made, so the rate does not bind
    rate.load()
    backend.calls(throttle, 3)
    assert not keep(rate, throttle)  # no more than every process begins with
    for _ in range(5):
        backend.calls(throttle, 30)
        keep(rate, throttle)
    assert (backend.writes, backend.deliveries) == (1, pytest.approx(30, rel=0.1))
    backend.calls(throttle, 80)
    keep(rate, throttle)
    assert (backend.writes, backend.deliveries) == (2, pytest.approx(80, rel=0.1))
    assert not throttle.learned


def test_who_is_alone_tells_seldom_and_who_is_not_often() -> None:
    backend = Backend()
    rate, throttle = backend.rate(), backend.throttle(20)
    rate.load()
    for too_many, pause in (
        (False, 2 * EXCHANGE_SECONDS[0]),
        (False, EXCHANGE_SECONDS[1]),
        (True, EXCHANGE_SECONDS[0]),
    ):
        if too_many:
            backend.text = '{"rate": 5, "process": "another"}'
        backend.calls(throttle, 20)
        assert keep(rate, throttle)
        backend.calls(throttle, 20, pause - 0.5)
        assert not keep(rate, throttle)
        backend.now += 0.6
        backend.calls(throttle, 20, 4)


def test_slow_variables_take_little_of_the_time() -> None:
    backend = Backend(takes=1.0)
    rate, throttle = backend.rate(), backend.throttle(20)
    rate.load()
    backend.calls(throttle, 20)
    assert keep(rate, throttle)
    backend.calls(throttle, 20, 2 / SHARE_OF_TIME - 1)
    assert not keep(rate, throttle)
    backend.calls(throttle, 20, 2)
    assert keep(rate, throttle)


def test_variables_that_fail_are_left_in_peace() -> None:
    class Failing(Backend):
        def set(self, name: str, value: str, description: str) -> None:
            raise OSError("read only")

    backend = Failing()
    rate, throttle = backend.rate(), backend.throttle(20)
    rate.load()
    backend.calls(throttle, 20)
    with pytest.raises(OSError, match="read only"):
        keep(rate, throttle)
    assert not keep(rate, throttle)


def test_a_slower_process_follows_each_word_of_a_faster_one_once() -> None:
    backend = Backend()
    rate, throttle = backend.rate(), Throttle(start=8, clock=backend.clock)
    rate.load()
    throttle.refused()
    backend.text = '{"rate": 40, "process": "another"}'
    backend.calls(throttle, throttle.rate)
    slow = throttle.rate
    assert keep(rate, throttle)
    assert throttle.rate == pytest.approx(slow + (40 - slow) / 4)
    assert backend.deliveries == pytest.approx(throttle.rate, rel=0.01)
    backend.text = '{"rate": 2, "process": "another"}'
    faster = throttle.rate
    backend.calls(throttle, faster)
    keep(rate, throttle)
    assert throttle.rate >= faster  # it is the other one that follows


def test_nobody_follows_himself() -> None:
    backend = Backend()
    rate, throttle = backend.rate(), backend.throttle(20)
    rate.load()
    backend.calls(throttle, 20)
    keep(rate, throttle)
    throttle.refused()
    lowered = throttle.rate
    backend.now += 100
    keep(rate, throttle)
    assert throttle.rate == lowered
