"""Decodes pages so that they can be encoded again to the same bytes, whatever their encoding is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from airflow_provider_123pan.exceptions import Pan123InputError
from airflow_provider_123pan.pages.folder import UnreadablePageError
from airflow_provider_123pan.source.declared_encoding import (
    HEAD_BYTES,
    ascii_superset,
    byte_order_mark,
    page_encoding,
    unmarked_utf16,
)

# So many bytes that are not ASCII are not valid UTF-8 by accident; in fewer, a declaration counts more.
_CERTAINLY_UTF8 = 16
# In so few bytes that are not ASCII, many encodings are possible. The likely one is that of the service's users.
_FEW_BYTES = 64
_LIKELY = "gb18030"
_NOT_ASCII = bytes(range(0x80, 0x100))
# Any bytes can be read so and written again. URLs in ASCII are found, others are unknown.
_LAST = ("utf-8", "surrogateescape")


class Encoding(NamedTuple):
    """An encoding of a page, by the names that Python gives to it and to its treatment of errors."""

    name: str
    errors: str = "strict"

    def decode(self, data: bytes) -> str:
        """Return the text of bytes."""
        return data.decode(self.name, self.errors)

    def encode(self, text: str) -> bytes:
        """Return the bytes of a text."""
        return text.encode(self.name, self.errors)


def decode_page(data: bytes, name: str, fallback: str | None = None) -> tuple[str, Encoding] | None:
    """Return the text of a page and its encoding, or None if it is no text.

    :param name: its name, whose extension says where it may declare an encoding.
    :param fallback: the encoding of a page that is not UTF-8 and declares none; None to detect it.
    :raises UnreadablePageError: it begins with the mark of an encoding that it does not have.
    """
    if found := byte_order_mark(data):
        return _marked(data, found[1])
    if b"\0" in data:
        return _unmarked_utf16(data)
    for encoding in _candidates(data, name, fallback):
        if (text := _decoded(data, encoding)) is not None:
            return text, encoding
    raise AssertionError("any bytes can be decoded with escapes")


def check_encoding(encoding: str | None) -> None:
    """Check the name of an encoding.

    :raises Pan123InputError: Python knows none of this name, or ASCII is no part of it.
    """
    if encoding is not None:
        try:
            ascii_superset(encoding)
        except LookupError:
            raise Pan123InputError(
                f"encoding: Python knows none of the name {encoding!r} that has ASCII as a part"
            ) from None


def _candidates(data: bytes, name: str, fallback: str | None) -> Iterator[Encoding]:
    """Yield the encodings that a page may have, the likeliest first."""
    declared = page_encoding(data[:HEAD_BYTES], name)
    if declared and _count_not_ascii(data) < _CERTAINLY_UTF8:
        yield Encoding(declared)
    yield Encoding("utf-8")
    if declared:
        yield Encoding(declared)
    if fallback is not None:
        yield Encoding(ascii_superset(fallback))
    else:
        yield from map(Encoding, _detected(data))
    yield Encoding(*_LAST)


def _detected(data: bytes) -> list[str]:
    from charset_normalizer import from_bytes

    found = [match.encoding for match in from_bytes(data)]
    if _LIKELY in found and _count_not_ascii(data) < _FEW_BYTES:
        return [_LIKELY, *found]
    return found


def _decoded(data: bytes, encoding: Encoding) -> str | None:
    """Return the text, or None if it would not become the same bytes again."""
    try:
        text = encoding.decode(data)
        return text if encoding.encode(text) == data else None
    except (UnicodeError, LookupError):
        return None


def _count_not_ascii(data: bytes) -> int:
    return len(data) - len(data.translate(None, _NOT_ASCII))


def _marked(data: bytes, name: str) -> tuple[str, Encoding] | None:
    """Decode a page with a byte order mark, which stays in the text; None for binary data."""
    encoding = Encoding(name, "surrogateescape" if name == "utf-8" else "surrogatepass")
    if (text := _decoded(data, encoding)) is None:
        raise UnreadablePageError(f"it begins as {name.upper()} and is none; repair it")
    return None if "\0" in text else (text, encoding)


def _unmarked_utf16(data: bytes) -> tuple[str, Encoding] | None:
    """Decode UTF-16 without a byte order mark; None for other data with zeros, which is binary."""
    if (name := unmarked_utf16(data[:HEAD_BYTES])) is None:
        return None
    text = _decoded(data, encoding := Encoding(name))
    return None if text is None or "\0" in text else (text, encoding)
