"""What the receiver refuses, all with one answer."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from airflow_provider_123pan.callbacks import address
from airflow_provider_123pan.callbacks.address import make_callback_url, make_read_token, new_callback_id
from tests.integration.receiver_world import (
    CONN_ID,
    DAY,
    KEYS,
    NOT_FOUND,
    SAMPLE,
    Running,
    receiver,
    rows,
    uri,
)

__all__ = ["receiver", "uri"]


def _forged(receiver: Running, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, str, bytes]]:
    """Everything that must be refused: what it is, its address and its body."""
    body = json.dumps(SAMPLE).encode()
    good = receiver.address()
    head, _, token = good.rpartition("/")
    name, callback_id, moment, signature = token.split(".")
    other = make_callback_url(receiver.base, CONN_ID, callback_id, receiver.keys.known["other"])
    yield "another connection's key", other, body
    yield "another connection's name", f"{head}/{'.'.join(['b3RoZXI', callback_id, moment, signature])}", body
    yield "another submission", f"{head}/{'.'.join([name, new_callback_id(), moment, signature])}", body
    yield "cut", good[:-1], body
    yield "longer", good + "A", body
    yield "slash", good + "/", body
    yield "unknown connection", receiver.address(conn_id="nobody"), body
    yield "no signature", f"{head}/{name}.{callback_id}", body
    yield "a read token", f"{head}/{make_read_token(CONN_ID, KEYS)}", body
    yield "empty", f"{head}/", body
    yield "nonsense", f"{head}/../../etc/passwd", body
    yield "encoded slash", f"{head}/%2e%2e%2f{token}", body
    yield "over-long token", f"{head}/{'A' * 60_000}", body
    with monkeypatch.context() as patch:
        patch.setattr(address, "_CALLBACK_SALT", b"airflow-provider-123pan callback v0")
        older = receiver.address()
    yield "older version", older, body
    with monkeypatch.context() as patch:
        now = time.time()
        patch.setattr("time.time", lambda: now - 30 * DAY - 60)
        expired = receiver.address()
    yield "expired", expired, body
    for what, wrong in {
        "not JSON": b"status=0",
        "empty body": b"",
        "not UTF-8": b'{"status": 0, "url": "\xff"}',
        "a list": b"[0]",
        "null": b"null",
        "no status": b"{}",
        "status 2": b'{"status": 2}',
        "status true": b'{"status": true}',
        "nested": b"[" * 16_000,
        "long number": b'{"status": ' + b"1" * 10_000 + b"}",
        "over-long body": json.dumps(SAMPLE | {"failReason": "x" * 17_000}).encode(),
        "huge body": b"x" * 3_000_000,
    }.items():
        yield what, good, wrong


def test_all_that_is_refused_gets_one_answer(receiver: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {}
    for what, url, body in _forged(receiver, monkeypatch):
        answer = receiver.client.post(url, content=body)
        headers = {name: value for name, value in answer.headers.items() if name != "date"}
        answers[what] = (answer.status_code, answer.text, headers)
    assert len(answers) > 25
    assert {what for what, answer in answers.items() if answer[:2] != NOT_FOUND} == set()
    assert len({str(answer) for answer in answers.values()}) == 1
    assert rows(receiver) == 0


def test_a_body_without_a_length_is_read_to_the_bound_only(receiver: Running) -> None:
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        while sent < 50_000_000:
            sent += 8192
            yield b" " * 8192

    try:
        answer = receiver.client.post(receiver.address(), content=endless())
        assert (answer.status_code, answer.text) == NOT_FOUND
    except httpx.HTTPError:
        pass  # cut off while sending
    body = json.dumps(SAMPLE).encode()
    assert receiver.client.post(receiver.address(), content=iter([body[:9], body[9:]])).status_code == 200


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"])
def test_other_methods_and_paths_get_the_same_answer(receiver: Running, method: str) -> None:
    for path in (receiver.address(), "/pan123/inbox/poll", "/pan123/docs", "/pan123/openapi.json", "/pan123"):
        answer = receiver.client.request(method, path)
        assert answer.status_code == 404
        assert answer.text == ("" if method == "HEAD" else NOT_FOUND[1])


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer x",
        "Basic {token}",
        "Bearer {callback}",
        "Bearer {other}",
        "Bearer {cut}",
        "Bearer {expired}",
        "Bearer {unknown}",
    ],
)
def test_only_a_read_token_reads(
    receiver: Running, authorization: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = make_read_token(CONN_ID, KEYS)
    with monkeypatch.context() as patch:
        now = time.time()
        patch.setattr("time.time", lambda: now - 660)
        expired = make_read_token(CONN_ID, KEYS)
    header = (authorization or "").format(
        token=token,
        callback=receiver.address().rpartition("/")[2],
        other=make_read_token(CONN_ID, receiver.keys.known["other"]),
        cut=token[:-1],
        expired=expired,
        unknown=make_read_token("nobody", KEYS),
    )
    for path, question in (("poll", {"after": None}), ("lookup", {"callback_ids": []})):
        answer = receiver.client.post(
            f"/pan123/inbox/{path}",
            json=question,
            headers={} if authorization is None else {"Authorization": header},
        )
        assert (answer.status_code, answer.text) == NOT_FOUND
        assert "X-Pan123-Inbox" not in answer.headers


@pytest.mark.parametrize(
    ("path", "question"),
    [
        ("poll", {"after": -1}),
        ("poll", {"after": 2**63}),
        ("poll", {"after": "x"}),
        ("poll", {"timeout": 26}),
        ("poll", {"timeout": -1}),
        ("poll", {"limit": 0}),
        ("poll", {"limit": 1001}),
        ("poll", []),
        ("lookup", {}),
        ("lookup", {"callback_ids": ["0" * 31]}),
        ("lookup", {"callback_ids": ["G" * 32]}),
        ("lookup", {"callback_ids": ["0" * 32] * 1001}),
        ("lookup", {"callback_ids": ["0" * 32], "more": "x" * 70_000}),
    ],
)
def test_questions_have_bounds(receiver: Running, path: str, question: Any) -> None:
    answer = receiver.ask(path, question)
    assert (answer.status_code, answer.text) == NOT_FOUND
