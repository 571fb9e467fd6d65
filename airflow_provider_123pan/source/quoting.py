"""Quotes input in messages."""

from __future__ import annotations

from typing import Any

_MAX_SHOWN_LENGTH = 50
_MAX_SHOWN_NUMBER = 10**20


def quoted(value: Any) -> str:
    """Return input for a message: at most 50 characters, and no URL, whose signature or password is a secret."""
    if isinstance(value, str):
        return "a URL" if "://" in value else f"{value!r:.{_MAX_SHOWN_LENGTH}}"
    if (
        value is None
        or isinstance(value, float)
        or (isinstance(value, int) and abs(value) < _MAX_SHOWN_NUMBER)
    ):
        return repr(value)
    return f"a {type(value).__name__}"
