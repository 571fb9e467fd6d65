"""Reads lists that are Parquet files; needs pyarrow."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from airflow_provider_123pan.exceptions import Pan123InputError
from airflow_provider_123pan.sync.raw_entries import Columns, RawEntry

_BATCH_ROWS = 4096


def read_parquet(file: Any, path: str) -> Iterator[RawEntry]:
    """Read a Parquet file with a column ``url`` and the other keys.

    :param file: bytes that can be read from any position.
    :param path: for messages.
    :raises Pan123InputError: pyarrow is not installed, or it is no such file.
    """
    known: dict[str, str] = {}

    def select(names: list[str]) -> list[str]:
        known.update(Columns().keys(names))
        if "url" not in known:
            raise Pan123InputError(f"manifest: {path!r} has no column url")
        return [*known.values()]

    for number, row in enumerate(parquet_rows(file, path, select), 1):
        yield RawEntry(f"row {number}", {key: row[name] for key, name in known.items()})


def parquet_rows(file: Any, path: str, select: Callable[[list[str]], list[str]]) -> Iterator[dict[str, Any]]:
    """Yield the rows of a Parquet file, by the names of its columns.

    :param select: returns which of the columns to read; others may hold the images themselves.
    :raises Pan123InputError: pyarrow is not installed, or it is no Parquet file.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise Pan123InputError(
            f'manifest: {path!r} needs pyarrow; run pip install "airflow-provider-123pan[parquet]"'
        ) from None
    try:
        table = parquet.ParquetFile(file)
        for batch in table.iter_batches(_BATCH_ROWS, columns=select(table.schema_arrow.names)):
            yield from batch.to_pylist()
    except (pyarrow.ArrowException, OSError) as error:
        raise Pan123InputError(f"manifest: {path!r} cannot be read: {error}") from None
