"""The body of an answer: bounded while it arrives, and parsed to strings that Airflow can store."""

from __future__ import annotations

import json
import re
import zlib
from typing import Any

#: The largest body that is read, after decompression. A full page of a directory has about 60 KB.
MAX_BODY_BYTES = 16 * 2**20

# Databases refuse NUL and unpaired surrogates, and control characters forge lines of logs.
_UNSTORABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


class BodyError(Exception):
    """A body is too large, or is not compressed as its answer says."""


class BodyReader:
    """Collects and decompresses a body, and stops at MAX_BODY_BYTES.

    :param encoding: the answer's ``Content-Encoding``; a body in any other encoding than gzip stays as it is.
    """

    def __init__(self, encoding: str | None) -> None:
        gzip = (encoding or "").strip().lower() in ("gzip", "x-gzip")
        self._decompressor = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16) if gzip else None
        self._body = bytearray()

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes.

        :raises BodyError: the body is too large, or is not gzip although the answer says so.
        """
        if self._decompressor is not None:
            try:
                chunk = self._decompressor.decompress(chunk, MAX_BODY_BYTES + 1 - len(self._body))
            except zlib.error as error:
                raise BodyError(f"the body cannot be decompressed: {error}") from None
        self._body += chunk
        if len(self._body) > MAX_BODY_BYTES:
            raise BodyError(f"the body has more than {MAX_BODY_BYTES // 2**20} MiB")

    def body(self) -> bytes:
        """Return everything so far."""
        return bytes(self._body)


def parse_json(body: bytes) -> Any:
    """Parse JSON. Control characters, and unpaired surrogates, in its strings become U+FFFD.

    :raises ValueError: the body is not JSON, is nested too deeply, or holds a number of thousands of digits.
    """
    try:
        return _clean(json.loads(body))
    except RecursionError:
        raise ValueError("the JSON is nested too deeply") from None


def _clean(value: Any) -> Any:
    match value:
        case str():
            return value if value.isprintable() else _UNSTORABLE.sub("\ufffd", value)
        case dict():
            return {key: _clean(item) for key, item in value.items()}
        case list():
            return [_clean(item) for item in value]
    return value
