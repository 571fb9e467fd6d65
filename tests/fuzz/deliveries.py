"""Callbacks and pages of the inbox: any bytes are a delivery, and a page is one or comes from no inbox."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_123pan.callbacks.body import FIELDS
from airflow_provider_123pan.callbacks.client import InboxEndpoint, InboxPage
from airflow_provider_123pan.callbacks.contract import MARKER
from airflow_provider_123pan.callbacks.delivery import Delivery
from airflow_provider_123pan.exceptions import InboxUnreachableError
from tests.fuzz.properties import run_properties, value_or_error
from tests.fuzz.values import (
    DEEP_JSON,
    LONG_NUMBER,
    any_json,
    changed,
    dumped,
    encoded,
    records,
    scalars,
    texts,
)

EXAMPLES = 10_000

CALLBACK_ID = "0123456789abcdef" * 2
MULTIPART = "multipart/form-data; boundary=b"
DELIVERY = {
    "callback_id": CALLBACK_ID,
    "status": 0,
    "reason": "",
    "fileID": "f1",
    "url": "https://example.com/a.jpg",
}
inbox = InboxEndpoint("http://inbox", "pan123_default", (b"key",))

fields = records(FIELDS)
forms = st.dictionaries(st.sampled_from(sorted(FIELDS)), texts).map(
    lambda form: urlencode({name: encoded(value) for name, value in form.items()})
)
wrapped = st.recursive(
    fields, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2)
)
parts = st.lists(
    st.builds(
        lambda head, name, value: b"--b\r\n" + head + encoded(f'"{name}"\r\n\r\n{value}\r\n'),
        st.sampled_from(
            [b"Content-Disposition: form-data; name=", b"Content-Transfer-Encoding: base64\r\nname=", b""]
        )
        | st.binary(max_size=30),
        st.sampled_from(sorted(FIELDS)) | texts,
        texts,
    )
).map(b"".join)
bodies = (
    dumped(fields | wrapped | any_json).map(encoded)
    | forms.map(str.encode)
    | parts
    | st.binary(max_size=100)
    | fields.map(lambda found: json.dumps(found, ensure_ascii=False).encode("gb18030", "replace"))
)
content_types = st.sampled_from(
    ["", "application/json", "application/x-www-form-urlencoded", MULTIPART]
) | texts.map("multipart/{}".format)


@given(bodies, content_types, forms | texts)
@example(DEEP_JSON.encode(), "application/json", "")
@example(b'{"status": %s, "fileID": %s}' % ((LONG_NUMBER.encode(),) * 2), "", "")
@example(b'{"status": 1e999, "fileID": NaN}', "", "")
@example(b"", "multipart/form-data; boundary=\ud800", "")
@example(b"--b\r\nContent-Disposition: form-data; name*=x''%ff\r\n\r\n1\r\n--b--", MULTIPART, "")
@example(b"", "", "&".join(["a=1"] * 200))
def any_callback_is_a_delivery(body: bytes, content_type: str, query: str) -> None:
    delivery = value_or_error(
        lambda: Delivery.parse(CALLBACK_ID, body, content_type, query), Delivery, errors=()
    )
    assert delivery is not None
    read = Delivery.from_dict(json.loads(json.dumps(delivery.as_dict())))
    assert (read.status, read.fileID, read.url) == (delivery.status, delivery.fileID, delivery.url)


@given(changed(DELIVERY) | any_json.filter(lambda value: isinstance(value, dict)))
def a_stored_delivery_is_read_or_refused(stored: dict[str, Any]) -> None:
    value_or_error(lambda: Delivery.from_dict(stored), Delivery, errors=ValueError)


pages = st.builds(
    lambda epoch, last, deliveries: {"epoch": epoch, "last": last, "deliveries": deliveries},
    scalars,
    st.none() | st.integers() | texts,
    st.lists(changed(DELIVERY) | any_json, max_size=3) | any_json,
)
page_bodies = dumped(pages).map(encoded) | texts.map(encoded) | st.binary(max_size=50)


@given(st.just(200) | st.integers(100, 599), st.booleans(), page_bodies)
@example(200, True, b'{"epoch": "e", "last": "%s", "deliveries": []}' % LONG_NUMBER.encode())
@example(200, True, b'{"epoch": "e", "last": 7}')
@example(200, True, b'{"epoch": "e", "last": 1e999, "deliveries": []}')
@example(200, True, DEEP_JSON.encode())
def an_answer_is_a_page_or_no_inbox(status: int, marked: bool, body: bytes) -> None:
    headers = {MARKER: "1"} if marked else {}
    value_or_error(lambda: inbox.page(status, headers, body), InboxPage, errors=InboxUnreachableError)


def fuzz(examples: int, seed: int) -> str:
    """Check the properties."""
    return run_properties(
        (any_callback_is_a_delivery, a_stored_delivery_is_read_or_refused, an_answer_is_a_page_or_no_inbox),
        examples,
        seed,
    )
