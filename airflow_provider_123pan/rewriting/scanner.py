"""Finds URLs in text of any format, by the delimiters around them.

One regular expression finds where a URL may begin; what precedes it decides which delimiter ends it. A place is read
once, whatever the URLs on it are, so the running time depends on the length of the text only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from airflow_provider_123pan.rewriting.escapes import ZERO_WIDTH

MAX_SPELLED_LENGTH = 49152  # a URL of 8,192 characters, each of them escaped

_MAX_OPENER = 64  # characters before a URL that decide what it is
_MAX_BLANKS = 1024  # characters after the first blank of a URL

_COLON = r"(?:\\{0,4}:|\\{1,4}(?:u003[aA]|x3[aA])|&(?:\#0{0,5}58|\#[xX]0{0,5}3[aA]|colon);)"
_SLASH = r"(?:\\{0,4}/|\\{1,4}(?:u002[fF]|x2[fF])|&(?:\#0{0,5}47|\#[xX]0{0,5}2[fF]|sol);)"
_HTTP = f"[hH][tT][tT][pP][sS]?{_COLON}{_SLASH}{_SLASH}"
_LABEL = r"[0-9A-Za-z_\u0080-\U0010ffff-]{1,63}"
_HOST = rf"(?={_LABEL}(?:\.{_LABEL}){{1,10}}[:/?\\&])"
# Where a URL may begin. The first character class lets the search skip everything else at the speed of C.
_BEGIN = re.compile(
    r"[hH/\\&](?:"
    rf"(?<=[hH])[tT][tT][pP][sS]?{_COLON}{_SLASH}{_SLASH}"
    rf"|(?<=/){_SLASH}{_HOST}"
    rf"|(?<=\\)(?:\\{{0,3}}/|\\{{0,3}}(?:u002[fF]|x2[fF])){_SLASH}{_HOST}"
    rf"|(?<=&)(?:\#0{{0,5}}47|\#[xX]0{{0,5}}2[fF]|sol);{_SLASH}{_HOST})"
)

# Opening delimiters whose closing one is a different character.
_CLOSERS = {"(": ")", "<": ">", "[": "]", "{": "}"}
_NEVER_AROUND_BLANKS = frozenset({"", "|", "`", "{"})
_TITLE = re.compile(r"""\s+(?:["'(]|=\d)""")
_ESCAPED_QUOTE = re.compile(
    r"(?:&(?:amp;){0,3}(?:quot|apos|#0?39|#34|#[xX]2[27]);|\\{1,8}(?:u002[27]|x2[27]))\Z"
)
# Escapes that end in a letter, after which a URL may begin.
_ESCAPE = re.compile(r"\\(?:[nrt]|u00(?:3[CEce]|0[aA]|0[dD])|x(?:3[CEce]))\Z")
_MACRO = re.compile(r"(?:image|link|video|include)::?\Z")
_NAME = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_:.@-"
_LETTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
_OF_ANOTHER_URL = frozenset("/?&=#@%+") | _LETTERS

# Quotes, mark-up, line ends and zero-width spaces in escaped form.
_ENTITIES = (
    r"&(?:amp;){0,3}(?:quot|lt|gt|nbsp|ZeroWidthSpace"
    r"|\#0{0,5}(?:34|60|62|160|8203)|\#[xX]0{0,5}(?:22|3[cCeE]|[aA]0|200[bB]));"
)
_ESCAPED_END = r"\\{1,8}(?:[nrt]|u00(?:22|3[cCeE]|0[aA]|0[dD])|x(?:22|3[cCeE]))"
# Punctuation that may follow a URL in a sentence. Chinese text continues without a space.
_WIDE = "，。、；：！？）】》」』”’…"
_TRAILING = f".,;:!?'*_~}}|\\`{_WIDE}"
_CUT = re.compile(f"[{_WIDE}（【《「『“‘{ZERO_WIDTH}]")
_INVISIBLE_TAIL = re.compile(f"[{ZERO_WIDTH}]+\\Z")
_BRACKET_AFTER_FORMAT = re.compile(
    r"\.(?:png|jpe?g|gif|webp|svg|bmp|tiff?|avif|heic|ico)[\[(]", re.IGNORECASE
)


class Reference(NamedTuple):
    """A place in a text that refers to a URL.

    :ivar start: where its spelling begins.
    :ivar ends: where it may end, the longest spelling first.
    :ivar likely_end: where it ends if nothing is known about the URL.
    :ivar opener: the delimiter before it, or "".
    :ivar is_relative: whether it has no scheme (``//example.com/a.jpg``).
    """

    start: int
    ends: tuple[int, ...]
    likely_end: int
    opener: str
    is_relative: bool


def scan(text: str) -> Iterator[Reference]:
    """Yield every reference to an http(s) URL, in the order of the text; none overlaps another."""
    position = 0
    while found := _BEGIN.search(text, position):
        start = found.start()
        is_relative = text[start] not in "hH"
        if (opener := _opener(text, start, is_relative)) is None:
            position = found.end()
            continue
        end, closed, with_blanks = _end(text, found.end(), opener)
        position = max(end, found.end())
        ends, likely_end = _ends(text, start, found.end(), end, opener, closed)
        if with_blanks is not None and end > found.end() and not _BEGIN.search(text, end, with_blanks + 1):
            ends = _ends_with_blanks(text, start, with_blanks, opener) + ends
        first, last = found.end(), start + MAX_SPELLED_LENGTH
        if possible := [each for each in dict.fromkeys(ends) if first < each <= last]:
            likely_end = likely_end if likely_end in possible else possible[-1]
            yield Reference(start, tuple(possible), likely_end, opener, is_relative)


def _opener(text: str, start: int, is_relative: bool) -> str | None:
    """Return the delimiter before a URL, "" for none, or None if no URL begins here."""
    if start == 0:
        return ""
    before = text[start - 1]
    if before in "(<[{|`":
        return before
    if before in "\"'":
        quoted = text[max(0, start - 9) : start - 1]
        return text[start - 1 - (len(quoted) - len(quoted.rstrip("\\"))) : start]
    if before in ";27":
        if match := _ESCAPED_QUOTE.search(text, max(0, start - 24), start):
            return match[0]
        return None if is_relative else ""
    if before == "=":
        return "" if _is_attribute(text, start - 1) else None
    if before in _OF_ANOTHER_URL:
        escaped = before in _LETTERS and _ESCAPE.search(text, max(0, start - 6), start)
        return "" if escaped else None
    if not is_relative:
        return ""
    return "" if before in ",]>" or _begins_value(text, start) else None


def _is_attribute(text: str, equals: int) -> bool:
    """Return whether an equals sign follows the name of an attribute, not of a parameter of a URL."""
    head = text[max(0, equals - _MAX_OPENER) : equals]
    rest = head.rstrip(_NAME)
    if len(rest) == len(head):
        return False
    return rest[-1] in " \t\r\n\f\"'[{(<,|>`" if rest else equals <= _MAX_OPENER


def _begins_value(text: str, start: int) -> bool:
    """Return whether a URL without a scheme may begin here, where a comment of a program may as well."""
    head = text[max(0, start - _MAX_OPENER) : start]
    rest = head.rstrip()
    if len(rest) == len(head):
        return rest.endswith(("]:", "::"))
    return bool(rest) and ("\n" not in head[len(rest) :] or rest[-1] in ",(\"'=:<[")


def _end(text: str, start: int, opener: str) -> tuple[int, bool, int | None]:
    """Return the end of a URL, whether its closing delimiter follows, and its end if it contains blanks."""
    closer = _CLOSERS.get(opener, opener)
    depth, first_blank = 0, None
    for match in _delimiters(opener).finditer(text, start):
        kind, at = match.lastgroup, match.start(match.lastindex or 0)
        if first_blank is not None and at > first_blank + _MAX_BLANKS:
            break
        if kind == "open":
            depth += 1
        elif kind == "close" and depth:
            depth -= 1
        elif (kind == "blank" and opener not in _NEVER_AROUND_BLANKS) or (
            opener == "(" and text.startswith('"', at)
        ):
            first_blank = at if first_blank is None else first_blank
        elif kind in ("close", "closer") or (kind == "stop" and match[kind] == closer):
            return (at, True, None) if first_blank is None else (first_blank, False, at)
        elif kind in ("stop", "blank", "list"):
            return (at if first_blank is None else first_blank), False, None
        elif kind == "http" and first_blank is not None:
            break
        elif kind == "http" and (text[at - 1] in ",;|" or text[at - 1] >= "\u0080"):
            return at, False, None
    return (len(text) if first_blank is None else first_blank), False, None


def _ends_with_blanks(text: str, start: int, end: int, opener: str) -> list[int]:
    """Return where a URL with blanks may end: before the closing delimiter, a title, or a size."""
    run = text[start:end].rstrip()
    runs = [run]
    if opener == "(" and (title := _TITLE.search(run)):
        runs.append(run[: title.start()])
    if opener == "[" and "|" in run:
        runs.append(run[: run.index("|")])
    return [start + len(run) for run in runs]


@lru_cache(maxsize=64)
def _delimiters(opener: str) -> re.Pattern[str]:
    """Return a pattern of everything that may end a URL, and of the brackets that may occur in it in pairs.

    Each match begins where the last one ended, so that nothing is read twice.
    """
    opened, closed = {
        "": (r"(\[", r")\]"),
        "(": ("(", ")"),
        "[": (r"\[", r"\]"),
        "{": ("{", "}"),
    }.get(opener, ("", ""))
    kinds = [
        ("closer", re.escape(opener) if opener and opener not in _CLOSERS and opener != '"' else ""),
        ("blank", r"[ \u00a0\u3000]"),
        ("stop", rf"[\s<>\"\x00-\x1f\x7f]|{_ENTITIES}|{_ESCAPED_END}|\[/"),
        ("list", rf"(?<=[,;|]){_SLASH}{_SLASH}{_HOST}"),
        ("http", _HTTP),
        ("open", f"[{opened}]" if opened else ""),
        ("close", f"[{closed}]" if closed else ""),
    ]
    named = "|".join(f"(?P<{name}>{pattern})" for name, pattern in kinds if pattern)
    first = re.escape("".join(sorted({*'<>"&\\hH[/', *opener[:1], *opened, *closed} - {" "})))
    skipped = rf"\\[!#-;=?-@\[-`{{-~]|[{first}\s\x00-\x1f\x7f]"
    return re.compile(rf"[^{first}\s\x00-\x1f\x7f]*(?:{named}|(?P<skip>{skipped})|(?P<rest>\Z))")


def _ends(text: str, start: int, host: int, end: int, opener: str, closed: bool) -> tuple[list[int], int]:
    """Return where a URL may end, the longest first, and the likely one; between delimiters only at the closing one."""
    run = _INVISIBLE_TAIL.sub("", text[start:end])
    likely = run if closed else run.rstrip(_TRAILING)
    runs = [run]
    skipped = host - start
    before = text[max(0, start - 2) : start]
    if "|" in run and (before in ("[[", "{{") or before.endswith(("<", "!"))):
        runs.append(likely := run[: run.index("|")])
    if not closed:
        runs.append(run.rstrip(_TRAILING))
        if text[end : end + 1] == ">":
            runs.append(likely := run.rstrip("-="))
        if run.endswith("*/"):
            runs.append(likely := run[:-2])
        if opener in ("(", "[") and run.endswith(_CLOSERS[opener]):
            runs.append(run[:-1])
        if not run.isascii() and (cut := _CUT.search(run, skipped)):
            runs.append(run[: cut.start()].rstrip(_TRAILING))
        bracket = run.find("[", run.find("/", skipped) if run[skipped : skipped + 1] == "[" else skipped)
        if bracket > 0 and _MACRO.search(text, max(0, start - 10), start):
            runs.append(likely := run[:bracket])
        elif (cut := _BRACKET_AFTER_FORMAT.search(run, skipped)) and _is_last_bracket(run[cut.end() - 1 :]):
            runs.append(run[: cut.end() - 1])
    return sorted({start + len(each) for each in runs}, reverse=True), start + len(likely)


def _is_last_bracket(text: str) -> bool:
    """Return whether a bracket at the beginning of a text holds words about a URL, and is no part of its name."""
    closer = _CLOSERS[text[0]]
    return closer not in text or text.rstrip(_TRAILING).endswith(closer)
