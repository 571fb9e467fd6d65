"""How URLs are spelled in pages: HTML's entities, escapes of JSON, JavaScript and Markdown, zero-width characters."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from urllib.parse import quote

_MAX_ROUNDS = 4  # of escapes within escapes, such as HTML in JSON in an attribute

_ENTITY = re.compile(r"&(?:[A-Za-z][A-Za-z0-9]{1,31}|#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6});")
_BACKSLASH = re.compile(
    r"(?P<units>(?:\\u[0-9A-Fa-f]{4})+)|\\x(?P<byte>[0-9A-Fa-f]{2})|\\(?P<plain>[!-/:-@\[-`{-~])"
)
#: Invisible characters, in a character class: editors and chats leave them around a pasted URL.
ZERO_WIDTH = "\u00ad\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff"
_ZERO_WIDTH = re.compile(f"[{ZERO_WIDTH}]")

_AMPERSAND = re.compile(r"&(?:amp;)+|&#0*38;|&#[xX]0*26;|\\+(?:u0026|x26)")
_ESCAPED_SLASH = re.compile(r"(?:https?\\*:)?(\\+)/", re.IGNORECASE)
# A new URL: its host, which is inserted as it is, and the rest.
_NEW_URL = re.compile(r"(https?://[\w.:@%\[\]-]+)((?:[/?#].*)?)", re.IGNORECASE)
# Characters that would end the new URL in its place, or begin a template's mark such as "{{" or "{%".
_BREAKING = re.compile(r"""[\s<>"'()`\\{}\[\]|^]""")


def decodings(spelled: str) -> Iterator[str]:
    """Yield what a spelling may stand for: itself, and then what is left after each round of decoding."""
    yield spelled
    for _ in range(_MAX_ROUNDS):
        decoded = decode_backslashes(decode_entities(spelled))
        if decoded == spelled:
            break
        yield (spelled := decoded)
    if not spelled.isascii() and (visible := _ZERO_WIDTH.sub("", spelled)) != spelled:
        yield visible


def decode_entities(text: str) -> str:
    """Decode HTML's entities once; without its semicolon, ``&copy`` is part of a query."""
    return _ENTITY.sub(lambda match: unescape(match[0]), text) if "&" in text else text


def decode_backslashes(text: str) -> str:
    """Decode once what JSON, JavaScript and Markdown escape with a backslash."""
    return _BACKSLASH.sub(_plain, text) if "\\" in text else text


def _plain(match: re.Match[str]) -> str:
    if units := match["units"]:
        return bytes.fromhex(units.replace("\\u", "")).decode("utf-16-be", "surrogatepass")
    return chr(int(match["byte"], 16)) if match["byte"] else match["plain"]


def insertable(url: str) -> str | None:
    """Return a new URL without characters that would end it or begin a template's mark; None if it is not http(s)."""
    if not (parts := _NEW_URL.fullmatch(url)) or not url.isprintable():
        return None
    return parts[1] + _BREAKING.sub(lambda match: quote(match[0]), parts[2])


def spelled_like(new: str, old: str, ampersand: str) -> str:
    r"""Return a new URL with the escapes of the spelling that it replaces.

    :param old: a spelling such as ``https:\/\/example.com\/a?b=1\u0026c=2``.
    :param ampersand: how the place spells an ampersand if the old URL has none that is escaped.
    """
    if "&" in new:
        escaped = _AMPERSAND.search(old)
        new = new.replace("&", escaped[0] if escaped else "&" if "&" in old else ampersand)
    if slash := _ESCAPED_SLASH.match(old):
        new = new.replace("/", f"{slash[1]}/")
    return new
