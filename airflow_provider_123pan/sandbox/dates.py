"""Dates in answers: the documents name no time zone and show one form, so options choose between plausible ones."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Literal

DateForm = Literal["beijing", "utc", "unix", "slashes", "empty"]
ExpiryForm = Literal["beijing", "utc", "no-offset", "unix", "unreadable"]

_BEIJING = timezone(timedelta(hours=8))
_FORMAT = "%Y-%m-%d %H:%M:%S"


def beijing(seconds: float) -> datetime:
    """Return a Unix time as a date in Beijing time."""
    return datetime.fromtimestamp(seconds, _BEIJING)


def image_date(seconds: float, form: DateForm) -> str | int:
    """Return the `createAt` or `updateAt` of an image.

    :param seconds: The time in Unix seconds.
    :param form: `beijing` is assumed to be the service's own.
    """
    if form == "unix":
        return int(seconds)
    if form == "empty":
        return ""
    if form == "utc":
        return datetime.fromtimestamp(seconds, timezone.utc).strftime(_FORMAT)
    text = beijing(seconds).strftime(_FORMAT)
    return text.replace("-", "/") if form == "slashes" else text


def expiry(seconds: int, form: ExpiryForm) -> str | int:
    """Return the `expiredAt` of a login.

    :param seconds: The time in Unix seconds.
    :param form: `beijing` is RFC 3339 with the offset +08:00 (official).
    """
    if form == "unix":
        return seconds
    if form == "unreadable":
        return "in a while"
    if form == "utc":
        return datetime.fromtimestamp(seconds, timezone.utc).isoformat()
    date = beijing(seconds)
    return (date.replace(tzinfo=None) if form == "no-offset" else date).isoformat()
