"""Reads the fields of the service's records; a missing or wrong one is a ValueError that names it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# The service's numbers have at most 64 bits.
_MAX_NUMBER, _MAX_DIGITS = 2**64 - 1, 20


def mapping_of(data: Any) -> Mapping[str, Any]:
    """Return a record's data as an object."""
    if not isinstance(data, Mapping):
        raise ValueError(f"data is {shown(data)}, not an object")
    return data


def text_of(data: Any, key: str) -> str:
    """Return a field that is a string, and not empty."""
    value = mapping_of(data).get(key)
    if not isinstance(value, str) or not value:
        raise ValueError(f"{key} is {shown(value)}, not a string")
    return value


def whole_of(data: Any, key: str) -> int:
    """Return a field that is a whole number."""
    value = mapping_of(data).get(key)
    if (number := whole_number(value)) is None:
        raise ValueError(f"{key} is {shown(value)}, not a whole number")
    return number


def flag_of(data: Any, key: str) -> bool:
    """Return a field that is true or false."""
    value = mapping_of(data).get(key)
    if not isinstance(value, bool):
        raise ValueError(f"{key} is {shown(value)}, not true or false")
    return value


def id_of(data: Mapping[str, Any], key: str) -> str:
    """Return an id as a string; some samples of the documentation show numbers (official)."""
    value = data.get(key)
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise ValueError(f"{key} is {shown(value)}, not an id")
    return str(value)


def optional_text(value: Any) -> str | None:
    """Return a string that is not empty, or None."""
    return value if isinstance(value, str) and value else None


def whole_number(value: Any) -> int | None:
    """Return a whole number of at most 64 bits that may be spelled as a string or a float, or None."""
    if isinstance(value, str) and value.isdecimal():
        return int(value) if len(value) <= _MAX_DIGITS else None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if abs(value) <= _MAX_NUMBER else None


def shown(value: Any) -> str:
    """Describe a wrong value, without the content of a string, which may be a secret."""
    number = isinstance(value, float) or (isinstance(value, int) and abs(value) <= _MAX_NUMBER)
    return repr(value) if value is None or number else type(value).__name__
