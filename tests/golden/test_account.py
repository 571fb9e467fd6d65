"""The Variables that all tasks of an account share."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_123pan.hooks.pan123 import Pan123Hook
from airflow_provider_123pan.sandbox import Sandbox

pytestmark = pytest.mark.usefixtures("connections")


def logins(sandbox: Sandbox) -> int:
    return int(sandbox.state()["counts"]["logins"])


def test_a_golden_token_is_used_without_a_login(
    golden: Any, sandbox: Sandbox, variables: dict[str, str], account: Callable[[str], str]
) -> None:
    before, stored = logins(sandbox), json.loads(variables[f"pan123_access_token__{account('main')[:16]}"])
    assert stored.keys() == golden.load("token_variable").keys()
    assert Pan123Hook("main").test_connection()[0]
    assert logins(sandbox) == before


def test_a_login_stores_a_golden_token_and_a_golden_mark(
    golden: Any, variables: dict[str, str], account: Callable[[str], str]
) -> None:
    assert Pan123Hook("login").test_connection()[0]
    token = json.loads(variables[f"pan123_access_token__{account('login')[:16]}"])
    assert token["account"] == account("login")
    assert len(token["accessToken"]) > 20
    golden.check("token_variable", token | {"account": "<account>", "accessToken": "<token>"})
    golden.check("login_variable", json.loads(variables[f"pan123_login__{account('login')[:16]}"]))


def test_a_golden_mark_with_three_recent_logins_stops_a_fourth(
    golden: Any, sandbox: Sandbox, variables: dict[str, str], account: Callable[[str], str]
) -> None:
    mark = golden.load("login_variable") | {
        "holder": "0" * 32,
        "logins": [time.time() - ago for ago in (3, 2, 1)],
    }
    name, before = f"pan123_login__{account('stopped')[:16]}", logins(sandbox)
    variables[name] = json.dumps(mark)
    assert not Pan123Hook("stopped").test_connection()[0]
    assert logins(sandbox) == before
    assert json.loads(variables[name]) == mark


def test_a_found_rate_is_stored_as_a_golden_record(
    golden: Any, variables: dict[str, str], account: Callable[[str], str]
) -> None:
    hook = Pan123Hook("rate")
    name = f"pan123_rate__{account('rate')[:16]}"
    for _ in range(20):
        if name in variables:
            break
        assert [*hook.list_images()] == []
    record = json.loads(variables[name])
    assert record["rate"] > 0
    assert int(record["process"], 16) < 2**32
    golden.check("rate_variable", {**record, "rate": "<requests per second>", "process": "<8 hex digits>"})
