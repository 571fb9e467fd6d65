"""The results file: replaced as a whole or not at all, and readers report one that is cut."""

from __future__ import annotations

import errno
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.io import attach
from fsspec.implementations.memory import MemoryFileSystem  # type: ignore[import-untyped]

from airflow_provider_123pan.exceptions import Pan123InputError
from airflow_provider_123pan.sync.result_record import ResultRecord
from airflow_provider_123pan.sync.results import Results, read_results

FORMATS = pytest.mark.parametrize("suffix", [".jsonl", ".csv"])


def record(number: int) -> ResultRecord:
    url = f"https://x.com/{number}.jpg"
    reason = 'a "quoted", long\nreason' if number % 2 else None
    return ResultRecord(url, f"{number}.jpg", "failed", number, "f", url, None, "e" * 32, 3, reason)


def cut_short() -> Iterator[ResultRecord]:
    """Yield more records than a buffer holds, and then fail as a full disk does."""
    yield from map(record, range(1000))
    raise OSError(errno.ENOSPC, "No space left on device")


class Store(MemoryFileSystem):  # type: ignore[misc]
    """An object store in memory, whose uploads may fail."""

    broken = False

    def put_file(self, lpath: str, rpath: str, *args: Any, **kwargs: Any) -> None:
        if self.broken:
            raise OSError("the connection was lost")
        super().put_file(lpath, rpath, *args, **kwargs)


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setattr("airflow.sdk.io.store._STORE_CACHE", {})
    made = Store(skip_instance_cache=True)
    attach("memory", fs=made)
    yield made
    made.rm("", recursive=True)


@FORMATS
def test_a_failed_write_leaves_the_earlier_file_and_nothing_else(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"results{suffix}"
    Results(str(path), "owner").write([record(1), record(2)])
    before = path.read_bytes()
    with pytest.raises(OSError, match="No space"):
        Results(str(path), "owner").write(cut_short())
    assert path.read_bytes() == before
    assert [*tmp_path.iterdir()] == [path]
    assert [*read_results(str(path))] == [record(1), record(2)]


def test_a_failed_part_leaves_nothing(tmp_path: Path) -> None:
    results = Results(str(tmp_path / "results.jsonl"), "owner")
    with pytest.raises(OSError, match="No space"):
        results.spill(enumerate(cut_short()))
    assert (results.parts, [*tmp_path.iterdir()]) == (0, [])


@FORMATS
def test_a_failed_write_leaves_the_earlier_object(store: Store, suffix: str) -> None:
    path = f"memory://bucket/results{suffix}"
    Results(path, "owner").write([record(1)])
    before = store.cat(path)
    with pytest.raises(OSError, match="No space"):
        Results(path, "owner").write(cut_short())
    store.broken = True
    with pytest.raises(OSError, match="connection was lost"):
        Results(path, "owner").write([record(2)])
    assert store.cat(path) == before
    assert store.find("") == [f"/bucket/results{suffix}"]
    assert [*read_results(path)] == [record(1)]


@FORMATS
@pytest.mark.parametrize("place", ["memory://bucket", "{tmp_path}/new/folder", "file://{tmp_path}"])
@pytest.mark.usefixtures("store")
def test_parts_end_in_the_results(tmp_path: Path, place: str, suffix: str) -> None:
    path = f"{place.format(tmp_path=tmp_path)}/results{suffix}"
    first = Results(path, "owner")
    first.spill([(1, record(1))])
    first.spill([])
    second = Results(path, "owner", first.parts)
    assert (second.parts, second.whole()) == (1, True)
    second.write([record(2), record(3)])
    assert [*read_results(path)] == [record(1), record(2), record(3)]
    assert not Results(path, "owner", 1).whole()


def test_what_a_crash_left_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    Results(str(path), "owner").spill([(1, record(1))])
    for name in ("results.jsonl.owner.tmp", "results.jsonl.owner.part1.owner.tmp"):
        (tmp_path / name).write_text("half")
    Results(str(path), "owner").discard()
    assert [*tmp_path.iterdir()] == []


def test_a_symbolic_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    link, target = tmp_path / "results.jsonl", tmp_path / "elsewhere" / "today.jsonl"
    link.symlink_to(target)
    Results(str(link), "owner").write([record(1)])
    assert link.is_symlink()
    assert [*read_results(str(target))] == [record(1)]


@FORMATS
def test_a_file_that_is_cut_anywhere_within_a_record_is_reported(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"results{suffix}"
    Results(str(path), "owner").write([record(0), record(1)])
    content = path.read_bytes()
    first_end = content.index(b"\n", content.index(b"0.jpg")) + 1
    for length in range(first_end + 1, len(content) - 2):
        path.write_bytes(content[:length])
        with pytest.raises(
            Pan123InputError, match=r"results: line \d+ of '.*' is not a whole record; .* cut"
        ):
            [*read_results(str(path))]


@pytest.mark.parametrize(
    ("suffix", "content"),
    [
        (".jsonl", "[1]\n"),
        (".jsonl", '{"url": "https://x.com"}\n'),
        (".jsonl", "[" * 5000 + "]" * 5000 + "\n"),
        (".jsonl", "\ufffe\n"),
        (".jsonl", json.dumps(record(1)._asdict() | {"url": 7}) + "\n"),
        (".jsonl", json.dumps(record(1)._asdict() | {"download_url": {}}) + "\n"),
        (".jsonl", json.dumps(record(1)._asdict() | {"size": {}}) + "\n"),
        (".jsonl", json.dumps(record(1)._asdict() | {"size": 2**64}) + "\n"),
        (".jsonl", json.dumps(record(1)._asdict() | {"taskID": "7"}) + "\n"),
        (".jsonl", json.dumps(record(1)._asdict() | {"fileID": "\ud800"}) + "\n"),
        (".csv", ""),
        (".csv", "url,status\nhttps://x.com,present\n"),
        (".csv", ",".join(ResultRecord._fields) + "\na,b,c,not a number,,,,,,\n"),
        (".csv", ",".join(ResultRecord._fields) + f"\na,b,c,{'9' * 5000},,,,,,\n"),
        (".csv", ",".join(ResultRecord._fields) + "\na,b,c,,,,,,-1,,\n"),
    ],
    ids=range(15),
)
def test_a_file_of_another_kind_is_reported(tmp_path: Path, suffix: str, content: str) -> None:
    path = tmp_path / f"results{suffix}"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(Pan123InputError, match="is not a whole record"):
        [*read_results(str(path))]


@FORMATS
def test_files_of_earlier_versions_are_read(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"results{suffix}"
    Results(str(path), "owner").write([record(1), record(2)._replace(fetched_by="worker")])
    assert [found.fetched_by for found in read_results(str(path))] == [None, "worker"]
    text = path.read_text().replace(', "fetched_by": null', "").replace(', "fetched_by": "worker"', "")
    path.write_text(text.replace(",fetched_by", "").replace("worker\n", "\n").replace(",\n", "\n"))
    assert "fetched_by" not in path.read_text()
    assert [*read_results(str(path))] == [record(1), record(2)]
