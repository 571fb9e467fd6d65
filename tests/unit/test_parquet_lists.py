"""Parquet files are read as lists."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_123pan.exceptions import Pan123InputError
from tests.lists import Loaded, parquet

ONE, TWO = "https://a.com/1.png", "https://a.com/2.png"


def test_a_parquet_file(load_file: Callable[..., Loaded]) -> None:
    rows = [
        {"URL": ONE, "size": 12.0, "width": 3},
        {"URL": TWO, "size": None, "width": 4},
        {"URL": "ftp://a"},
    ]
    found = load_file("a.parquet", parquet(rows))
    assert [(url, size) for url, _, size, _ in found.images] == [(ONE, 12), (TWO, None)]
    assert str(found.reasons[0]).startswith("row 3: url: ")
    with pytest.raises(Pan123InputError, match="has no column url"):
        load_file("b.parquet", parquet([{"address": ONE}]))


def test_other_columns_of_a_parquet_file_are_not_read(
    load_file: Callable[..., Loaded], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from pyarrow import parquet as file_format

    read: list[Any] = []
    genuine = file_format.ParquetFile.iter_batches

    def iter_batches(*args: Any, **arguments: Any) -> Any:
        read.append(arguments["columns"])
        return genuine(*args, **arguments)

    monkeypatch.setattr(file_format.ParquetFile, "iter_batches", iter_batches)
    assert load_file("a.parquet", parquet([{"image": b"x" * 1000, "URL": ONE}])).images[0][0] == ONE
    assert read == [["URL"]]
    assert "'image' are ignored" in caplog.text


def test_a_parquet_file_without_pyarrow(
    load_file: Callable[..., Loaded], monkeypatch: pytest.MonkeyPatch
) -> None:
    content = parquet([{"url": ONE}])
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(
        Pan123InputError, match=r'needs pyarrow; run pip install "airflow-provider-123pan\[parquet\]"'
    ):
        load_file("a.parquet", content)
