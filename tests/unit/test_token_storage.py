"""The shared token in Airflow's Variables: odd records, hidden secrets, and cancelled waits."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_provider_123pan.service.flow import Blocking, Sleep, adrive
from airflow_provider_123pan.service.protocol import Send
from tests.unit.token_simulation import ACCOUNT, LOCK_NAME, TOKEN_NAME, TokenSimulation, one_token


@pytest.fixture
def simulation() -> TokenSimulation:
    return TokenSimulation(0)


def record(**changes: Any) -> str:
    until = datetime.now(timezone.utc) + timedelta(days=1)
    return json.dumps({"account": ACCOUNT, "accessToken": "stored", "expiredAt": until.isoformat()} | changes)


# -- what is stored -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [{}, {"expiredAt": None}, {"expiredAt": "9999-12-31T23:59:59-23:00"}, {"expiredAt": 4e9}],
    ids=str,
)
def test_a_stored_token_is_used_without_a_login(simulation: TokenSimulation, changes: dict[str, Any]) -> None:
    simulation.variables[TOKEN_NAME] = record(**changes)
    processes = simulation.workers(2)
    assert simulation.run().service.logins == 0
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
        record(expiredAt=[1]),
        record(expiredAt="soon"),
        record(accessToken=None),
        record(accessToken=["x"]),
        record(accessToken="to\nken"),
        record(accessToken="令牌"),
        "[" * 5000 + "]" * 5000,
        *("", "no JSON", "null", "[]", "7", '"text"', "{}", json.dumps({"account": ACCOUNT})),
    ],
    ids=range(20),
)
def test_anything_but_a_usable_token_of_this_account_counts_as_absent(
    simulation: TokenSimulation, text: str, refused: str | None
) -> None:
    simulation.variables[TOKEN_NAME] = text
    process = simulation.start(simulation.source().obtain(refused))
    simulation.run()
    assert one_token([process]) == "secret-1"


@pytest.mark.parametrize(
    "life",
    [None, timedelta(seconds=30), timedelta(seconds=-1), timedelta(days=-400), timedelta(days=365 * 7900)],
    ids=["missing", "short", "expired", "official sample", "for ever"],
)
def test_a_token_with_an_odd_lifetime_costs_one_login_too(
    simulation: TokenSimulation, life: timedelta | None
) -> None:
    simulation.service.life = life
    first = simulation.workers(4)
    simulation.run()
    later = simulation.workers(4)
    assert simulation.run().service.logins == 1
    assert one_token(first) == one_token(later)


def test_a_token_expires_a_little_early_and_by_the_clock_of_the_service(simulation: TokenSimulation) -> None:
    simulation.service.life, simulation.service.ahead = timedelta(minutes=10), timedelta(days=-1)
    simulation.workers(1)
    simulation.run()
    until = datetime.fromisoformat(json.loads(simulation.variables[TOKEN_NAME])["expiredAt"])
    left = until - datetime.now(timezone.utc)
    assert timedelta(minutes=8, seconds=50) < left < timedelta(minutes=9, seconds=10)


@pytest.mark.parametrize(
    "text",
    [
        *("", "free", "null", "[]", "7", '"text"', '{"logins": null}', '{"logins": ["x"]}', '{"holder": []}'),
        '{"logins": [NaN, Infinity, -1]}',
        f'{{"logins": [1{"0" * 400}]}}',
        '{"holder": "crashed long ago", "held": true}',
        '{"held": "yes"}',
    ],
    ids=range(13),
)
def test_no_lock_record_blocks_a_process_forever(simulation: TokenSimulation, text: str) -> None:
    simulation.variables[LOCK_NAME] = text
    processes = simulation.workers(4)
    assert simulation.run(75).service.logins == 1
    one_token(processes)


def test_another_client_id_or_host_has_another_token(simulation: TokenSimulation) -> None:
    processes = [
        simulation.start(simulation.source(letter * 64).obtain(None)) for letter in "ab" for _ in range(4)
    ]
    assert simulation.run().service.logins == 2
    assert one_token(processes[:4]) != one_token(processes[4:])


# -- Variables that lose what was written ----------------------------------------------------------------------


class Shadowed:
    """Variables of which a secrets backend shadows one."""

    def __init__(self, simulation: TokenSimulation, name: str, text: str | None) -> None:
        self._backend, self._name, self._text = simulation, name, text

    def get(self, name: str) -> str | None:
        """Return a Variable's value."""
        return self._text if name == self._name else self._backend.get(name)

    def set(self, name: str, value: str, description: str) -> None:
        """Overwrite a Variable."""
        self._backend.set(name, value, description)


@pytest.mark.parametrize("text", [None, "", "something else", record(account="b" * 64)], ids=range(4))
@pytest.mark.parametrize("name", [TOKEN_NAME, LOCK_NAME], ids=["token", "lock"])
def test_a_shadowed_variable_is_logged_once_and_the_process_uses_its_own_token(
    simulation: TokenSimulation, caplog: pytest.LogCaptureFixture, name: str, text: str | None
) -> None:
    source = simulation.source(variables=Shadowed(simulation, name, text))
    process = simulation.start(simulation.work(source, seconds=60))
    assert simulation.run().service.logins == 1
    assert one_token([process]) == source.cached(None) == "secret-1"
    (message,) = caplog.messages
    assert name in message


def test_a_token_that_cannot_be_stored_releases_the_lock_and_counts(simulation: TokenSimulation) -> None:
    class Full(Shadowed):
        def set(self, name: str, value: str, description: str) -> None:
            if name == TOKEN_NAME:
                raise OSError("disk full")
            super().set(name, value, description)

    process = simulation.start(simulation.source(variables=Full(simulation, "", None)).obtain(None))
    simulation.run()
    assert isinstance(process.error, OSError)
    assert not simulation.lock["held"]
    assert len(simulation.lock["logins"]) == 1


# -- what is hidden ------------------------------------------------------------------------------------------


def test_every_token_is_masked_and_none_is_shown(
    simulation: TokenSimulation, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    source = simulation.source(variables=Shadowed(simulation, TOKEN_NAME, None))
    process = simulation.start(simulation.work(source, seconds=400))
    seen = [repr(source), str(vars(source))]
    for after in (50, 100, 150):
        simulation.at(after, simulation.service.revoke_all)
    simulation.run()
    assert process.error is not None
    assert simulation.masked == {"secret-1", "secret-2", "secret-3"}
    seen += [caplog.text, repr(source), str(vars(source)), repr(process.error), str(process.error)]
    assert not [text for text in seen if "secret-" in text or "password" in text]


def test_a_stored_token_is_masked_before_it_is_used(simulation: TokenSimulation) -> None:
    simulation.variables[TOKEN_NAME] = record()
    flow = simulation.source().obtain(None)
    assert next(flow).function() is not None
    mask = flow.send(simulation.variables[TOKEN_NAME])
    mask.function()
    assert simulation.masked == {"stored"}
    with pytest.raises(StopIteration):
        flow.send(None)


# -- cancelled waits ----------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("error")  # includes warnings about generators that cannot be closed
async def test_a_cancelled_wait_does_not_block_the_next_one() -> None:
    async def login(simulation: TokenSimulation, hang_at: int) -> str:
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
                    simulation.now += step.seconds
                case Blocking():
                    return step.function()
                case Send():
                    return simulation.service.log_in()

        token = await adrive(simulation.source().obtain(None), perform)
        finished.append(steps)
        return token

    finished: list[int] = []
    hang_at = 0
    while not finished or hang_at <= finished[0]:
        simulation, hung = TokenSimulation(0), asyncio.Event()
        cancelled = asyncio.create_task(login(simulation, hang_at))
        if hang_at:
            await hung.wait()
            cancelled.cancel()
            with pytest.raises(asyncio.CancelledError):
                await cancelled
            gc.collect()
            assert await login(simulation, 0) in simulation.service.alive
        else:
            await cancelled
        assert simulation.service.logins <= 2
        hang_at += 1
    assert hang_at > 8
