"""What a retry of a sync that overwrites takes for its own earlier work."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_123pan.service.models import Image
from airflow_provider_123pan.source.naming import Naming
from airflow_provider_123pan.sync.comparison import Comparison
from airflow_provider_123pan.sync.image_state import ImageState
from airflow_provider_123pan.sync.in_flight import InFlight
from airflow_provider_123pan.sync.inventory import Inventory
from airflow_provider_123pan.sync.raw_entries import RawEntry
from airflow_provider_123pan.sync.timing import SyncTiming

BEGAN = 1_780_000_000.0


@pytest.mark.parametrize(
    ("created", "changed", "expected"),
    [
        pytest.param(60, 60, ImageState.MIGRATED, id="created since"),
        pytest.param(-900, 60, ImageState.MISSING, id="perhaps only downloaded since"),
        pytest.param(None, 60, ImageState.MIGRATED, id="dated by its last change alone"),
        pytest.param(-900, -900, ImageState.MISSING, id="older"),
    ],
)
def test_only_an_image_created_since_the_first_try_is_its_work(
    created: float | None, changed: float, expected: ImageState
) -> None:
    inventory = Inventory(Naming())
    inventory.load([RawEntry("1", {"url": "https://example.com/a.jpg", "file_name": "a.jpg"})])
    contents: Any = SimpleNamespace(with_md5=lambda etag: [])
    comparison = Comparison(inventory, InFlight("seed", BEGAN), contents, SyncTiming(), overwrite=True)
    record = {"fileId": "f", "filename": "a.jpg", "updateAt": BEGAN + changed}
    if created is not None:
        record["createAt"] = BEGAN + created
    comparison.compare(Image.parse(record))
    assert inventory.state(0) is expected
