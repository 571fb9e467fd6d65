"""Reads the encoding that a document declares."""

from __future__ import annotations

import codecs
import re

#: Bytes at the start of a document in which its encoding is declared.
HEAD_BYTES = 1024

# UTF-32 comes before UTF-16, whose mark it begins with.
_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
_XML = re.compile(rb"""\s*<\?xml\b[^>]*?\bencoding\s*=\s*["']([\w.:-]{1,40})""", re.ASCII)
_CSS = re.compile(rb"""@charset\s+["']([\w.:-]{1,40})""", re.ASCII)
_HTML = re.compile(rb"""<meta\b[^>]*?\bcharset\s*=\s*["']?([\w.:-]{1,40})""", re.ASCII | re.IGNORECASE)
# What documents contain that declare an older encoding; browsers read them the same way.
_SUPERSETS = {
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
    "iso8859-1": "cp1252",
    "ascii": "utf-8",
}


def byte_order_mark(head: bytes) -> tuple[bytes, str] | None:
    """Return a document's byte order mark and the encoding that it stands for, as Python calls it."""
    return next(((mark, encoding) for mark, encoding in _MARKS.items() if head.startswith(mark)), None)


def unmarked_utf16(head: bytes) -> str | None:
    """Return which UTF-16 a document without a mark has, judged by the NULs of its ASCII characters."""
    even, odd = head[::2].count(0), head[1::2].count(0)
    if odd > 8 * even:
        return "utf-16-le"
    return "utf-16-be" if even > 8 * odd else None


def xml_encoding(head: bytes) -> str:
    """Return the encoding of XML, as Python calls it: UTF-8 if nothing else is declared.

    :param head: the first HEAD_BYTES.
    :raises LookupError: Python does not know the encoding.
    """
    if marked := byte_order_mark(head):
        return marked[1]
    if utf16 := unmarked_utf16(head):
        return utf16
    return _declared_name(declared) if (declared := _XML.match(head)) else "utf-8"


def page_encoding(head: bytes, name: str) -> str | None:
    """Return the encoding that a page declares, as Python calls it; None if it declares none that Python knows.

    :param head: the first HEAD_BYTES.
    :param name: its name, which ends as ``.html`` where a ``meta`` element is no example.
    """
    declared = _XML.match(head) or _CSS.match(head)
    if declared is None and name.lower().endswith((".html", ".htm", ".xhtml")):
        declared = _HTML.search(head)
    try:
        return _declared_name(declared) if declared else None
    except LookupError:
        return None


def ascii_superset(name: str) -> str:
    """Return the name that Python has for an encoding, or for the larger one that documents in it really have.

    :raises LookupError: Python knows none of this name, or ASCII is no part of it.
    """
    try:
        found = codecs.lookup(name).name
        found = _SUPERSETS.get(found, found)
        if "<a>".encode(found) == b"<a>":
            return found
    except (UnicodeError, ValueError):
        pass  # a name with a NUL, or an encoding that is made to fail
    raise LookupError(f"ASCII is no part of {name}")


def _declared_name(declared: re.Match[bytes]) -> str:
    name = declared[1].decode("ascii")
    if name.lower().replace("_", "-").startswith(("utf-16", "utf-32")):
        return "utf-8"  # or the declaration could not be read as it was
    return ascii_superset(name)
