"""The sandbox's refusals: invalid input, and calls above a limit."""

from __future__ import annotations

import json
import time
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from airflow_provider_123pan.sandbox import Sandbox
from airflow_provider_123pan.sandbox.limits import Limits, RateKind
from tests.integration.sandbox.support import (
    CREATE,
    DELETE,
    DETAIL,
    GOOD,
    HOUR_SECONDS,
    LIST,
    MKDIR,
    MOVE,
    Client,
)

# Envelope and invalid input


def test_errors_are_body_codes_under_http_200(client: Client) -> None:
    answer = client.send("GET", DETAIL, params={"fileID": "nowhere"})
    assert answer.status_code == 200
    body = answer.json()
    assert (body["code"], body["data"]) == (5066, None)


def test_answers_carry_the_date(client: Client) -> None:
    date = parsedate_to_datetime(client.send("GET", DETAIL).headers["Date"])
    assert date.timestamp() == pytest.approx(time.time(), abs=HOUR_SECONDS)


@pytest.mark.parametrize(
    ("path", "body", "name"),
    [
        (CREATE, {**GOOD, "type": 2}, "type"),
        (CREATE, {"url": GOOD["url"]}, "type"),
        (CREATE, {"type": 1}, "url"),
        (CREATE, {**GOOD, "url": 7}, "url"),
        (CREATE, {**GOOD, "url": "ftp://127.0.0.1/a.png"}, "url"),
        (CREATE, {**GOOD, "fileName": "a.txt"}, "fileName"),
        (CREATE, {**GOOD, "fileName": "png"}, "fileName"),
        (CREATE, {**GOOD, "businessDirID": ""}, "root"),
        (CREATE, {**GOOD, "businessDirID": "nowhere"}, "nowhere"),
        (CREATE, {**GOOD, "businessDirID": 10023}, "businessDirID"),
        (CREATE, {**GOOD, "callBackUrl": "mailto:me"}, "callBackUrl"),
        (LIST, {"limit": 101, "type": 1}, "limit"),
        (LIST, {"limit": "10", "type": 1}, "limit"),
        (LIST, {"limit": 10}, "type"),
        (CREATE, {**GOOD, "fileName": "\ud800.png"}, "fileName"),
        (MKDIR, {"name": ["\udfff"], "type": 1}, "name"),
        (MKDIR, {"name": [], "type": 1}, "name"),
        (DELETE, {"fileIDs": ["x"] * 101}, "fileIDs"),
        (MOVE, {"fileIDs": "x", "toParentFileID": ""}, "fileIDs"),
        (CREATE, ["no object"], "object"),
    ],
)
def test_invalid_input_has_code_1_and_names_the_parameter(
    client: Client, path: str, body: Any, name: str
) -> None:
    answer = client.send("POST", path, json=body).json()
    assert (answer["code"], answer["data"]) == (1, None)
    assert name in answer["message"]


def test_a_call_needs_its_headers_and_a_json_body(client: Client) -> None:
    answer = client.send("POST", CREATE, data=json.dumps(GOOD)).json()
    assert answer["code"] == 1
    assert "Content-Type" in answer["message"]
    answer = client.send("POST", CREATE, data="{", headers={"Content-Type": "application/json"}).json()
    assert answer["code"] == 1
    assert "JSON" in answer["message"]
    client.session.headers["Platform"] = "mine"
    answer = client.post(CREATE, **GOOD)
    assert answer["code"] == 1
    assert "Platform" in answer["message"]


# Limits


@pytest.mark.parametrize("kind", ["bucket", "window", "minute"])
def test_calls_above_the_rate_get_429(client: Client, kind: str) -> None:
    client.sandbox.configure(rate=1e-6, rate_kind=kind)  # one call in eleven days
    answers = [client.get(DETAIL, fileID="x") for _ in range(3)]
    assert [answer["code"] for answer in answers] == [5066, 429, 429]
    assert answers[1]["message"] == "请求太频繁"
    assert client.log_in()["code"] == 0, "logins have a limit of their own"
    assert client.sandbox.state()["counts"]["refused_429"] == 2


def allowed_calls(limits: Limits, kind: RateKind) -> int:
    """Return how many of 1000 calls at the same time a limit of 10 per second allows."""
    return sum(limits.allows("key", 10, kind) for _ in range(1000))


def test_a_token_bucket_refills_gradually() -> None:
    now = 1000.0
    limits = Limits(lambda: now)
    assert allowed_calls(limits, "bucket") == 10
    now += 0.55
    assert allowed_calls(limits, "bucket") == 5
    now += 100
    assert allowed_calls(limits, "bucket") == 10


def test_a_window_allows_all_its_calls_at_once() -> None:
    now = 1000.9
    limits = Limits(lambda: now)
    assert allowed_calls(limits, "window") == 10
    now += 0.05
    assert allowed_calls(limits, "window") == 0
    now += 0.1
    assert allowed_calls(limits, "window") == 10


def test_a_minute_allows_all_its_calls_at_once() -> None:
    now = 1020.0
    limits = Limits(lambda: now)
    assert allowed_calls(limits, "minute") == 600
    now += 59
    assert allowed_calls(limits, "minute") == 0
    now += 1
    assert allowed_calls(limits, "minute") == 600


def test_a_window_is_long_enough_for_one_call() -> None:
    now = 1000.0
    limits = Limits(lambda: now)
    assert [limits.allows("key", 0.5, "window") for _ in range(2)] == [True, False]
    now += 1
    assert not limits.allows("key", 0.5, "window")
    now += 1
    assert limits.allows("key", 0.5, "window")


def test_logins_have_their_own_rate(sandbox: Sandbox) -> None:
    sandbox.configure(login_rate=1e-6)
    assert [Client(sandbox).log_in()["code"] for _ in range(3)] == [0, 429, 429]


def test_a_submission_above_the_cap_of_running_tasks_is_refused(client: Client) -> None:
    client.sandbox.configure(active_cap=2, delay=HOUR_SECONDS, fetch=False)
    client.submit("http://127.0.0.1/1.png")
    client.submit("http://127.0.0.1/2.png")
    answer = client.post(CREATE, **GOOD)
    assert (answer["code"], answer["message"]) == (1, "同时下载的任务超出最大限制")
    assert client.sandbox.state()["running"] == {client.sandbox.client_id: 2}
