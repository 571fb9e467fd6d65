"""The forms in which the sandbox sends callbacks."""

from __future__ import annotations

import json
from collections.abc import Callable
from email.parser import BytesParser
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from tests.integration.sandbox.support import Client, Delivery, Peer, wait_until

REASON = "来源返回 404"
SOURCE = "http://127.0.0.1/bad.png"
TEXTS = {"url": SOURCE, "status": "1", "failReason": REASON, "fileID": ""}
FIELDS = {**TEXTS, "status": 1}


def received(client: Client, peer: Peer, **options: Any) -> Delivery:
    """Return the callback of a download that fails."""
    client.sandbox.configure(fetch=False, fail="bad", fail_reason=REASON, **options)
    client.submit(SOURCE, callBackUrl=f"{peer.url}/callback?kept=1")
    (delivery,) = wait_until(lambda: peer.deliveries)
    return delivery


def read_multipart(delivery: Delivery) -> dict[str, str]:
    message = BytesParser().parsebytes(
        f"Content-Type: {delivery.content_type}\r\n\r\n".encode() + delivery.body
    )
    parts: list[Any] = [*message.walk()][1:]
    return {
        part.get_param("name", header="content-disposition"): part.get_payload(decode=True).decode()
        for part in parts
    }


def read_query(delivery: Delivery) -> dict[str, str]:
    fields = dict(parse_qsl(urlsplit(delivery.path).query, keep_blank_values=True))
    assert fields.pop("kept") == "1"
    return fields


@pytest.mark.parametrize(
    ("form", "method", "content_type", "read", "expected"),
    [
        ("json", "POST", "application/json", lambda got: json.loads(got.body.decode()), FIELDS),
        ("put", "PUT", "application/json", lambda got: json.loads(got.body.decode()), FIELDS),
        ("list", "POST", "application/json", lambda got: json.loads(got.body.decode()), [FIELDS]),
        (
            "wrapped",
            "POST",
            "application/json",
            lambda got: json.loads(got.body.decode()),
            {"code": 0, "data": FIELDS},
        ),
        ("gbk", "POST", "application/json", lambda got: json.loads(got.body.decode("gbk")), FIELDS),
        (
            "form",
            "POST",
            "application/x-www-form-urlencoded",
            lambda got: dict(parse_qsl(got.body.decode(), keep_blank_values=True)),
            TEXTS,
        ),
        ("multipart", "POST", "multipart/form-data", read_multipart, TEXTS),
        ("query", "GET", "", read_query, TEXTS),
    ],
)
def test_a_callback_has_the_form_of_the_option(
    client: Client,
    peer: Peer,
    form: str,
    method: str,
    content_type: str,
    read: Callable[[Delivery], Any],
    expected: Any,
) -> None:
    delivery = received(client, peer, callback_form=form)
    assert delivery.method == method
    assert delivery.content_type.partition(";")[0] == content_type
    assert read(delivery) == expected
    assert "kept=1" in delivery.path


@pytest.mark.parametrize(
    ("form", "failure", "success"),
    [
        ("number", "1", "0"),
        ("bool", "false", "true"),
        ("float", "1.0", "0.0"),
        ("word", '"failed"', '"success"'),
    ],
)
def test_the_status_has_the_type_of_the_option(
    client: Client, peer: Peer, form: str, failure: str, success: str
) -> None:
    failed = received(client, peer, status_as=form)
    assert json.dumps(json.loads(failed.body)["status"]) == failure
    peer.deliveries.clear()
    client.submit("http://127.0.0.1/good.png", callBackUrl=peer.url)
    (stored,) = wait_until(lambda: peer.deliveries)
    assert json.dumps(json.loads(stored.body)["status"]) == success


def test_the_status_may_be_missing(client: Client, peer: Peer) -> None:
    delivery = received(client, peer, status_as="missing")
    assert json.loads(delivery.body) == {name: FIELDS[name] for name in FIELDS if name != "status"}
