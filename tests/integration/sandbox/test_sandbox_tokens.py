"""The sandbox's logins and tokens."""

from __future__ import annotations

import base64
import json
import time
from datetime import datetime, timedelta

from airflow_provider_123pan.sandbox import Sandbox
from tests.integration.sandbox.support import DETAIL, Client


def test_a_login_returns_a_jwt_and_its_expiry(sandbox: Sandbox) -> None:
    before = int(time.time())
    answer = Client(sandbox).log_in()
    assert set(answer) == {"code", "message", "data", "x-traceID"}
    assert answer["x-traceID"]
    claims = answer["data"]["accessToken"].split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
    expiry = datetime.fromisoformat(answer["data"]["expiredAt"])
    assert expiry.utcoffset() == timedelta(hours=8)
    assert expiry.timestamp() == claims["exp"]
    assert before <= claims["exp"] - 30 * 86400 <= time.time()


def test_a_wrong_secret_has_code_1_and_is_no_login(sandbox: Sandbox) -> None:
    answer = Client(sandbox).log_in(clientSecret="wrong")
    assert (answer["code"], answer["data"]) == (1, None)
    assert sandbox.state()["counts"]["logins"] == 0


def test_a_fourth_token_revokes_the_oldest(sandbox: Sandbox) -> None:
    clients = [Client(sandbox) for _ in range(4)]
    for client in clients:
        client.log_in()
    answers = [client.get(DETAIL, fileID="x") for client in clients]
    assert [answer["code"] for answer in answers] == [401, 5066, 5066, 5066]
    assert answers[0]["message"] == "tokens number has exceeded the limit"
    assert sandbox.state()["tokens"] == {sandbox.client_id: 3}


def test_a_token_has_a_quota_of_uses(client: Client) -> None:
    client.sandbox.configure(token_uses=2)
    answers = [client.get(DETAIL, fileID="x") for _ in range(3)]
    assert [answer["code"] for answer in answers] == [5066, 5066, 401]
    assert answers[2]["message"] == "tokens number has exceeded the limit"
    assert client.sandbox.state()["tokens"].get(client.sandbox.client_id, 0) == 0
    client.log_in()
    assert client.get(DETAIL, fileID="x")["code"] == 5066, "a new token has a quota of its own"


def test_expired_unknown_and_missing_tokens_are_refused(client: Client) -> None:
    assert client.sandbox.kill_tokens() == 1
    expired = client.get(DETAIL, fileID="x")
    assert (expired["code"], expired["message"], expired["data"]) == (401, "token is expired", None)
    client.session.headers["Authorization"] = "Bearer strange"
    assert client.get(DETAIL, fileID="x")["code"] == 401
    del client.session.headers["Authorization"]
    assert client.get(DETAIL, fileID="x")["code"] == 401
    client.sandbox.configure(token_life=0.001)
    client.log_in()
    assert client.get(DETAIL, fileID="x")["message"] == "token is expired"
