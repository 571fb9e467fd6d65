"""The queue of progress polls: its order and its rate."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_123pan.service.progress_queue import SHARE, ProgressQueue
from airflow_provider_123pan.service.throttle import Throttle


class Timers:
    """The timers of an event loop, which fire when the test calls :meth:`fire`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.delays: list[float] = []
        self._due: list[tuple[Callable[..., Any], Any]] = []
        monkeypatch.setattr(asyncio.get_running_loop(), "call_later", self._later)

    def _later(self, delay: float, action: Callable[..., Any], *args: Any) -> object:
        self.delays.append(delay)
        self._due.append((action, args))
        return object()

    def fire(self) -> None:
        """Fire the latest timer."""
        action, args = self._due.pop()
        action(*args)


def served(*futures: asyncio.Future[bool]) -> list[bool]:
    """Return which polls were admitted."""
    return [future.done() and future.result() for future in futures]


async def test_the_task_polled_longest_ago_comes_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    timers, polls = Timers(monkeypatch), ProgressQueue(Throttle(start=10), found=10.0)
    first, late, early, same = (polls.enqueue(polled_at) for polled_at in (9.0, 8.0, 7.0, 8.0))
    assert served(first, late, early, same) == [True, False, False, False]  # the queue was empty
    timers.fire()
    assert served(late, early, same) == [False, True, False]
    timers.fire()
    assert served(late, early, same) == [True, True, False]
    timers.fire()
    assert served(same) == [True]


async def test_polls_that_are_not_needed_any_more_take_no_slot(monkeypatch: pytest.MonkeyPatch) -> None:
    timers, polls = Timers(monkeypatch), ProgressQueue(Throttle(start=10), found=10.0)
    polls.enqueue(0.0)
    gone, cancelled, left = (polls.enqueue(polled_at) for polled_at in (1.0, 2.0, 3.0))
    gone.set_result(False)
    cancelled.cancel()
    timers.fire()
    assert served(left) == [True]
    timers.fire()
    assert len(timers.delays) == 2  # no timer runs while the queue is empty
    assert served(polls.enqueue(4.0)) == [True]


async def test_polls_use_a_fifth_of_the_rate_once_it_was_found(monkeypatch: pytest.MonkeyPatch) -> None:
    timers, throttle = Timers(monkeypatch), Throttle(start=10)
    polls = ProgressQueue(throttle, found=None)
    for polled_at in range(3):
        polls.enqueue(polled_at)
    assert timers.delays == [pytest.approx(1 / 10)]  # the whole rate, before a rate was found
    throttle.refused()
    timers.fire()
    assert timers.delays[-1] == pytest.approx(1 / (SHARE * throttle.rate))


async def test_polls_use_a_fifth_of_the_rate_that_an_earlier_process_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    timers, now = Timers(monkeypatch), [0.0]
    throttle = Throttle(start=10, clock=lambda: now[0])

    def burst() -> None:
        """Make all calls that waited for a token."""
        before = throttle.rate
        for _ in range(20):
            now[0] += 1 / throttle.rate
            throttle.accepted()
        assert throttle.rate > before

    burst()
    polls = ProgressQueue(throttle, found=10.0)
    for polled_at in range(3):
        polls.enqueue(polled_at)
    burst()
    timers.fire()
    assert timers.delays == [pytest.approx(1 / (SHARE * 10))] * 2
    throttle.refused()
    timers.fire()
    assert timers.delays[-1] == pytest.approx(1 / (SHARE * throttle.rate))


@pytest.mark.parametrize(("found", "ceiling", "rate"), [(0.3, None, 2.0), (10.0, 5.0, 5.0)])
async def test_the_found_rate_has_the_bounds_of_a_throttles_start(
    monkeypatch: pytest.MonkeyPatch, found: float, ceiling: float | None, rate: float
) -> None:
    timers = Timers(monkeypatch)
    ProgressQueue(Throttle(start=found, ceiling=ceiling), found=found).enqueue(0.0)
    assert timers.delays == [pytest.approx(1 / (SHARE * rate))]
