"""The queue of questions about progress: who is asked about next, and how many a second."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_123pan.service.progress_queue import SHARE, ProgressQueue
from airflow_provider_123pan.service.throttle import Throttle


class Timers:
    """What the loop is asked to do later; done when the test says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.delays: list[float] = []
        self._due: list[tuple[Callable[..., Any], Any]] = []
        monkeypatch.setattr(asyncio.get_running_loop(), "call_later", self._later)

    def _later(self, delay: float, action: Callable[..., Any], *args: Any) -> object:
        self.delays.append(delay)
        self._due.append((action, args))
        return object()

    def pass_by(self) -> None:
        action, args = self._due.pop()
        action(*args)


def served(*futures: asyncio.Future[bool]) -> list[bool]:
    return [future.done() and future.result() for future in futures]


async def test_who_was_not_asked_about_for_the_longest_time_comes_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    timers, questions = Timers(monkeypatch), ProgressQueue(Throttle(start=10), found=10.0)
    first, late, early, same = (questions.enqueue(polled_at) for polled_at in (9.0, 8.0, 7.0, 8.0))
    assert served(first, late, early, same) == [True, False, False, False]  # nobody else was there
    timers.pass_by()
    assert served(late, early, same) == [False, True, False]
    timers.pass_by()
    assert served(late, early, same) == [True, True, False]
    timers.pass_by()
    assert served(same) == [True]


async def test_who_needs_no_turn_any_more_takes_none(monkeypatch: pytest.MonkeyPatch) -> None:
    timers, questions = Timers(monkeypatch), ProgressQueue(Throttle(start=10), found=10.0)
    questions.enqueue(0.0)
    gone, cancelled, left = (questions.enqueue(polled_at) for polled_at in (1.0, 2.0, 3.0))
    gone.set_result(False)
    cancelled.cancel()
    timers.pass_by()
    assert served(left) == [True]
    timers.pass_by()
    assert len(timers.delays) == 2  # nobody waits: no timer goes on
    assert served(questions.enqueue(4.0)) == [True]


async def test_a_fifth_of_the_rate_once_it_was_found(monkeypatch: pytest.MonkeyPatch) -> None:
    timers, throttle = Timers(monkeypatch), Throttle(start=10)
    questions = ProgressQueue(throttle, found=None)
    for polled_at in range(3):
        questions.enqueue(polled_at)
    assert timers.delays == [pytest.approx(1 / 10)]  # nothing is known: at the pace of all calls
    throttle.refused()
    timers.pass_by()
    assert timers.delays[-1] == pytest.approx(1 / (SHARE * throttle.rate))


async def test_a_fifth_of_the_rate_that_an_earlier_process_found(monkeypatch: pytest.MonkeyPatch) -> None:
    timers, now = Timers(monkeypatch), [0.0]
    throttle = Throttle(start=10, clock=lambda: now[0])

    def burst() -> None:
        """Those that waited for a token go out together."""
        before = throttle.rate
        for _ in range(20):
            now[0] += 1 / throttle.rate
            throttle.accepted()
        assert throttle.rate > before

    burst()  # for triggers that have gone
    questions = ProgressQueue(throttle, found=10.0)
    for polled_at in range(3):
        questions.enqueue(polled_at)
    burst()
    timers.pass_by()
    assert timers.delays == [pytest.approx(1 / (SHARE * 10))] * 2
    throttle.refused()
    timers.pass_by()
    assert timers.delays[-1] == pytest.approx(1 / (SHARE * throttle.rate))


@pytest.mark.parametrize(("found", "ceiling", "rate"), [(0.3, None, 2.0), (10.0, 5.0, 5.0)])
async def test_what_was_found_is_no_lower_and_no_higher_than_a_throttle_starts(
    monkeypatch: pytest.MonkeyPatch, found: float, ceiling: float | None, rate: float
) -> None:
    timers = Timers(monkeypatch)
    ProgressQueue(Throttle(start=found, ceiling=ceiling), found=found).enqueue(0.0)
    assert timers.delays == [pytest.approx(1 / (SHARE * rate))]
