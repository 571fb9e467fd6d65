"""The time limit of reading bodies, with an event loop whose clock the test sets."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from airflow_provider_123pan.receiver.time_limit import TimeLimit

SetTime = Callable[[float], Awaitable[None]]


@pytest.fixture
async def set_time(monkeypatch: pytest.MonkeyPatch) -> SetTime:
    """Return a function that sets the loop's clock, and lets the loop run what is due then."""
    now = [0.0]
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: now[0])

    async def set_time(seconds: float) -> None:
        now[0] = seconds
        for _ in range(5):
            await asyncio.sleep(0)

    return set_time


async def test_a_step_is_interrupted_between_once_and_twice_the_limit(set_time: SetTime) -> None:
    limit = TimeLimit(10.0)
    first = asyncio.create_task(limit.run(asyncio.Event().wait()))
    await set_time(0.0)
    await set_time(9.0)
    second = asyncio.create_task(limit.run(asyncio.Event().wait()))
    await set_time(9.0)
    assert not first.done()
    await set_time(10.0)
    assert isinstance(first.exception(), TimeoutError)
    assert not second.done()
    await set_time(20.0)
    assert isinstance(second.exception(), TimeoutError)


async def test_a_task_continues_after_an_interrupted_step(set_time: SetTime) -> None:
    limit = TimeLimit(10.0)

    async def run() -> str:
        for _ in range(2):
            with pytest.raises(TimeoutError):
                await limit.run(asyncio.Event().wait())
        return await limit.run(asyncio.sleep(0, "result"))

    task = asyncio.create_task(run())
    for seconds in (0.0, 10.0, 20.0, 30.0):
        await set_time(seconds)
    assert task.result() == "result"


async def test_a_cancelled_task_stays_cancelled() -> None:
    task = asyncio.create_task(TimeLimit(1e6).run(asyncio.Event().wait()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
