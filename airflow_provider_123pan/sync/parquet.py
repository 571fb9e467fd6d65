"""Reads lists that are Parquet files; needs pyarrow."""

from __future__ import annotations

from collections.abc import Iterator
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
    columns = Columns()
    known: dict[str, str] | None = None
    for number, row in enumerate(parquet_rows(file, path), 1):
        known = known or columns.keys(row)
        if "url" not in known:
            raise Pan123InputError(f"manifest: {path!r} has no column url")
        yield RawEntry(f"row {number}", {key: row[name] for key, name in known.items()})


def parquet_rows(file: Any, path: str) -> Iterator[dict[str, Any]]:
    """Yield the rows of a Parquet file, by the names of its columns.

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
        for batch in parquet.ParquetFile(file).iter_batches(_BATCH_ROWS):
            yield from batch.to_pylist()
    except (pyarrow.ArrowException, OSError) as error:
        raise Pan123InputError(f"manifest: {path!r} cannot be read: {error}") from None
