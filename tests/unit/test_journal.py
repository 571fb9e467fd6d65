"""The journal of a sync: what a retry takes from it, and what it ignores."""

from __future__ import annotations

import hashlib
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_123pan.sync.in_flight import InFlight
from airflow_provider_123pan.sync.inventory import Inventory
from airflow_provider_123pan.sync.journal import STORE_KEY, Journal
from airflow_provider_123pan.sync.manifest import read_images

URL = "https://x.com/a.jpg"


def context(record: Any) -> Any:
    """Return the context of a task whose store holds this record."""
    return {"task_state_store": SimpleNamespace(get={STORE_KEY: record}.get)}


def journal(record: Any) -> Journal:
    return Journal.of("account", "photos", context(record))


@pytest.fixture
def record() -> dict[str, Any]:
    target = hashlib.sha256(b"account photos").hexdigest()
    image = ["digest", 0, 2**53 + 1, 1.8e9, 1.8e9, None, None]
    return {"target": target, "seed": "ab" * 16, "began_at": 1.8e9, "active": {"key": image}}


def test_a_record_of_this_target_is_continued(record: dict[str, Any]) -> None:
    assert journal(record).load() == record
    record["began_at"] = None
    record["active"] = {}
    assert journal(record).load() == record


def test_no_record_or_one_of_another_target_is_nothing(
    record: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    for other in (None, record | {"target": "another"}):
        assert journal(other).load() is None
    assert caplog.messages == []


@pytest.mark.parametrize("whole", [7, "text", [], {}, [[]], {"target": 7}])
def test_something_else_is_ignored_with_a_warning(whole: Any, caplog: pytest.LogCaptureFixture) -> None:
    assert journal(whole).load() is None
    assert "wrong shape" in caplog.text


ODD: dict[str, list[Any]] = {
    "seed": [None, 7],
    "began_at": ["soon", -1, 1e300, float("nan"), float("inf"), ""],
    "called_back": [None, "7", -1, True, 1.5],
    "active": [None, "text", {"key": None}, {"key": {}}, {"key": "1234567"}],
}


@pytest.mark.parametrize(("field", "odd"), [(field, odd) for field, values in ODD.items() for odd in values])
def test_a_field_of_a_wrong_shape_is_ignored_with_a_warning(
    record: dict[str, Any], field: str, odd: Any, caplog: pytest.LogCaptureFixture
) -> None:
    assert journal(record | {field: odd}).load() is None
    assert "wrong shape" in caplog.text


@pytest.mark.parametrize("place", range(7))
@pytest.mark.parametrize("odd", [{}, "x", -5, 1e300, float("nan"), [None]], ids=str)
def test_every_record_that_is_taken_can_be_loaded(record: dict[str, Any], place: int, odd: Any) -> None:
    """Whatever one field of an image holds, the record is ignored or its images load and give times."""
    inventory = Inventory()
    inventory.load(read_images([URL]))
    image = record["active"].pop("key")
    image[0] = inventory.canonical_digest(0)
    record["active"] = {inventory.key(0): image}
    assert len(InFlight.load(journal(record).load() or {}, inventory)) == 1
    image[place] = odd
    if taken := journal(record).load():
        InFlight.load(taken, inventory).oldest()
    inventory.close()


@pytest.mark.parametrize("count", [0, 6, 8])
def test_an_image_with_another_number_of_fields_is_ignored(record: dict[str, Any], count: int) -> None:
    record["active"]["key"] = ["digest", 0, 7, 1.8e9, 1.8e9, None, None, None][:count]
    assert journal(record).load() is None
