"""What the worker converted images from, and to.

A list states size and MD5 of the source, which the stored image does not have if the worker converted it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from airflow_provider_123pan.service.models import Image
from airflow_provider_123pan.source.formats import format_of
from airflow_provider_123pan.sync.entries import ManifestEntry

_TABLES = """
CREATE TABLE conversions (number INTEGER PRIMARY KEY, source_md5 TEXT, source_size INTEGER, etag TEXT);
CREATE INDEX by_etag ON conversions (etag);
BEGIN;
"""
_COLUMNS = "SELECT number, source_md5, source_size, etag FROM conversions"


class Conversion(NamedTuple):
    """What a stored image was converted from.

    :ivar source_md5, source_size: of the bytes of its source.
    :ivar etag: of the stored image.
    """

    source_md5: str
    source_size: int
    etag: str

    def is_of(self, entry: ManifestEntry) -> bool:
        """Return whether the source is what the list states."""
        return entry.md5 in (None, self.source_md5) and entry.size in (None, self.source_size)


class Conversions:
    """The conversions of the images of a list, by number.

    :param database: that of the list.
    :param targets: as :class:`~airflow_provider_123pan.source.naming.Naming` has them.
    """

    def __init__(self, database: sqlite3.Connection, targets: Mapping[str, str]) -> None:
        self._database = database
        self._database.executescript(_TABLES)
        self._made_formats = {*map(format_of, targets.values())}
        self._is_empty = True

    def add(self, number: int, conversion: Conversion) -> None:
        """Note a conversion; it replaces an earlier one of the image."""
        self._is_empty = False
        self._database.execute(
            "INSERT OR REPLACE INTO conversions VALUES (?, ?, ?, ?)", (number, *conversion)
        )

    def get(self, number: int) -> Conversion | None:
        """Return an image's conversion, if it is known."""
        found = self._select(f"{_COLUMNS} WHERE number = ?", number)
        return next((conversion for _, conversion in found), None)

    def to(self, etag: str | None) -> Iterator[tuple[int, Conversion]]:
        """Yield the images of which a stored one was made."""
        yield from self._select(f"{_COLUMNS} WHERE etag = ?", etag)

    def with_statement(self, limit: int) -> Iterator[tuple[int, Conversion]]:
        """Yield the last images of the list of which it states size or MD5."""
        stated = "number IN (SELECT number FROM wanted WHERE coalesce(md5, size) NOTNULL)"
        yield from self._select(f"{_COLUMNS} WHERE {stated} ORDER BY number DESC LIMIT ?", limit)

    def is_possible(self, number: int, entry: ManifestEntry, image: Image) -> bool:
        """Return whether a stored image with an entry's name may have been converted from an unknown source.

        Only the names show it.
        """
        stored = _format_of(image.file_name)
        return (
            stored in self._made_formats
            and (entry.converted or stored != _format_of(entry.file_name))
            and self.get(number) is None
        )

    def _select(self, query: str, value: object) -> Iterator[tuple[int, Conversion]]:
        if not self._is_empty and value is not None:
            for number, *values in self._database.execute(query, (value,)):
                yield number, Conversion(*values)


def _format_of(file_name: str) -> str:
    return format_of(file_name.rpartition(".")[2])
