"""The directories that a sync fills, and what a trigger is given of them."""

from __future__ import annotations

import json
import time
from typing import Any

from airflow_provider_123pan.source.naming import Naming
from airflow_provider_123pan.sync.in_flight import Watched
from airflow_provider_123pan.sync.inventory import Inventory
from airflow_provider_123pan.sync.manifest import read_images
from airflow_provider_123pan.sync.submitter import MAX_IN_FLIGHT
from airflow_provider_123pan.sync.target import Target
from airflow_provider_123pan.triggers.sync_images import Pan123SyncImagesTrigger

MYSQL_TEXT = 65_535  # bytes of a TEXT column, which holds a trigger's arguments


def in_folders(count: int, name: str) -> tuple[Inventory, Target]:
    """Return a list of images that are all in directories of their own, and its directories."""
    inventory = Inventory(Naming(keep_tree=True))
    inventory.load(read_images([f"https://example.com/{name}{number}/a.png" for number in range(count)]))
    ids = {
        folder: f"yk6baz03t0l000d7w33fbyq51l4izkn{number:05}=="
        for number, folder in enumerate(inventory.folders())
    }
    hook: Any = None
    return inventory, Target(hook, inventory, "the-target", ids, ())


def test_a_trigger_that_watches_many_directories_fits_into_the_databases_of_airflow() -> None:
    inventory, target = in_folders(MAX_IN_FLIGHT, "图片")
    active = {inventory.key(number): list(Watched(2**64 - 1, 1, False)) for number in range(MAX_IN_FLIGHT)}
    trigger = Pan123SyncImagesTrigger(
        pan123_conn_id="c" * 250,
        active=active,
        seed="a" * 32,
        since="2026-11-26T12:00:00.123456+00:00",
        want=MAX_IN_FLIGHT,
        until=time.time(),
        **target.watched(range(MAX_IN_FLIGHT)),
    )
    assert trigger.folders
    assert len(json.dumps(trigger.serialize()[1])) <= MYSQL_TEXT


def test_a_trigger_watches_all_of_a_few_directories() -> None:
    _, target = in_folders(100, "photos")
    assert target.watched(range(100))["folders"] == {at: path for path, at in target.folders.items()}
    assert len(target.watched(range(7))["folders"]) == 7
