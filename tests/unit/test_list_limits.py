"""What a hostile or broken list costs: long lines, many errors, and secrets in the wrong column."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_123pan.exceptions import Pan123InputError
from airflow_provider_123pan.source.quoting import quoted
from airflow_provider_123pan.sync.inventory import Inventory
from airflow_provider_123pan.sync.manifest import read_images, read_manifest
from airflow_provider_123pan.sync.raw_entries import MAX_LINE_LENGTH

SIGNED = "https://bucket.example.com/p.png?X-Amz-Signature=5ec5ec5ec5ec"


@pytest.fixture
def inventory() -> Iterator[Inventory]:
    made = Inventory()
    yield made
    made.close()


def errors(inventory: Inventory, rows: Any) -> str:
    """Load a list that is wrong, and return the error's message."""
    with pytest.raises(Pan123InputError) as caught:
        inventory.load(rows, refuse_invalid=True)
    return caught.value.message


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("extra", [0, 1, 2, 3, 2 * MAX_LINE_LENGTH, 10 * MAX_LINE_LENGTH + 7])
@pytest.mark.parametrize(
    ("suffix", "first", "filler"),
    [("txt", "#", "#"), ("jsonl", "", " "), ("tsv", "TsvHttpData-1.0", "\t")],
)
def test_a_long_line_is_an_error_with_its_number_and_the_next_is_read(
    suffix: str, first: str, filler: str, extra: int, end: str, tmp_path: Path
) -> None:
    good = '{"url": "https://a.com/1.png"}' if suffix == "jsonl" else "https://a.com/1.png"
    long = filler * (MAX_LINE_LENGTH + extra)
    path = tmp_path / f"list.{suffix}"
    path.write_bytes(end.join([first, long, good, long]).encode())
    rows = [*read_manifest(str(path))]
    found = [(row.place, row.wrong) for row in rows]
    if extra == 0 and suffix != "tsv":
        assert found == [("line 3", None)]
        return
    assert [place for place, _ in found] == ["line 2", "line 3", "line 4"]
    assert found[1] == ("line 3", None)
    assert all(wrong for place, wrong in found if place != "line 3")
    if extra:
        assert found[0][1] == found[2][1] == f"it has more than {MAX_LINE_LENGTH} characters"


@pytest.mark.parametrize("ended", [True, False])
@pytest.mark.parametrize("quote", ["", '"'])
def test_a_long_line_of_a_csv_is_an_error_and_the_next_is_read(
    ended: bool, quote: str, tmp_path: Path
) -> None:
    path = tmp_path / "list.csv"
    long = quote + "https://a.com/" + "x" * MAX_LINE_LENGTH + quote
    lines = ["url,file_name", "https://a.com/1.png,", long, "https://a.com/2.png,", long]
    path.write_text("\n".join(lines) + "\n" * ended)
    rows = [*read_manifest(str(path))]
    too_long = f"it has more than {MAX_LINE_LENGTH} characters"
    assert [(row.place, row.wrong) for row in rows] == [
        ("line 2", None),
        ("line 3", too_long),
        ("line 4", None),
        ("line 5", too_long),
    ]


def test_ten_thousand_errors_fill_neither_memory_nor_log(
    inventory: Inventory, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    message = errors(inventory, read_images([{"url": f"{'s' * 5000}:x"}] * 10_000))
    assert message.startswith("10000 entries are invalid")
    assert "and 9950 more; the log names the first 1000" in message
    assert len(message) < 30_000
    assert len(caplog.records) == 1000
    assert max(len(record.getMessage()) for record in caplog.records) < 500


@pytest.mark.parametrize("field", ["size", "md5", "file_name"])
@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_a_signed_url_in_the_wrong_place_is_not_quoted(
    field: str, suffix: str, tmp_path: Path, inventory: Inventory, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / f"list.{suffix}"
    if suffix == "jsonl":
        path.write_text(json.dumps({"url": "https://a.com/1.png", field: SIGNED}) + "\n")
    else:
        path.write_text(f"url,{field}\nhttps://a.com/1.png,{SIGNED}\n")
    message = errors(inventory, read_manifest(str(path)))
    assert "5ec5ec" not in message + caplog.text
    assert "://" not in message + caplog.text


@pytest.mark.parametrize(
    "entry",
    [
        *({"url": "https://a.com/1.png", name: "9x" * 20_000} for name in ("size", "md5", "file_name")),
        {"url": "https://a.com/1.png", "size": 10**5000},
        {"url": "https://a.com/1.png", "size": [10**5000]},
        {"url": "https://a.com/1.png", "file_name": 10**5000},
        {"url": "https://a.com/1.png", "file_name": b"x" * 5000},
    ],
    ids=range(7),
)
def test_an_error_about_large_input_is_short(entry: dict[Any, Any], inventory: Inventory) -> None:
    assert len(errors(inventory, read_images([entry]))) < 400


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("a" * 100, "'" + "a" * 49),
        ("\0" * 100, "'" + "\\x00" * 12 + "\\"),
        ("a.png", "'a.png'"),
        (f"see {SIGNED}", "a URL"),
        (None, "None"),
        (-3, "-3"),
        (True, "True"),
        (1e300, "1e+300"),
        (10**5000, "a int"),
        ([SIGNED], "a list"),
    ],
    ids=range(10),
)
def test_input_is_quoted_shortly(value: Any, shown: str) -> None:
    assert quoted(value) == shown


@pytest.mark.parametrize(
    "unknown",
    [{10**5000: 1}, {SIGNED: 1}, dict.fromkeys("k" * n for n in range(1, 2000))],
    ids=range(3),
)
def test_a_warning_about_unknown_fields_is_short_and_shows_no_url(
    unknown: dict[Any, Any], inventory: Inventory, caplog: pytest.LogCaptureFixture
) -> None:
    inventory.load(read_images([{"url": "https://a.com/1.png"} | unknown] * 3))
    (record,) = caplog.records
    assert len(record.getMessage()) < 300
    assert "://" not in record.getMessage()
