"""The sandbox's logins and tokens."""

from __future__ import annotations

import base64
import json
import time
from datetime import datetime, timedelta

import pytest

from airflow_provider_123pan.sandbox import Sandbox
from tests.integration.sandbox_world import DETAIL, Client, client, neighbour, running, sandbox

__all__ = ["client", "neighbour", "running", "sandbox"]


def test_login_gives_a_jwt_and_its_expiry(sandbox: Sandbox) -> None:
    answer = Client(sandbox).log_in()
    assert set(answer) == {"code", "message", "data", "x-traceID"}
    assert answer["x-traceID"]
    claims = answer["data"]["accessToken"].split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
    expiry = datetime.fromisoformat(answer["data"]["expiredAt"])
    assert expiry.utcoffset() == timedelta(hours=8)
    assert expiry.timestamp() == claims["exp"]
    assert claims["exp"] == pytest.approx(time.time() + 30 * 86400, abs=60)


def test_wrong_secret_is_code_1_and_no_login(sandbox: Sandbox) -> None:
    answer = Client(sandbox).log_in(clientSecret="wrong")
    assert (answer["code"], answer["data"]) == (1, None)
    assert sandbox.state()["counts"]["logins"] == 0


def test_a_fourth_token_knocks_off_the_oldest(sandbox: Sandbox) -> None:
    clients = [Client(sandbox) for _ in range(4)]
    for each in clients:
        each.log_in()
    answers = [each.get(DETAIL, fileID="x") for each in clients]
    assert [answer["code"] for answer in answers] == [401, 5066, 5066, 5066]
    assert answers[0]["message"] == "tokens number has exceeded the limit"
    assert sandbox.state()["tokens"] == {sandbox.client_id: 3}


def test_killed_expired_missing_and_strange_tokens(client: Client) -> None:
    assert client.sandbox.kill_tokens() == 1
    killed = client.get(DETAIL, fileID="x")
    assert (killed["code"], killed["message"], killed["data"]) == (401, "token is expired", None)
    client.session.headers["Authorization"] = "Bearer strange"
    assert client.get(DETAIL, fileID="x")["code"] == 401
    del client.session.headers["Authorization"]
    assert client.get(DETAIL, fileID="x")["code"] == 401
    client.sandbox.configure(token_life=0.001)
    client.log_in()
    assert client.get(DETAIL, fileID="x")["message"] == "token is expired"
