"""Strings that PHP serialized (``s:5:"a.jpg";``): they state their length in bytes, which a new URL changes."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable
from itertools import accumulate
from typing import NamedTuple

from airflow_provider_123pan.rewriting.escapes import decode_backslashes, decode_entities

_CHUNK = 1024  # characters between two known offsets
_MAX_ESCAPED_LENGTH = 65536  # characters of a string whose quotes are escaped
_MAX_TRIES = 8  # closing quotes at which a string may end whose quotes are escaped

_QUOTE = r'\\{0,3}"|&(?:quot|#0?34|#[xX]22);'
_HEADER = re.compile(rf"s:(?<![0-9A-Za-z_]s:)(?P<length>[0-9]{{1,9}}):(?P<quote>{_QUOTE})")
# What JSON and SQL escape with a backslash; of one letter, only the length counts.
_ESCAPED = re.compile(r"(?P<units>(?:\\u[0-9A-Fa-f]{4})+)|\\(?P<letter>.)", re.DOTALL)
_CLOSING = re.compile(rf"(?P<quote>{_QUOTE});")


class Edit(NamedTuple):
    """A replacement of ``text[start:end]``."""

    start: int
    end: int
    new: str


class _String(NamedTuple):
    """A string with its length: where its digits are, and its content.

    :ivar decode: returns the content as PHP reads it, or None if it is read as it is.
    """

    digits: tuple[int, int]
    start: int
    end: int
    decode: Callable[[str], str] | None


class SerializedStrings:
    """The serialized strings of a text, in its order, one within another or beside it."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._strings: list[_String] = []
        self._broken: list[tuple[int, int]] = []
        if headers := list(_HEADER.finditer(text)):
            self._find(headers)

    @property
    def has_broken(self) -> bool:
        """True if the length of a string is wrong."""
        return bool(self._broken)

    def is_broken(self, position: int) -> bool:
        """Return whether a position is in a string whose length is wrong."""
        index = bisect_right(self._broken, (position, len(self._text))) - 1
        return index >= 0 and position < self._broken[index][1]

    def with_lengths(self, edits: list[Edit]) -> list[Edit]:
        """Return edits, and those of the lengths that they change, in the order of the text."""
        if not edits or not self._strings:
            return edits
        lengths: list[Edit] = []
        open_strings: list[tuple[_String, list[Edit]]] = []

        def close_until(position: int) -> None:
            while open_strings and open_strings[-1][0].end <= position:
                string, inner = open_strings.pop()
                if inner:
                    length = self._length(string, inner)
                    lengths.append(length)
                    if open_strings:
                        open_strings[-1][1].extend([*inner, length])

        strings = iter(self._strings)
        string = next(strings, None)
        for edit in edits:
            while string is not None and string.start <= edit.start:
                close_until(string.start)
                open_strings.append((string, []))
                string = next(strings, None)
            close_until(edit.start)
            if open_strings:
                open_strings[-1][1].append(edit)
        close_until(len(self._text))
        return sorted([*edits, *lengths])

    def _length(self, string: _String, edits: Iterable[Edit]) -> Edit:
        """Return the edit of a string's length after edits of its content."""
        first, last = string.digits
        if string.decode is None:
            change = sum(_size(edit.new) - _size(self._text[edit.start : edit.end]) for edit in edits)
            return Edit(first, last, str(int(self._text[first:last]) + change))
        parts: list[str] = []
        done = string.start
        for edit in sorted(edits):
            parts += self._text[done : edit.start], edit.new
            done = edit.end
        content = "".join([*parts, self._text[done : string.end]])
        return Edit(first, last, str(_size(string.decode(content))))

    def _find(self, headers: Iterable[re.Match[str]]) -> None:
        offsets = _ByteOffsets(self._text)
        closings: dict[str, list[int]] = {}
        for closing in _CLOSING.finditer(self._text):
            closings.setdefault(closing["quote"], []).append(closing.start())
        enclosing: list[int] = []  # the ends of the strings around
        budget = 1_000_000 + 8 * len(self._text)  # characters to decode
        for header in headers:
            start, quote, length = header.end(), header["quote"], int(header["length"])
            while enclosing and enclosing[-1] < start:
                enclosing.pop()
            limit = enclosing[-1] if enclosing else len(self._text)
            ends = closings.get(quote, [])
            index = bisect_left(ends, start)
            decode = _decoding(quote)
            if decode is None:
                end = offsets.after(start, length)
                found = end is not None and end <= limit and self._text.startswith('";', end)
            else:
                found, end = False, None
                for candidate in ends[index : index + _MAX_TRIES]:
                    budget -= candidate - start
                    if candidate > limit or candidate - start > _MAX_ESCAPED_LENGTH or budget < 0:
                        break
                    if _size(decode(self._text[start:candidate])) == length:
                        found, end = True, candidate
                        break
            if found and end is not None:
                self._strings.append(_String(header.span("length"), start, end, decode))
                enclosing.append(end)
            else:
                end = ends[index] if index < len(ends) else start + 1
                # Strings with other quotes may overlap; then the later one ends with the longer one.
                self._broken.append((start, max(end, self._broken[-1][1] if self._broken else 0)))


class _ByteOffsets:
    """Converts between characters and bytes of a text in UTF-8."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._chunks: list[int] = []
        if not text.isascii():
            sizes = (_size(text[start : start + _CHUNK]) for start in range(0, len(text), _CHUNK))
            self._chunks = [0, *accumulate(sizes)]

    def after(self, start: int, size: int) -> int | None:
        """Return the index ``size`` bytes after the character at ``start``; None if none begins there."""
        if not self._chunks:
            return start + size if start + size <= len(self._text) else None
        chunk = start // _CHUNK
        byte = self._chunks[chunk] + _size(self._text[chunk * _CHUNK : start]) + size
        chunk = bisect_right(self._chunks, byte) - 1
        if chunk == len(self._chunks) - 1:
            return len(self._text) if byte == self._chunks[chunk] else None
        content = self._text[chunk * _CHUNK : (chunk + 1) * _CHUNK]
        head = content.encode("utf-8", "surrogatepass")[: byte - self._chunks[chunk]]
        try:
            return chunk * _CHUNK + len(head.decode("utf-8", "surrogatepass"))
        except UnicodeDecodeError:
            return None


def _decoding(quote: str) -> Callable[[str], str] | None:
    """Return how a string with such quotes is decoded; None for one that is not escaped."""
    if quote == '"':
        return None
    if quote.startswith("&"):
        return decode_entities
    if quote.startswith("\\\\"):
        return lambda text: _unescaped(_unescaped(text))
    return _unescaped


def _unescaped(text: str) -> str:
    """Return a string without one round of backslashes, as long as PHP reads it."""
    return _ESCAPED.sub(lambda match: decode_backslashes(match["units"] or "") or match["letter"], text)


def _size(text: str) -> int:
    """Return the number of bytes of a text in UTF-8."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
