"""The placeholders that a sync has proven, whatever happens to the Variable that keeps them."""

from __future__ import annotations

import json

import pytest

from airflow_provider_123pan.sync import known_placeholders
from airflow_provider_123pan.sync.known_placeholders import KnownPlaceholders

MD5S = [str(number) * 32 for number in range(4)]


class MemoryVariables:
    """A Variable in memory.

    :ivar fails: the names of the methods that fail.
    """

    def __init__(self, *md5s: str) -> None:
        self.value = json.dumps(md5s)
        self.fails: set[str] = set()

    def get(self, name: str) -> str | None:
        if "get" in self.fails:
            raise RuntimeError("the database is away")
        return self.value

    def set(self, name: str, value: str, description: str) -> None:
        if "set" in self.fails:
            raise RuntimeError("the database is away")
        self.value = value


def test_the_oldest_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_placeholders, "MAX_PLACEHOLDERS", 2)
    variables = MemoryVariables(*MD5S[:2])
    KnownPlaceholders("account", variables).add(MD5S[0])
    KnownPlaceholders("account", variables).add(MD5S[2])
    assert KnownPlaceholders("account", variables).load() == [MD5S[0], MD5S[2]]


@pytest.mark.parametrize("fails", ["get", "set"])
def test_a_sync_knows_what_it_has_proven_without_the_variable(fails: str) -> None:
    variables = MemoryVariables(MD5S[0])
    variables.fails = {fails}
    known = KnownPlaceholders("account", variables)
    known.add(MD5S[1])
    assert MD5S[1] in known.load()


def test_a_variable_that_cannot_be_read_keeps_what_it_has() -> None:
    variables = MemoryVariables(*MD5S[:3])
    variables.fails = {"get"}
    KnownPlaceholders("account", variables).add(MD5S[3])
    variables.fails.clear()
    assert KnownPlaceholders("account", variables).load() == MD5S[:3]


@pytest.mark.parametrize("value", ["", "{", "{}", "[1]", "[" * 100_000])
def test_a_variable_of_a_wrong_shape_is_replaced(value: str) -> None:
    variables = MemoryVariables()
    variables.value = value
    known = KnownPlaceholders("account", variables)
    assert known.load() == []
    known.add(MD5S[0])
    assert json.loads(variables.value) == [MD5S[0]]
