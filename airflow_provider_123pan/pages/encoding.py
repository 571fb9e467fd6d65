"""Decodes pages so that they can be encoded again to the same bytes, whatever their encoding is."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from typing import NamedTuple

from airflow_provider_123pan.exceptions import Pan123InputError
from airflow_provider_123pan.pages.folder import UnreadablePageError

# With their mark, which stays in the text. The marks of UTF-32 begin with those of UTF-16.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_DECLARATION_BYTES = 1024
_DECLARATIONS = (
    (
        (".html", ".htm", ".xhtml"),
        re.compile(rb"<meta[^>]{0,200}charset\s{0,9}=\s{0,9}[\"']?([\w.:-]+)", re.IGNORECASE),
    ),
    (
        (".xml", ".xhtml", ".html", ".htm"),
        re.compile(rb"\s{0,9}<\?xml[^>]{0,200}encoding\s{0,9}=\s{0,9}[\"']([\w.:-]+)", re.IGNORECASE),
    ),
    ((".css",), re.compile(rb'@charset "([\w.:-]+)";', re.IGNORECASE)),
)
# Browsers read the older Chinese encodings as their superset, and so does everyone who writes them.
_SUPERSETS = {"gb2312": "gb18030", "gbk": "gb18030"}
# In so few bytes that are not ASCII, many encodings are possible. The likely one is that of the service's users.
_FEW_BYTES = 64
_LIKELY = "gb18030"
_NOT_ASCII = re.compile(rb"[\x80-\xff]+")
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
    for mark, marked in _MARKS:
        if data.startswith(mark):
            encoding = Encoding(marked, "surrogateescape" if marked == "utf-8" else "surrogatepass")
            if (text := _decoded(data, encoding)) is None:
                raise UnreadablePageError(f"it begins as {marked.upper()} and is none; repair it")
            return text, encoding
    if b"\0" in data:
        return _utf_16(data)
    for encoding in _candidates(data, name, fallback):
        if (text := _decoded(data, encoding)) is not None:
            return text, encoding
    raise AssertionError("any bytes can be decoded with escapes")


def check_encoding(encoding: str | None) -> None:
    """Check the name of an encoding.

    :raises Pan123InputError: Python knows none of this name.
    """
    if encoding is not None and _codec(encoding) is None:
        raise Pan123InputError(f"encoding: Python knows none of the name {encoding!r}")


def _candidates(data: bytes, name: str, fallback: str | None) -> Iterator[Encoding]:
    for extensions, declaration in _DECLARATIONS:
        if not name.lower().endswith(extensions):
            continue
        found = declaration.search(data, 0, _DECLARATION_BYTES)
        if found and (declared := _codec(found[1].decode("ascii", "replace"))) is not None:
            yield Encoding(declared)
    yield Encoding("utf-8")
    if fallback is not None and (given := _codec(fallback)) is not None:
        yield Encoding(given)
    else:
        yield from map(Encoding, _detected(data))
    yield Encoding(*_LAST)


def _codec(name: str) -> str | None:
    """Return Python's name of an encoding that has ASCII as a part, or None."""
    try:
        found = codecs.lookup(name).name
        found = _SUPERSETS.get(found, found)
        return found if "<a>".encode(found) == b"<a>" else None
    except (LookupError, UnicodeError, TypeError, ValueError):
        return None


def _detected(data: bytes) -> list[str]:
    from charset_normalizer import from_bytes

    found = [match.encoding for match in from_bytes(data)]
    if _LIKELY in found and sum(map(len, _NOT_ASCII.findall(data))) < _FEW_BYTES:
        return [_LIKELY, *found]
    return found


def _decoded(data: bytes, encoding: Encoding) -> str | None:
    """Return the text, or None if it would not become the same bytes again."""
    try:
        text = encoding.decode(data)
        return text if encoding.encode(text) == data else None
    except (UnicodeError, LookupError):
        return None


def _utf_16(data: bytes) -> tuple[str, Encoding] | None:
    """Decode UTF-16 without a mark, which shows in that every second byte of ASCII is zero; None for other data."""
    head = data[:4096]
    zeros = head[::2].count(0), head[1::2].count(0)
    if len(data) % 2 or min(zeros) or max(zeros) < len(head) // 8:
        return None
    encoding = Encoding("utf-16-be" if zeros[0] else "utf-16-le", "surrogatepass")
    text = _decoded(data, encoding)
    return None if text is None or "\0" in text else (text, encoding)
