"""Which fields are read from a callback, whatever form it has."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import pytest

from airflow_provider_123pan.callbacks.delivery import Delivery, DeliveryStatus

ID = "0" * 32
FIELDS = {"url": "http://dc.com/a.jpg", "status": 1, "failReason": "源站拒绝", "fileID": 100}
DELIVERY = Delivery(ID, DeliveryStatus.FAILED, "源站拒绝", "100", "http://dc.com/a.jpg")
MULTIPART = "".join(
    f'--line\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
    for name, value in FIELDS.items()
)


def json_of(value: Any, encoding: str = "utf-8") -> bytes:
    return json.dumps(value, ensure_ascii=False).encode(encoding)


@pytest.mark.parametrize(
    ("body", "content_type", "query"),
    [
        (json_of(FIELDS), "application/json", ""),
        (json_of(FIELDS), "text/plain", ""),
        (json_of(FIELDS, "utf-8-sig"), "", ""),
        (json_of(FIELDS, "gbk"), "", ""),
        (json_of([FIELDS]), "", ""),
        (json_of({"code": 0, "data": FIELDS}), "", ""),
        (json_of({"code": 0, "data": {"list": [FIELDS]}}), "", ""),
        (json_of(FIELDS | {"status": 1.0}), "", ""),
        (json_of(FIELDS | {"status": "1"}), "", ""),
        (json_of(FIELDS | {"status": "failed"}), "", ""),
        (json_of({"fileReason" if name == "failReason" else name: FIELDS[name] for name in FIELDS}), "", ""),
        (json_of({"fileId" if name == "fileID" else name: FIELDS[name] for name in FIELDS}), "", ""),
        (urlencode(FIELDS).encode(), "application/x-www-form-urlencoded", ""),
        (urlencode(FIELDS).encode(), "", ""),
        (f"{MULTIPART}--line--\r\n".encode(), "multipart/form-data; boundary=line", ""),
        (b"", "", urlencode(FIELDS)),
        (b"{}", "application/json", urlencode(FIELDS)),
    ],
)
def test_a_callback_is_read_in_any_form(body: bytes, content_type: str, query: str) -> None:
    assert Delivery.parse(ID, body, content_type, query) == DELIVERY


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[0]",
        b"{}",
        b"\xff\xfe\x00",
        b"<html>",
        b"[" * 16_000,
        b'{"status": ' + b"1" * 10_000 + b"}",
        json_of({"status": True}),
        json_of({"status": 2}),
        json_of({"status": None}),
        json_of({"status": [0]}),
    ],
)
def test_what_is_not_understood_only_wakes(body: bytes) -> None:
    assert Delivery.parse(ID, body) == Delivery(ID, DeliveryStatus.WOKEN)


def test_a_delivery_without_a_status_keeps_its_other_fields() -> None:
    found = Delivery.parse(ID, json_of({"fileID": "abc", "failReason": "later"}))
    assert found == Delivery(ID, DeliveryStatus.WOKEN, "later", "abc")


@pytest.mark.parametrize("delivery", [DELIVERY, Delivery(ID, DeliveryStatus.WOKEN)])
def test_a_stored_delivery_reads_back_as_it_was(delivery: Delivery) -> None:
    assert Delivery.from_dict(json.loads(json.dumps(delivery.as_dict()))) == delivery


@pytest.mark.parametrize("stored", [{}, {"callback_id": ID}, {"callback_id": ID, "status": 7}, {"status": 0}])
def test_a_stored_delivery_needs_its_id_and_its_status(stored: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="missing"):
        Delivery.from_dict(stored)


SECRET = "4f2a9c81d07e5b36"
SIGNED_URL = f"https://user:{SECRET}@cdn.example.com/a.jpg?w=100&sig={SECRET}"


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("padding", [0, *range(420, 501)])
def test_no_part_of_a_secret_survives_in_a_reason(named: bool, padding: int) -> None:
    """Neither where the reason is cut, nor if the callback does not name the source URL."""
    reason = f"{'长' * padding} {SIGNED_URL} cannot be read {'x' * 100}"
    fields = {"status": 1, "failReason": reason} | ({"url": SIGNED_URL} if named else {})
    found = Delivery.parse(ID, json_of(fields)).reason
    assert len(found) <= 500
    assert SECRET[:4] not in found
    if not padding:
        assert found.startswith("https://cdn.example.com/a.jpg?w=100&sig=*** cannot be read")


@pytest.mark.parametrize("padding", range(485, 501))
def test_a_reason_is_not_cut_within_a_word(padding: int) -> None:
    """The word may be a secret that only the submission knows, and recognizes as a whole."""
    reason = f"{'x' * (padding - 1)} {SECRET} 失败"
    found = Delivery.parse(ID, json_of({"status": 1, "failReason": reason})).reason
    assert found == "x" * (padding - 1)


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("x" * 501, "***"),
        ("x" * 500, "x" * 500),
        ("长" * 501, "长" * 500),
        ("长" * 499 + " x", "长" * 499),
        ("source http://[::1 is invalid", "source *** is invalid"),
        ("see s3://bucket/a.jpg", "see s3://bucket/a.jpg"),
    ],
)
def test_a_reason_stays_readable(reason: str, expected: str) -> None:
    for url in (None, "http://[::1", "not a URL"):
        fields = {"status": 1, "failReason": reason, "url": url}
        assert Delivery.parse(ID, json_of(fields)).reason == expected
