"""What earlier workers of a deferred sync stored, among the images of the last one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from airflow_provider_123pan.sync.image_state import ImageState
from airflow_provider_123pan.sync.inventory import Inventory
from airflow_provider_123pan.sync.manifest import read_images
from airflow_provider_123pan.sync.result_record import ResultRecord
from airflow_provider_123pan.sync.results import Results, read_results
from tests.support import image

SIGNED = "https://a.com/{0}.png?X-Amz-Date={1}&X-Amz-Signature={1}5ec5ec"
URL = "https://a.com/cat.png"


class Worker:
    """A worker of a sync that defers, with its inventory and its results."""

    def __init__(self, images: Any, path: Path, before: Worker | None = None) -> None:
        self.inventory = Inventory()
        self.inventory.load(read_images(images))
        parts = before.results.parts if before else 0
        self.results: Results = Results(str(path), "owner", parts)
        assert not before or self.inventory.restore(before.inventory.dump())

    def store(self, number: int, **more: Any) -> None:
        stored = image(file_id=str(number), name=f"{number}.png", etag=f"{number}" * 32)
        self.inventory.record(number, ImageState.MIGRATED, stored, **more)

    def defer(self) -> None:
        self.results.spill(self.inventory.numbered_records())

    def end(self) -> None:
        self.inventory.recall(self.results.earlier())
        self.results.write(self.inventory.records(), recalled=True)


def records(path: Path) -> list[ResultRecord]:
    return [*read_results(str(path))]


def test_an_image_with_two_names_keeps_the_record_of_each(tmp_path: Path) -> None:
    path, names = tmp_path / "results.jsonl", ["0.png", "1.png", "2.png"]
    images = [{"url": URL, "file_name": name} for name in names]
    first = Worker(images, path)
    first.inventory.record(0, ImageState.FAILED, reason="source answered 503")
    first.store(1)
    first.store(2)
    first.defer()
    second = Worker(images, path, first)
    second.end()
    found = [(record.file_name, record.status, record.fileID) for record in records(path)]
    assert found == [("0.png", "failed", None), ("1.png", "migrated", "1"), ("2.png", "migrated", "2")]


def test_images_whose_urls_are_signed_again_stay_in_the_results(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    old, new = ([SIGNED.format(number, time) for number in range(3)] for time in (1, 2))
    first = Worker(old, path)
    first.store(0)
    first.store(1)
    first.defer()
    second = Worker(new, path, first)
    second.store(2)
    second.end()
    assert [(record.url, record.fileID) for record in records(path)] == [*zip(new, "012", strict=True)]


def test_a_task_id_of_64_bits_is_recalled(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    first = Worker([URL], path)
    first.store(0, taskID=2**64 - 1)
    first.defer()
    Worker([URL], path, first).end()
    assert [record.taskID for record in records(path)] == [2**64 - 1]


def test_records_of_a_part_without_numbers_stay_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    first = Worker([URL], path)
    first.store(0)
    first.results.spill((None, record) for record in first.inventory.records())
    Worker([URL], path, first).end()
    assert [record.fileID for record in records(path)] == ["0"]
