"""The shared token in Airflow's Variables: whatever lies there, what is hidden, and what a cancelled wait leaves."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_provider_123pan.service.flow import Blocking, Sleep, adrive
from airflow_provider_123pan.service.protocol import Send
from tests.unit.token_world import ACCOUNT, MARK_NAME, TOKEN_NAME, World, one_token

Make = Callable[..., World]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(0).patch(monkeypatch)


def record(**changes: Any) -> str:
    until = datetime.now(timezone.utc) + timedelta(days=1)
    return json.dumps({"account": ACCOUNT, "accessToken": "stored", "expiredAt": until.isoformat()} | changes)


# -- what lies there -----------------------------------------------------------------------------------------


def test_a_stored_token_is_used_without_a_login(world: World) -> None:
    world.variables[TOKEN_NAME] = record()
    processes = world.workers(2)
    assert world.run().service.logins == 0
    assert one_token(processes) == "stored"


@pytest.mark.parametrize("refused", [None, "old"])
@pytest.mark.parametrize(
    "text",
    [
        record(account="b" * 64),  # of another account, or of the same one at another host
        record(expiredAt="2020-01-01T00:00:00+08:00"),
        record(expiredAt="2020-01-01T00:00:00"),
        record(expiredAt="0001-01-01T00:00:00+08:00"),
        record(expiredAt=1),
        record(expiredAt="soon"),
        record(accessToken=None),
        record(accessToken=["x"]),
        *("", "no JSON", "null", "[]", "7", '"text"', "{}", json.dumps({"account": ACCOUNT})),
    ],
    ids=range(16),
)
def test_what_is_no_good_token_of_ours_counts_as_absent(world: World, text: str, refused: str | None) -> None:
    world.variables[TOKEN_NAME] = text
    process = world.start(world.source().obtain(refused))
    world.run()
    assert one_token([process]) == "secret-1"


@pytest.mark.parametrize(
    "life",
    [None, timedelta(seconds=30), timedelta(seconds=-1), timedelta(days=-400)],
    ids=["not told", "short", "over", "of the documents"],
)
def test_a_token_of_odd_life_costs_one_login_too(world: World, life: timedelta | None) -> None:
    world.service.life = life
    first = world.workers(4)
    world.run()
    later = world.workers(4)
    assert world.run().service.logins == 1
    assert one_token(first) == one_token(later)


def test_a_token_ends_a_little_early_and_by_the_services_clock(world: World) -> None:
    world.service.life, world.service.ahead = timedelta(minutes=10), timedelta(days=-1)
    world.workers(1)
    world.run()
    until = datetime.fromisoformat(json.loads(world.variables[TOKEN_NAME])["expiredAt"])
    left = until - datetime.now(timezone.utc)
    assert timedelta(minutes=8, seconds=50) < left < timedelta(minutes=9, seconds=10)


@pytest.mark.parametrize(
    "text",
    [
        *("", "free", "null", "[]", "7", '"text"', '{"logins": null}', '{"logins": ["x"]}', '{"holder": []}'),
        '{"logins": [NaN, Infinity, -1]}',
        f'{{"logins": [1{"0" * 400}]}}',
        '{"holder": "died long ago", "held": true}',
        '{"held": "yes"}',
    ],
    ids=range(13),
)
def test_no_mark_holds_anybody_for_ever(world: World, text: str) -> None:
    world.variables[MARK_NAME] = text
    processes = world.workers(4)
    assert world.run(75).service.logins == 1
    one_token(processes)


def test_another_client_id_or_host_has_another_token(world: World) -> None:
    processes = [world.start(world.source(letter * 64).obtain(None)) for letter in "ab" for _ in range(4)]
    assert world.run().service.logins == 2
    assert one_token(processes[:4]) != one_token(processes[4:])


# -- Variables that do not do as they are told ---------------------------------------------------------------


class Shadowed:
    """A secrets backend answers for one of the Variables."""

    def __init__(self, world: World, name: str, text: str | None) -> None:
        self._world, self._name, self._text = world, name, text

    def get(self, name: str) -> str | None:
        return self._text if name == self._name else self._world.get(name)

    def set(self, name: str, value: str, description: str) -> None:
        self._world.set(name, value, description)


@pytest.mark.parametrize("text", [None, "", "something else", record(account="b" * 64)], ids=range(4))
@pytest.mark.parametrize("name", [TOKEN_NAME, MARK_NAME], ids=["token", "mark"])
def test_a_shadowed_variable_is_told_once_and_the_own_token_works(
    world: World, caplog: pytest.LogCaptureFixture, name: str, text: str | None
) -> None:
    source = world.source(variables=Shadowed(world, name, text))
    process = world.start(world.work(source, seconds=60))
    assert world.run().service.logins == 1
    assert one_token([process]) == source.cached(None) == "secret-1"
    (told,) = caplog.messages
    assert name in told


def test_a_token_that_cannot_be_stored_frees_the_mark_and_counts(world: World) -> None:
    class Full(Shadowed):
        def set(self, name: str, value: str, description: str) -> None:
            if name == TOKEN_NAME:
                raise OSError("disk full")
            super().set(name, value, description)

    process = world.start(world.source(variables=Full(world, "", None)).obtain(None))
    world.run()
    assert isinstance(process.error, OSError)
    assert not world.mark["held"]
    assert len(world.mark["logins"]) == 1


# -- what is hidden ------------------------------------------------------------------------------------------


def test_every_token_is_masked_and_none_is_shown(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    source = world.source(variables=Shadowed(world, TOKEN_NAME, None))  # makes it talk
    process = world.start(world.work(source, seconds=400))
    seen = [repr(source), str(vars(source))]
    for after in (50, 100, 150):
        world.at(after, world.service.kill)
    world.run()
    assert process.error is not None
    assert world.masked == {"secret-1", "secret-2", "secret-3"}
    seen += [caplog.text, repr(source), str(vars(source)), repr(process.error), str(process.error)]
    assert not [text for text in seen if "secret-" in text or "password" in text]


def test_a_stored_token_is_masked_before_it_is_used(world: World) -> None:
    world.variables[TOKEN_NAME] = record()
    flow = world.source().obtain(None)
    assert next(flow).function() is not None
    mask = flow.send(world.variables[TOKEN_NAME])
    mask.function()
    assert world.masked == {"stored"}
    with pytest.raises(StopIteration):
        flow.send(None)


# -- a wait that is cancelled --------------------------------------------------------------------------------


@pytest.mark.filterwarnings("error")  # also what a generator says that refuses to be closed
async def test_a_cancelled_wait_leaves_the_way_free_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    async def login(world: World, hang_at: int) -> str:
        steps = 0

        async def perform(step: Any) -> Any:
            nonlocal steps
            steps += 1
            if steps == hang_at:
                hung.set()
                await asyncio.Event().wait()
            await asyncio.sleep(0)
            match step:
                case Sleep():
                    world.now += step.seconds
                case Blocking():
                    return step.function()
                case Send():
                    return world.service.log_in()

        token = await adrive(world.source().obtain(None), perform)
        finished.append(steps)
        return token

    finished: list[int] = []
    hang_at = 0
    while not finished or hang_at <= finished[0]:
        world, hung = World(0).patch(monkeypatch), asyncio.Event()
        cancelled = asyncio.create_task(login(world, hang_at))
        if hang_at:
            await hung.wait()
            cancelled.cancel()
            with pytest.raises(asyncio.CancelledError):
                await cancelled
            gc.collect()
            assert await login(world, 0) in world.service.alive
        else:
            await cancelled
        assert world.service.logins <= 2
        hang_at += 1
    assert hang_at > 8
