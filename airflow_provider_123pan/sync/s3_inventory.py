"""Reads an S3 Inventory: its ``manifest.json`` names the files with the objects of a bucket, and their columns."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from airflow_provider_123pan.exceptions import Pan123InputError
from airflow_provider_123pan.source.quoting import quoted
from airflow_provider_123pan.sync.files import opened, text_lines
from airflow_provider_123pan.sync.parquet import parquet_rows
from airflow_provider_123pan.sync.raw_entries import Columns, RawEntry
from airflow_provider_123pan.sync.s3_objects import names_objects, object_reader
from airflow_provider_123pan.sync.tables import read_rows

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

MANIFEST = "manifest.json"
_MAX_BYTES = 16 * 2**20


def read_s3_inventory(manifest: ObjectStoragePath) -> Iterator[RawEntry]:
    """Read the objects of an inventory in CSV or Parquet; what is no image by its name is left out.

    :raises Pan123InputError: it is no such inventory, or one of its files is missing.
    """
    with opened(manifest) as file:
        kind, header, keys = _parse(file.read(_MAX_BYTES), str(manifest))
    for key in keys:
        data = _find(manifest, key)
        rows = _parquet(data) if kind == "Parquet" else _csv(data, header)
        yield from (row._replace(place=f"{data.name} {row.place}") for row in rows)


def _parse(content: bytes, path: str) -> tuple[str, list[str], list[str]]:
    """Return the format of an inventory's files, the columns of those in CSV, and their keys."""
    try:
        fields = json.loads(content)
        kind, schema = fields["fileFormat"], str(fields["fileSchema"])
        keys = [str(data["key"]) for data in fields["files"]]
    except (ValueError, KeyError, TypeError, RecursionError):
        kind, schema, keys = "", "", []
    header = [name.strip() for name in schema.split(",")]
    if not kind or (kind == "CSV" and not names_objects(header)):
        raise Pan123InputError(
            f"manifest: {path!r} is not the manifest of an S3 Inventory; a list of images ends with .jsonl"
        )
    if kind not in ("CSV", "Parquet"):
        raise Pan123InputError(
            f"manifest: {path!r} is an S3 Inventory in {quoted(kind)}; CSV and Parquet can be read"
        )
    return kind, header, keys


def _find(manifest: ObjectStoragePath, key: str) -> ObjectStoragePath:
    """Return a file of an inventory; its key counts from the bucket's root, which may be a folder on a disk."""
    for folder in manifest.parents if ".." not in key.split("/") else ():
        if (path := folder / key.lstrip("/")).exists():
            return path
    raise Pan123InputError(f"manifest: {str(manifest)!r} names {quoted(key)}, which is not there")


def _csv(data: ObjectStoragePath, header: list[str]) -> Iterator[RawEntry]:
    with text_lines(data, None) as lines:
        yield from read_rows(lines, header, ",", columns=Columns(warns=False))


def _parquet(data: ObjectStoragePath) -> Iterator[RawEntry]:
    with opened(data) as file:
        read: Any = None
        for number, row in enumerate(parquet_rows(file, str(data), _object_columns), 1):
            read = read or object_reader([*row], Columns(warns=False), encoded=False)
            if (values := read([*row.values()])) is not None:
                yield RawEntry(f"row {number}", values)


def _object_columns(names: list[str]) -> list[str]:
    if not names_objects(names):
        raise Pan123InputError("manifest: a file of the S3 Inventory has no columns bucket and key")
    return names
