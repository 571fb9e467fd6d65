"""A few inputs for each property of tests/fuzz, and all of its explicit examples; ``make fuzz`` makes thousands."""

from __future__ import annotations

import importlib

import pytest


@pytest.mark.parametrize(
    "part", ["deliveries", "events", "manifests", "protocol", "states", "submissions", "variables"]
)
def test_a_few_inputs_are_values_or_errors(part: str) -> None:
    assert importlib.import_module(f"tests.fuzz.{part}").fuzz(examples=20, seed=0)
