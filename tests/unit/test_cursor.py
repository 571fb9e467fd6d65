"""The cursor of a watch: what it remembers, and what of that is stored."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_123pan.arrivals import cursor
from airflow_provider_123pan.arrivals.cursor import Cursor, key_of
from airflow_provider_123pan.arrivals.cursor_store import cursor_name
from airflow_provider_123pan.arrivals.watch import ArrivalTiming, CursorKeeper
from tests.support import image

KEYS = [number.to_bytes(8, "big") for number in range(10)]


def listing(watched: Cursor, *keys: bytes) -> list[bytes]:
    """List images, and return those that are new."""
    watched.begin_listing()
    found = [key for key in keys if not watched.knows(key)]
    for key in found:
        watched.add(key)
    return found


def test_an_image_is_new_once_and_again_with_other_bytes() -> None:
    watched, known = Cursor(0), image(etag="a" * 32)
    assert listing(watched, key_of(known)) == [key_of(known)]
    assert listing(watched, key_of(image(etag="a" * 32, age=5))) == []
    assert len(listing(watched, key_of(image(etag="b" * 32)))) == 1


def test_what_a_complete_listing_did_not_show_is_forgotten() -> None:
    watched = Cursor(0)
    listing(watched, *KEYS[:3])
    listing(watched, KEYS[2])
    assert listing(watched, *KEYS[:3]) == KEYS[:2]


def test_an_incomplete_listing_forgets_nothing() -> None:
    watched = Cursor(0)
    listing(watched, *KEYS[:3])
    for _ in range(3):
        listing(watched, KEYS[3])
        watched.abandon_listing()
    assert listing(watched, *KEYS[:4]) == []


def test_memory_and_storage_are_bounded_and_keep_the_newest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cursor, "MAX_SEEN", 4)
    monkeypatch.setattr(cursor, "MAX_STORED", 2)
    watched = Cursor(0)
    listing(watched, *KEYS)
    stored = Cursor.load(json.loads(json.dumps(watched.dump())))
    assert listing(watched, *KEYS) == KEYS[4:]
    assert listing(stored, *KEYS[:4]) == KEYS[2:4]


def test_a_full_cursor_fits_into_the_state_store() -> None:
    keys = (number.to_bytes(8, "big") for number in range(cursor.MAX_SEEN))
    assert len(json.dumps(Cursor(1_800_000_000, keys).dump())) < 65_535


@pytest.mark.parametrize(
    "stored",
    [
        *(None, [], "x", 7, {}, {"since": "1", "seen": ""}, {"since": True, "seen": ""}),
        *({"since": 1, "seen": None}, {"since": 1, "seen": "!"}, {"since": 1, "seen": "AAAA"}),
        {"since": 1, "seen": "é"},
    ],
)
def test_what_is_no_cursor_is_refused(stored: Any) -> None:
    with pytest.raises(ValueError, match="."):
        Cursor.load(stored)


def test_a_cursor_belongs_to_what_is_watched() -> None:
    names = {cursor_name(*watched) for watched in (("a", None, None), ("a", "b", None), ("a", None, "b"))}
    assert len(names) == 3


class Store:
    """Records what a keeper does."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.fails = False

    async def load(self) -> Any:
        self.done.append("load")
        if self.fails:
            raise OSError("out of order")

    async def save(self, stored: dict[str, Any]) -> None:
        self.done.append(stored["seen"])


async def test_a_cursor_is_kept_after_two_answers_that_follow_its_events() -> None:
    store, watched = Store(), Cursor(0)
    keeper = CursorKeeper(store, ArrivalTiming(stored_within=0.0, retry=(0.0, 0.0)))  # type: ignore[arg-type]
    assert await keeper.keep(watched) == float("inf")
    listing(watched, KEYS[1])
    keeper.changed = True
    await keeper.keep(watched)
    listing(watched, *KEYS[1:3])
    keeper.changed = True
    store.fails = True
    await keeper.keep(watched)
    store.fails = False
    await keeper.keep(watched)
    first = Cursor(0, [KEYS[1]]).dump()["seen"]
    assert await keeper.keep(watched) < float("inf")
    assert store.done == ["load", "load", "load", first]
    await keeper.keep(watched)
    assert await keeper.keep(watched) == float("inf")
    assert store.done[4:] == ["load", "load", Cursor(0, KEYS[1:3]).dump()["seen"]]
