"""What comes from outside: texts, numbers and JSON, plain and at their limits."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

DEEP_JSON = "[" * 5000 + "]" * 5000
LONG_NUMBER = "7" * 5000

ODD_TEXTS = (
    "",
    " ",
    "0",
    "-1",
    "²",
    "٣",
    "1e999",
    "nan",
    "true",
    "null",
    "\x00",
    "\x1b[0m",
    "\ud800",
    "图床",
    "9999-12-31T23:59:59-12:00",
    "0001-01-01T00:00:00+14:00",
    "2026-02-30T00:00:00Z",
    "2026/01/02 03:04:05",
    LONG_NUMBER,
    "http://[::1",
    "https://user:password@example.com:99999/a.jpg?X-Amz-Signature=1#x",
)
ODD_NUMBERS = (0, 1, 2, 3, -1, 100, 101, 2**31, 2**53 + 1, 2**63, 10**400, 1e308, 0.5, 1e11, 1e12, 2.5e11)

texts: SearchStrategy[str] = st.sampled_from(ODD_TEXTS) | st.text(max_size=30)
numbers: SearchStrategy[float] = st.sampled_from(ODD_NUMBERS) | st.integers() | st.floats()
scalars: SearchStrategy[Any] = st.none() | st.booleans() | numbers | texts
any_json: SearchStrategy[Any] = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


def records(keys: Iterable[str], values: SearchStrategy[Any] = any_json) -> SearchStrategy[dict[str, Any]]:
    """Return dicts with some of these keys, and now and then others."""
    return st.dictionaries(st.sampled_from(sorted(keys)) | texts, values, max_size=12)


def changed(sample: dict[str, Any]) -> SearchStrategy[dict[str, Any]]:
    """Return copies of a valid dict: as it is, with values replaced, or without one of them."""
    keys = st.sampled_from(sorted(sample))
    return (
        st.just(sample)
        | st.builds(lambda key, value: {**sample, key: value}, keys, scalars)
        | st.dictionaries(keys, any_json, max_size=3).map(lambda changes: {**sample, **changes})
        | keys.map(lambda removed: {key: value for key, value in sample.items() if key != removed})
    )


def dumped(values: SearchStrategy[Any]) -> SearchStrategy[str]:
    """Return JSON of these values, now and then cut, and texts that are no JSON or barely so."""
    whole = values.map(json.dumps)
    cut = st.builds(lambda text, end: text[:end], whole, st.integers(0, 60))
    return st.sampled_from([DEEP_JSON, LONG_NUMBER, '{"a":' * 3000]) | whole | cut | texts


def encoded(text: str) -> bytes:
    """Return a text as UTF-8, with half a surrogate pair as it is."""
    return text.encode("utf-8", "surrogatepass")
