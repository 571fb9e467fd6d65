"""What the sandbox refuses: bad input, and what is over a limit."""

from __future__ import annotations

import json
import time
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from airflow_provider_123pan.sandbox import Sandbox
from tests.integration.sandbox_world import (
    CREATE,
    DELETE,
    DETAIL,
    GOOD,
    LIST,
    MKDIR,
    MOVE,
    Client,
    client,
    neighbour,
    running,
    sandbox,
)

__all__ = ["client", "neighbour", "running", "sandbox"]


# Envelope and bad input


def test_errors_are_body_codes_under_http_200(client: Client) -> None:
    answer = client.send("GET", DETAIL, params={"fileID": "nowhere"})
    assert answer.status_code == 200
    assert abs(parsedate_to_datetime(answer.headers["Date"]).timestamp() - time.time()) < 5
    body = answer.json()
    assert (body["code"], body["data"]) == (5066, None)


@pytest.mark.parametrize(
    ("path", "body", "hint"),
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
def test_bad_input_is_code_1_with_a_hint(client: Client, path: str, body: Any, hint: str) -> None:
    answer = client.send("POST", path, json=body).json()
    assert (answer["code"], answer["data"]) == (1, None)
    assert hint in answer["message"]


def test_headers_are_required(client: Client) -> None:
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


def count_allowed(client: Client, seconds: float) -> int:
    allowed, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        answer = client.get(DETAIL, fileID="x")
        assert answer["code"] in (5066, 429)
        if answer["code"] == 429:
            assert answer["message"] == "请求太频繁"
        allowed += answer["code"] == 5066
    return allowed


@pytest.mark.parametrize(("kind", "least", "most"), [("bucket", 11, 23), ("window", 10, 30)])
def test_over_the_rate_comes_429(client: Client, kind: str, least: int, most: int) -> None:
    client.sandbox.configure(rate=10, rate_kind=kind)
    assert least <= count_allowed(client, 1.1) <= most
    assert client.log_in()["code"] == 0, "logins have a limit of their own"
    assert client.sandbox.state()["counts"]["refused_429"] > 0


def test_logins_have_their_own_rate(sandbox: Sandbox) -> None:
    sandbox.configure(login_rate=1)
    assert [Client(sandbox).log_in()["code"] for _ in range(3)] == [0, 429, 429]


def test_too_many_active_tasks(client: Client) -> None:
    client.sandbox.configure(active_cap=2, delay=60, fetch=False)
    client.submit("http://127.0.0.1/1.png")
    client.submit("http://127.0.0.1/2.png")
    answer = client.post(CREATE, **GOOD)
    assert (answer["code"], answer["message"]) == (1, "同时下载的任务超出最大限制")
    assert client.sandbox.state()["running"] == {client.sandbox.client_id: 2}
