"""Requests that the receiver rejects, all with the same answer."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from airflow_provider_123pan.callbacks.address import make_callback_url, make_read_token, new_callback_id
from tests.integration.receiver.support import (
    CALLBACK_SALT,
    CONN_ID,
    DAY_SECONDS,
    KEYS,
    NOT_FOUND,
    READ_SALT,
    SAMPLE,
    ReceiverServer,
    sign,
)


def _forged(receiver: ReceiverServer) -> Iterator[tuple[str, str, bytes]]:
    """Yield the requests that must be rejected: a description, the URL and the body."""
    body = json.dumps(SAMPLE).encode()
    good = receiver.callback_url()
    head, _, token = good.rpartition("/")
    name, callback_id, signed_at, signature = token.split(".")
    other = make_callback_url(receiver.base_url, CONN_ID, callback_id, receiver.keys.known["other"])
    yield "another connection's key", other, body
    yield (
        "another connection's name",
        f"{head}/{'.'.join(['b3RoZXI', callback_id, signed_at, signature])}",
        body,
    )
    yield "another submission", f"{head}/{'.'.join([name, new_callback_id(), signed_at, signature])}", body
    yield "cut", good[:-1], body
    yield "longer", good + "A", body
    yield "slash", good + "/", body
    yield "unknown connection", receiver.callback_url(conn_id="unknown"), body
    yield "no signature", f"{head}/{name}.{callback_id}", body
    yield "a read token", f"{head}/{make_read_token(CONN_ID, KEYS)}", body
    yield "empty", f"{head}/", body
    yield "nonsense", f"{head}/../../etc/passwd", body
    yield "encoded slash", f"{head}/%2e%2e%2f{token}", body
    yield "over-long token", f"{head}/{'A' * 60_000}", body
    now, value = time.time(), f"{name}.{callback_id}"
    older = sign(value, KEYS, b"airflow-provider-123pan callback v0", now)
    yield "older version", f"{head}/{older}", body
    expired = sign(value, KEYS, CALLBACK_SALT, now - 30 * DAY_SECONDS - 60)
    yield "expired", f"{head}/{expired}", body


def test_all_rejected_requests_get_the_same_answer(receiver: ReceiverServer) -> None:
    answers = {}
    for case, url, body in _forged(receiver):
        answer = receiver.client.post(url, content=body)
        headers = {name: value for name, value in answer.headers.items() if name != "date"}
        answers[case] = (answer.status_code, answer.text, headers)
    assert len(answers) > 12
    assert {case for case, answer in answers.items() if answer[:2] != NOT_FOUND} == set()
    assert len({str(answer) for answer in answers.values()}) == 1
    assert receiver.rows() == 0


def test_a_callback_url_is_valid_for_thirty_days(receiver: ReceiverServer) -> None:
    head, _, token = receiver.callback_url().rpartition("/")
    value = token.rpartition(".")[0].rpartition(".")[0]
    still_valid = sign(value, KEYS, CALLBACK_SALT, time.time() - 30 * DAY_SECONDS + 3600)
    assert receiver.client.post(f"{head}/{still_valid}", json=SAMPLE).status_code == 200


def test_a_body_without_a_length_is_read_up_to_the_limit(receiver: ReceiverServer) -> None:
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        while sent < 50_000_000:
            sent += 8192
            yield b" " * 8192

    with contextlib.suppress(httpx.HTTPError):  # cut off while sending
        assert receiver.client.post(receiver.callback_url(), content=endless()).status_code == 200
    body = json.dumps(SAMPLE).encode()
    assert (
        receiver.client.post(receiver.callback_url(), content=iter([body[:9], body[9:]])).status_code == 200
    )


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS"])
def test_a_probe_of_a_callback_url_wakes_nothing(receiver: ReceiverServer, method: str) -> None:
    assert receiver.client.request(method, receiver.callback_url()).status_code == 404
    assert receiver.rows() == 0


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"])
def test_other_methods_and_paths_get_the_same_answer(receiver: ReceiverServer, method: str) -> None:
    for path in (
        "/pan123/inbox/poll",
        "/pan123/docs",
        "/pan123/openapi.json",
        "/pan123",
    ):
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
def test_only_a_valid_read_token_can_read(receiver: ReceiverServer, authorization: str | None) -> None:
    token = make_read_token(CONN_ID, KEYS)
    expired = sign(token.partition(".")[0], KEYS, READ_SALT, time.time() - 660)
    header = (authorization or "").format(
        token=token,
        callback=receiver.callback_url().rpartition("/")[2],
        other=make_read_token(CONN_ID, receiver.keys.known["other"]),
        cut=token[:-1],
        expired=expired,
        unknown=make_read_token("unknown", KEYS),
    )
    for path, query in (("poll", {"after": None}), ("lookup", {"callback_ids": []})):
        answer = receiver.client.post(
            f"/pan123/inbox/{path}",
            json=query,
            headers={} if authorization is None else {"Authorization": header},
        )
        assert (answer.status_code, answer.text) == NOT_FOUND
        assert "X-Pan123-Inbox" not in answer.headers


@pytest.mark.parametrize(
    ("path", "query"),
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
def test_malformed_queries_are_rejected(receiver: ReceiverServer, path: str, query: Any) -> None:
    answer = receiver.query(path, query)
    assert (answer.status_code, answer.text) == NOT_FOUND
