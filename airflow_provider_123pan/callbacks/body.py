"""Reads the fields of a callback from whatever the service sends: only JSON is documented, and not even its type."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any
from urllib.parse import parse_qsl

# The fields of a callback. One of them is enough to recognize it inside of a wrapper.
FIELDS = frozenset({"status", "url", "failReason", "fileReason", "fileID", "fileId"})
_ENCODINGS = ("utf-8-sig", "gb18030")
_MAX_WRAPPERS = 3


def read_fields(body: bytes, content_type: str = "", query: str = "") -> Mapping[str, Any]:
    """Return the fields of a callback; an empty mapping if it has none that are understood.

    :param body: JSON, perhaps in a list or a wrapper such as ``{"code": 0, "data": {…}}``, or a form.
    :param content_type: the header, which only a multipart form needs.
    :param query: the query string, which is read if the body has no fields.
    """
    for fields in _readings(body, content_type, query):
        if found := _unwrap(fields, _MAX_WRAPPERS):
            return found
    return {}


def _readings(body: bytes, content_type: str, query: str) -> Iterator[Any]:
    if content_type.lower().startswith("multipart/"):
        yield _multipart(body, content_type)
    text = _decode(body)
    try:
        yield json.loads(text)
    except (ValueError, RecursionError):
        yield _form(text)
    yield _form(query)


def _unwrap(value: Any, depth: int) -> Mapping[str, Any] | None:
    if isinstance(value, list):
        value = next((item for item in value if isinstance(item, Mapping)), None)
    if not isinstance(value, Mapping):
        return None
    if FIELDS & value.keys():
        return value
    inner = (_unwrap(item, depth - 1) for item in value.values() if isinstance(item, (Mapping, list)))
    return next((found for found in inner if found), None) if depth else None


def _decode(body: bytes) -> str:
    for encoding in _ENCODINGS:
        try:
            return body.decode(encoding)
        except ValueError:
            continue
    return body.decode("utf-8", "replace")


def _form(text: str) -> dict[str, str]:
    try:
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=100))
    except ValueError:
        return {}


def _multipart(body: bytes, content_type: str) -> dict[str, str]:
    head = b"Content-Type: " + content_type.encode("latin-1", "replace") + b"\r\n\r\n"
    message = BytesParser(policy=HTTP).parsebytes(head + body)
    fields = {}
    for part in message.iter_parts() if message.is_multipart() else ():
        name = part.get_param("name", header="content-disposition")
        content = part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(content, bytes):
            fields[name] = _decode(content).strip()
    return fields
