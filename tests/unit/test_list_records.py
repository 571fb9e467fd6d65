"""A record for each source URL of a list, and one for each invalid entry; all of them survive a deferral once."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_123pan.exceptions import Pan123InputError
from airflow_provider_123pan.rewriting import new_addresses, rewrite
from airflow_provider_123pan.sync.image_state import ImageState
from airflow_provider_123pan.sync.inventory import Inventory
from airflow_provider_123pan.sync.manifest import read_images, read_manifest
from airflow_provider_123pan.sync.results import Results, read_results
from tests.support import image

SIGNED = "https://a.com/i.png?X-Amz-Date={0}&X-Amz-Signature={0}5ec5ec"
FIRST, SECOND, THIRD = (SIGNED.format(number) for number in range(3))


@pytest.fixture
def inventory() -> Iterator[Inventory]:
    made = Inventory()
    yield made
    made.close()


def restored(images: Any, dumped: dict[str, str]) -> bool:
    """Return whether another worker could continue with these images."""
    other = Inventory()
    try:
        other.load(read_images(images))
        return other.restore(dumped)
    finally:
        other.close()


def test_two_spellings_are_one_image_with_a_record_each(inventory: Inventory, tmp_path: Path) -> None:
    inventory.load(read_images([FIRST, "https://a.com/2.png", SECOND, FIRST, SECOND, THIRD]))
    assert len(inventory) == 2
    assert list(inventory.records()) == []
    inventory.record(0, ImageState.MIGRATED, image(file_id="new"), taskID=7)
    records = list(inventory.records())
    assert [record.url for record in records] == [FIRST, SECOND, THIRD]
    assert len({record._replace(url="") for record in records}) == 1
    path = str(tmp_path / "results.jsonl")
    Results(path, "owner").write(records)
    page = f"![]({FIRST}) ![]({SECOND})"
    assert rewrite(page, new_addresses(path)) == "![](https://vip/new.jpg) ![](https://vip/new.jpg)"


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("https://a.com/a b.png", "https://a.com/a%20b.png"),
        ("https://a.com/1.png?a=1&amp;b=2", "https://a.com/1.png?a=1&b=2"),
    ],
)
def test_a_record_has_the_url_as_the_list_gives_it(given: str, sent: str, inventory: Inventory) -> None:
    inventory.load(read_images([given, sent, f" {given} "]))
    assert (len(inventory), inventory.entry(0).url) == (1, sent)
    inventory.record(0, ImageState.MIGRATED)
    assert [record.url for record in inventory.records()] == [given, sent]


def test_an_invalid_entry_is_a_failed_record_with_its_line(
    inventory: Inventory, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "list.txt"
    lines = {
        "https://a.com/1.png": None,
        "https://a.com/1.avif": "url: 123pan takes no .avif; convert it",
        "https://a.com/1.heic": "url: 123pan takes no .heic; convert it",
        "https://a.com/favicon.ico": "url: 123pan takes no .ico; convert it",
        "data:image/png;base64,iVBORw0KGgo=": "url: the scheme 'data' is not http or https",
        "https://mmbiz.qpic.cn/mmbiz_jpg/AB/640": "file_name: the URL shows no image extension",
        "https://a.com/x~tplv-k3u1fbpfcp-zoom-1.image": "file_name: the URL shows no image extension",
        "https://a.com/a.jpg!large": "file_name: the URL shows no image extension",
        "a.jpg": "url: the scheme '' is not http or https",
        "https://[::1": "url: it is not a URL",
        "https://a.com/2.png": None,
    }
    path.write_text("\n".join(lines))
    inventory.load(read_manifest(str(path)))
    assert inventory.counts() == {"total": 11, "present": 0, "migrated": 0, "suspect": 0, "failed": 9}
    assert [number for number in range(11) if inventory.state(number) is ImageState.MISSING] == [0, 10]
    records = list(inventory.records())
    expected = [
        (url, f"line {line}: {words}")
        for line, (url, words) in enumerate(lines.items(), 1)
        if words is not None
    ]
    for record, (url, reason) in zip(records, expected, strict=True):
        assert (record.url, record.file_name, record.status) == (url, None, "failed")
        assert str(record.reason).startswith(reason)
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 10
    assert "9 entries are invalid" in warnings[-1].getMessage()
    assert inventory.hosts(10) == ["https://a.com"]


@pytest.mark.parametrize("suffix", [".jsonl", ".csv"])
def test_the_record_of_an_invalid_entry_can_be_read(
    inventory: Inventory, tmp_path: Path, suffix: str
) -> None:
    given = ["ftp://a.com/1.png", 3, {"file_name": "a.png"}, "https://a.com/\ud800\0.png", "x" * 9000]
    inventory.load(read_images(given))
    path = str(tmp_path / f"results{suffix}")
    Results(path, "owner").write(inventory.records())
    records = [*read_results(path)]
    assert [record.url for record in records] == [
        given[0],
        "",
        "",
        "https://a.com/\ufffd\ufffd.png",
        "x" * 8192,
    ]
    assert new_addresses(path) == {}


def test_names_that_clash_and_sizes_that_differ_cost_one_entry(inventory: Inventory) -> None:
    images = [
        {"url": "https://a.com/1.png", "file_name": "a.png", "size": 1},
        {"url": "https://a.com/2.png", "file_name": "a.jpg"},
        {"url": "https://a.com/1.png", "file_name": "a.png", "size": 2},
    ]
    inventory.load(read_images(images))
    assert inventory.counts()["total"] == 3
    taken, contradicts = (str(record.reason) for record in inventory.records())
    assert taken.startswith("images[1]: file_name: 'a.jpg' is taken by 'a.png' of images[0]")
    assert contradicts == "images[2]: size: it contradicts images[0], which has the same URL"


def test_invalid_entries_can_be_refused(inventory: Inventory) -> None:
    with pytest.raises(
        Pan123InputError, match=r"^1 entries are invalid, nothing was submitted:\nimages\[1\]: url: "
    ):
        inventory.load(read_images(["https://a.com/1.png", "ftp://a"]), refuse_invalid=True)


def test_records_of_invalid_entries_are_not_repeated_by_the_next_worker(inventory: Inventory) -> None:
    images = ["ftp://a.com/1.png", "https://a.com/2.png", FIRST, SECOND]
    inventory.load(read_images(images))
    assert len([*inventory.records()]) == 1
    other = Inventory()
    other.load(read_images(images))
    assert other.restore(inventory.dump())
    assert [*other.records()] == []
    assert other.counts()["failed"] == 1
    other.record(2, ImageState.MIGRATED)
    assert [record.url for record in other.records()] == [FIRST, SECOND]
    other.close()


def test_a_checkpoint_fits_only_a_list_with_the_same_records(inventory: Inventory) -> None:
    """One that an earlier version wrote knows nothing of spellings; its list must be compared again."""
    inventory.load(read_images([FIRST, "https://a.com/2.png"]))
    dumped = inventory.dump()
    assert restored([SECOND, "https://a.com/2.png"], dumped)
    assert restored([FIRST, FIRST, "https://a.com/2.png"], dumped)
    assert not restored([FIRST, SECOND, "https://a.com/2.png"], dumped)
    assert not restored([FIRST, "https://a.com/2.png", "ftp://a"], dumped)


@pytest.mark.parametrize("suffix", [".jsonl", ".csv"])
def test_results_with_a_byte_order_mark_are_read(inventory: Inventory, tmp_path: Path, suffix: str) -> None:
    inventory.load(read_images(["https://a.com/1.png"]))
    inventory.record(0, ImageState.MIGRATED, image(file_id="new"))
    path = tmp_path / f"results{suffix}"
    Results(str(path), "owner").write(inventory.records())
    before = [*read_results(str(path))]
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert [*read_results(str(path))] == before
    assert new_addresses(str(path)) == {"https://a.com/1.png": "https://vip/new.jpg"}
