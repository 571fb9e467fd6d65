"""Variables of token, login lock and rate: whatever they hold, a task gets a token or an error, and has a rate."""

from __future__ import annotations

import json
import math
from datetime import datetime, timezone
from email.utils import format_datetime
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from airflow_provider_123pan.account.login_lock import LoginLock
from airflow_provider_123pan.account.rate import SharedRate
from airflow_provider_123pan.account.token import SharedToken
from airflow_provider_123pan.service.flow import Blocking, Sleep, drive
from airflow_provider_123pan.service.protocol import Answer, Send
from airflow_provider_123pan.service.throttle import Throttle
from tests.fuzz.properties import run_properties, value_or_error
from tests.fuzz.values import (
    DEEP_JSON,
    LONG_NUMBER,
    any_json,
    changed,
    dumped,
    encoded,
)

EXAMPLES = 3000

ACCOUNT = "0123456789abcdef" * 4
LAST_DAY = "9999-12-31T23:59:59-12:00"

stored_tokens = changed(
    {"account": ACCOUNT, "accessToken": "a-token", "expiredAt": "2030-01-01T00:00:00+00:00"}
)
locks = changed({"holder": "f" * 32, "held": True, "logins": [1.0, 2.0, 3.0], "answered": True})
rates = changed({"rate": 12.5, "process": "0123abcd"})
logins = st.builds(
    lambda data: json.dumps({"code": 0, "data": data}),
    changed({"accessToken": "a-token", "expiredAt": "2030-01-01T00:00:00+08:00"}),
)


def variable(records: SearchStrategy[Any]) -> SearchStrategy[str | None]:
    """Return values of a Variable: nearly a record, other JSON, no JSON, or None for no Variable."""
    return st.none() | records.map(json.dumps) | dumped(any_json)


def stored(**record: Any) -> str:
    """Return the value of a Variable for a record."""
    return json.dumps(record)


class Variables:
    """Variables in memory.

    :param writable: whether a written value is read back.
    """

    def __init__(self, values: dict[str, str | None], *, writable: bool = True) -> None:
        """Begin with these values, by the beginning of their names."""
        self._values = values
        self._writable = writable

    def get(self, name: str) -> str | None:
        """Return a value."""
        return self._values.get(name.partition("__")[0])

    def set(self, name: str, value: str, description: str) -> None:
        """Overwrite a value."""
        if self._writable:
            self._values[name.partition("__")[0]] = value


@given(variable(stored_tokens), variable(locks), logins | dumped(any_json), st.booleans())
@example(stored(account=ACCOUNT, accessToken="t", expiredAt=LAST_DAY), None, "", True)
@example(None, None, json.dumps({"code": 0, "data": {"accessToken": "t", "expiredAt": LAST_DAY}}), True)
@example(DEEP_JSON, DEEP_JSON, DEEP_JSON, True)
@example(LONG_NUMBER, f'{{"logins": [{LONG_NUMBER}]}}', f'{{"code": {LONG_NUMBER}}}', True)
@example(None, '{"held": true, "logins": [1e999, NaN]}', "", False)
def a_task_gets_a_token_or_an_error(token: str | None, lock: str | None, login: str, writable: bool) -> None:
    now = [0.0]
    variables = Variables({"pan123_access_token": token, "pan123_login": lock}, writable=writable)
    tokens = SharedToken(
        ACCOUNT, "client", "secret", variables, lambda _: None, clock=lambda: now[0], now=lambda: 1e9 + now[0]
    )

    def perform(step: Any) -> Any:
        match step:
            case Blocking(function):
                return function()
            case Sleep(seconds):
                now[0] += seconds
                assert now[0] < 1000, "the task waits for ever"
                return None
            case Send():
                date = format_datetime(datetime.now(timezone.utc), usegmt=True)
                return Answer(200, {"Date": date}, encoded(login))
        raise AssertionError(step)

    value_or_error(lambda: drive(tokens.obtain(None), perform), str)


@given(variable(locks))
@example(DEEP_JSON)
@example(LONG_NUMBER)
@example(f'{{"logins": [{LONG_NUMBER}]}}')
def a_lock_is_always_read(text: str | None) -> None:
    lock = value_or_error(lambda: LoginLock.parse(text), LoginLock, errors=())
    assert lock is not None
    assert LoginLock.parse(lock.dump()).holder == lock.holder


ACTIONS = ("accepted", "refused", "exchange", "later")


@given(variable(rates), variable(rates), st.lists(st.sampled_from(ACTIONS), max_size=40))
@example(stored(rate=10**400, process="x"), None, [])
@example(f'{{"rate": {LONG_NUMBER}, "process": "x"}}', None, [])
@example(f'{{"rate": "{LONG_NUMBER}", "process": "x"}}', None, [])
@example(DEEP_JSON, None, [])
@example('{"rate": 1e999, "process": "x"}', None, [])
@example(
    stored(rate=1e308, process="x"), stored(rate=1.7e308, process="y"), ["exchange", "refused", "accepted"]
)
def a_rate_never_fails_a_task(first: str | None, later: str | None, actions: list[str]) -> None:
    now = [0.0]
    variables = Variables({"pan123_rate": first}, writable=False)
    rate = SharedRate(ACCOUNT, variables, clock=lambda: now[0])
    throttle = Throttle(start=value_or_error(rate.load, float | None, errors=()), clock=lambda: now[0])
    variables = Variables({"pan123_rate": later}, writable=False)
    rate._variables = variables
    for action in actions:
        if action == "exchange":
            rate.exchange(throttle)
        elif action == "later":
            now[0] += 1
        else:
            getattr(throttle, action)()
            assert math.isfinite(throttle.backoff(0))
        pause = throttle.reserve()
        assert math.isfinite(pause)
        assert pause >= 0
        now[0] += pause


def fuzz(examples: int, seed: int) -> str:
    """Check the properties."""
    return run_properties(
        (a_task_gets_a_token_or_an_error, a_lock_is_always_read, a_rate_never_fails_a_task), examples, seed
    )
