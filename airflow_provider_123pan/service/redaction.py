"""Redacts URLs, in logs, errors and reports."""

from __future__ import annotations

import re
from html import escape
from urllib.parse import unquote, unquote_plus, urlsplit, urlunsplit

_MAX_SHOWN_LENGTH = 4  # of a query value in logs
_QUOTED_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,9}://[^\s\"'<>]+")
_NOT_ASCII = re.compile(r"[^\x00-\x7f]")


def redact_url(url: str) -> str:
    """Return a URL for logs: no user and password, no fragment, and ``***`` for each query value that may be a secret.

    A value of up to four characters is shown: it is a version or a width, not a secret. What is not a URL is not shown.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return "***"
    pairs = [pair.partition("=") for pair in parts.query.split("&") if pair]
    shown = [f"{name}{equals}{'***' if _is_secret(value) else value}" for name, equals, value in pairs]
    netloc = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=netloc, query="&".join(shown), fragment=""))


def redact_text(text: str, url: str) -> str:
    """Redact a URL in a message that quotes it, wholly or in part, as it is or escaped for HTML.

    :param text: the message; redact it before cutting it.
    """
    text = text.replace(url, redact_url(url)).replace(escape(url), escape(redact_url(url)))
    try:
        parts = urlsplit(url)
    except ValueError:  # it is not a URL, so it has no parts that could be quoted
        return text
    login = parts.netloc.rpartition("@")[0]
    values = {login, *login.split(":"), *(pair.partition("=")[2] for pair in parts.query.split("&"))}
    spellings = {spell(value) for value in values for spell in (str, unquote, unquote_plus, escape)}
    for secret in sorted(filter(_is_secret, spellings), key=len, reverse=True):
        text = text.replace(secret, "***")
    return text


def redact_quoted_urls(text: str) -> str:
    """Redact every URL in a message, each up to the next white space, quotation mark, or Chinese text after it.

    :param text: the message; redact it before cutting it.
    """
    return _QUOTED_URL.sub(_redact_quoted, text)


def _redact_quoted(quoted: re.Match[str]) -> str:
    """Redact a URL that prose may follow without a space: text that is not ASCII, after the last parameter."""
    url = quoted[0]
    prose = _NOT_ASCII.search(url, max(url.rfind("="), url.rfind("&")) + 1)
    end = prose.start() if prose else len(url)
    return redact_url(url[:end]) + url[end:]


def _is_secret(value: str) -> bool:
    return len(value) > _MAX_SHOWN_LENGTH
