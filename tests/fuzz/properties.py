"""Runs the properties of a part with hypothesis, and counts what their inputs led to."""

from __future__ import annotations

import dataclasses
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import hypothesis
from hypothesis import HealthCheck

from airflow_provider_123pan.exceptions import Pan123Error

T = TypeVar("T")

_outcomes: Counter[str] = Counter()


def run_properties(properties: Sequence[Callable[[], None]], examples: int, seed: int) -> str:
    """Check each property, and return a line of figures.

    :param properties: functions that hypothesis decorated with ``given``; each runs once per process.
    :param examples: how many inputs to make per property, besides its explicit examples.
    :raises AssertionError: has the tracebacks of all properties that failed, with their smallest inputs.
    """
    _outcomes.clear()
    settings = hypothesis.settings(
        max_examples=examples,
        database=None,
        deadline=None,
        print_blob=False,
        suppress_health_check=list(HealthCheck),
    )
    # A server of an earlier test in this process may use `random` while hypothesis makes an input.
    warnings.filterwarnings("ignore", "Do not use the `random` module inside strategies")
    failures = []
    for check in properties:
        try:
            hypothesis.seed(seed)(settings(check))()
        except Exception:
            failures.append(traceback.format_exc())
    if failures:
        raise AssertionError("\n".join(failures))
    counts = ", ".join(f"{number} {name}" for name, number in _outcomes.most_common())
    return f"{_outcomes.total()} inputs of {len(properties)} properties: {counts}"


def value_or_error(call: Callable[[], T], declared: Any, errors: type[Exception] = Pan123Error) -> T | None:
    """Return the value of a call, which must be of the declared type, or None after one of the allowed errors."""
    try:
        value = call()
    except errors as error:
        _outcomes[type(error).__name__] += 1
        return None
    assert has_type(value, declared), f"{value!r:.300} is no {declared}"
    _outcomes[type(value).__name__] += 1
    return value


def has_type(value: Any, declared: Any) -> bool:
    """Return whether a value has the declared type, and each of its fields and items the type declared for it."""
    origin, arguments = get_origin(declared), get_args(declared)
    if origin in (Union, UnionType):
        return any(has_type(value, argument) for argument in arguments)
    if origin is tuple:
        return isinstance(value, tuple) and all(has_type(item, arguments[0]) for item in value)
    if declared is float:
        return isinstance(value, (int, float))
    if not isinstance(value, origin or declared):
        return False
    if not dataclasses.is_dataclass(value):
        return True
    types = get_type_hints(type(value))
    return all(has_type(getattr(value, field.name), types[field.name]) for field in dataclasses.fields(value))
