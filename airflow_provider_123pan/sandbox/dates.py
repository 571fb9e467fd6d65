"""Dates as the service writes them."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

_BEIJING = timezone(timedelta(hours=8))


def beijing(seconds: float) -> datetime:
    """Return a Unix time as a date in Beijing time."""
    return datetime.fromtimestamp(seconds, _BEIJING)
