"""Lists as a sync loads them."""

from __future__ import annotations

from typing import Any, NamedTuple

from airflow_provider_123pan.sync.image_state import ImageState
from airflow_provider_123pan.sync.inventory import Inventory


class Loaded(NamedTuple):
    """What a list has: URL, name, size and MD5 of each image, and the reasons of the invalid entries."""

    images: list[tuple[str, str, int | None, str | None]]
    reasons: list[str | None]

    @property
    def names(self) -> list[tuple[str, str]]:
        return [image[:2] for image in self.images]


def load(rows: Any) -> Loaded:
    inventory = Inventory()
    try:
        inventory.load(rows)
        failed = [record.reason for record in inventory.records()]
        valid = [number for number in range(len(inventory)) if inventory.state(number) is ImageState.MISSING]
        entries = map(inventory.entry, valid)
        images = [(entry.url, entry.file_name, entry.size, entry.md5) for entry in entries]
        return Loaded(images, failed)
    finally:
        inventory.close()


def parquet(rows: list[dict[str, Any]]) -> bytes:
    import pyarrow
    from pyarrow import parquet as file_format

    sink = pyarrow.BufferOutputStream()
    file_format.write_table(pyarrow.Table.from_pylist(rows), sink)
    content: bytes = sink.getvalue().to_pybytes()
    return content
