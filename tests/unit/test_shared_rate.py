"""The rate that a process found: new processes start from it, and slower active processes follow it."""

from __future__ import annotations

import json

import pytest

from airflow_provider_123pan.account.rate import EXCHANGE_SECONDS, SHARE_OF_TIME, SharedRate
from airflow_provider_123pan.service.throttle import Throttle

ACCOUNT = "0123456789abcdef" * 4
NAME = "pan123_rate__0123456789abcdef"


class Backend:
    """One Variable, whose calls take virtual time and whose writes are counted.

    :param text: its value.
    :param takes: seconds per call.
    """

    def __init__(self, text: str | None = None, *, takes: float = 0.0) -> None:
        self.now, self.text, self.takes, self.writes = 1000.0, text, takes, 0

    def get(self, name: str) -> str | None:
        """Return the value."""
        assert name == NAME
        self.now += self.takes
        return self.text

    def set(self, name: str, value: str, description: str) -> None:
        """Overwrite the value."""
        assert name == NAME
        self.now += self.takes
        self.text, self.writes = value, self.writes + 1

    def clock(self) -> float:
        """Return the virtual time."""
        return self.now

    def rate(self) -> SharedRate:
        """Return the shared rate of a new process."""
        return SharedRate(ACCOUNT, self, clock=self.clock, uniform=lambda low, high: 1.0)

    def throttle(self, start: float) -> Throttle:
        """Return a throttle that never exceeds its first rate."""
        return Throttle(start=start, ceiling=start, clock=self.clock, uniform=lambda low, high: low)

    @property
    def stored(self) -> float:
        """The stored rate."""
        return float(json.loads(self.text or "{}")["rate"])

    def calls(self, throttle: Throttle, per_second: float, seconds: float = 4) -> None:
        """Make evenly spaced calls for some seconds."""
        for _ in range(int(per_second * seconds)):
            self.now += 1 / per_second
            throttle.accepted()


def exchange_if_due(rate: SharedRate, throttle: Throttle) -> bool:
    """Exchange the rate as the hook does before each call."""
    if due := rate.due(throttle):
        rate.exchange(throttle)
    return due


@pytest.mark.parametrize(
    ("text", "found"),
    [('{"rate": 12.5, "process": "0123abcd"}', 12.5), ('{"rate": 7, "process": "another"}', 7.0)],
)
def test_the_stored_rate_is_the_next_start(text: str, found: float) -> None:
    rate = Backend(text).rate()
    assert rate.load() == found
    assert rate.found


@pytest.mark.parametrize(
    "text",
    [
        "[" * 5000 + "]" * 5000,
        *(None, "", "fast", "12.5", "1000", "null", "[]", "{}", '{"rate": 7}'),
        *(
            f'{{"rate": {rate}, "process": "another"}}'
            for rate in (
                '"x"',
                "null",
                "NaN",
                "Infinity",
                "-1",
                "0",
                "1e300",
                "1e999",
                "1" + "0" * 400,
                "9" * 5000,
            )
        ),
    ],
)
def test_a_value_that_is_no_record_of_a_rate_counts_as_none(text: str | None) -> None:
    rate = Backend(text).rate()
    assert rate.load() is None
    assert not rate.found


def test_a_limit_is_published_as_soon_as_it_is_found() -> None:
    backend = Backend()
    rate, throttle = backend.rate(), backend.throttle(20)
    rate.load()
    assert not exchange_if_due(rate, throttle)
    throttle.refused()
    assert exchange_if_due(rate, throttle)
    assert backend.stored == pytest.approx(throttle.rate, rel=0.01)


def test_without_a_refusal_the_rate_of_good_answers_is_published_once_per_doubling() -> None:
    backend = Backend()
    rate, throttle = backend.rate(), backend.throttle(400)  # far more than the calls, so the rate is no limit
    rate.load()
    backend.calls(throttle, 3)
    assert not exchange_if_due(rate, throttle)  # the rate with which every process begins
    for _ in range(5):
        backend.calls(throttle, 30)
        exchange_if_due(rate, throttle)
    assert backend.writes == 1
    assert backend.stored == pytest.approx(30, rel=0.1)
    backend.calls(throttle, 80)
    exchange_if_due(rate, throttle)
    assert backend.writes == 2
    assert backend.stored == pytest.approx(80, rel=0.1)
    assert not throttle.learned


def test_exchanges_are_rarer_while_no_other_process_is_active() -> None:
    backend = Backend()
    rate, throttle = backend.rate(), backend.throttle(20)
    rate.load()
    for shared, pause in (
        (False, 2 * EXCHANGE_SECONDS[0]),
        (False, EXCHANGE_SECONDS[1]),
        (True, EXCHANGE_SECONDS[0]),
    ):
        if shared:
            backend.text = '{"rate": 5, "process": "another"}'
        backend.calls(throttle, 20)
        assert exchange_if_due(rate, throttle)
        backend.calls(throttle, 20, pause - 0.5)
        assert not exchange_if_due(rate, throttle)
        backend.now += 0.6
        backend.calls(throttle, 20, 4)


def test_exchanges_take_a_small_share_of_the_time_even_if_variables_are_slow() -> None:
    backend = Backend(takes=1.0)
    rate, throttle = backend.rate(), backend.throttle(20)
    rate.load()
    backend.calls(throttle, 20)
    assert exchange_if_due(rate, throttle)
    backend.calls(throttle, 20, 2 / SHARE_OF_TIME - 1)
    assert not exchange_if_due(rate, throttle)
    backend.calls(throttle, 20, 2)
    assert exchange_if_due(rate, throttle)


def test_a_failed_exchange_is_not_repeated_immediately() -> None:
    class Failing(Backend):
        def set(self, name: str, value: str, description: str) -> None:
            raise OSError("read only")

    backend = Failing()
    rate, throttle = backend.rate(), backend.throttle(20)
    rate.load()
    backend.calls(throttle, 20)
    with pytest.raises(OSError, match="read only"):
        exchange_if_due(rate, throttle)
    assert not exchange_if_due(rate, throttle)


def test_a_slower_process_follows_each_rate_of_a_faster_one_once() -> None:
    backend = Backend()
    rate, throttle = backend.rate(), Throttle(start=8, clock=backend.clock)
    rate.load()
    throttle.refused()
    backend.text = '{"rate": 40, "process": "another"}'
    backend.calls(throttle, throttle.rate)
    slow = throttle.rate
    assert exchange_if_due(rate, throttle)
    assert throttle.rate == pytest.approx(slow + (40 - slow) / 4)
    assert backend.stored == pytest.approx(throttle.rate, rel=0.01)
    backend.text = '{"rate": 2, "process": "another"}'
    faster = throttle.rate
    backend.calls(throttle, faster)
    exchange_if_due(rate, throttle)
    assert throttle.rate >= faster  # the slower process follows


def test_a_process_does_not_follow_its_own_rate() -> None:
    backend = Backend()
    rate, throttle = backend.rate(), backend.throttle(20)
    rate.load()
    backend.calls(throttle, 20)
    exchange_if_due(rate, throttle)
    throttle.refused()
    lowered = throttle.rate
    backend.now += 100
    exchange_if_due(rate, throttle)
    assert throttle.rate == lowered
