"""What the directory held before anything was submitted: an image that was not there, or has changed, is new."""

from __future__ import annotations

import hashlib
import sqlite3
from enum import Enum

from airflow_provider_123pan.service.models import Image
from airflow_provider_123pan.sync.entries import stem_of

_TABLES = """
PRAGMA journal_mode = OFF;
CREATE TABLE images (fileID BLOB PRIMARY KEY, state BLOB, changed_at BLOB) WITHOUT ROWID;
CREATE TABLE stems (stem BLOB PRIMARY KEY) WITHOUT ROWID;
BEGIN;
"""


class Change(Enum):
    """How an image compares with the first scan."""

    ADDED = "added"
    CHANGED = "changed"
    TOUCHED = "touched"  # nothing but the date of the last change, whatever counts as one
    NONE = "none"


class FirstScan:
    """The ids of a directory's images, each with a digest of its dates, etag and size; for use by one thread.

    A temporary SQLite database holds them, so a million images need no memory.
    """

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.executescript(_TABLES)

    def add(self, image: Image, folder: str = "") -> None:
        """Take an image that is in a folder."""
        row = (_digest(image.fileID), _state(image), _digest(str(image.changed_at)))
        self._database.execute("INSERT OR REPLACE INTO images VALUES (?, ?, ?)", row)
        self._database.execute(
            "INSERT OR IGNORE INTO stems VALUES (?)", (_name(stem_of(image.file_name), folder),)
        )

    def has_name(self, stem: str, folder: str = "") -> bool:
        """Return whether an image of a name was in a folder, apart from its extension."""
        found = self._database.execute("SELECT 1 FROM stems WHERE stem = ?", (_name(stem, folder),))
        return found.fetchone() is not None

    def compare(self, image: Image) -> Change:
        """Return what has happened to an image since."""
        found = self._database.execute(
            "SELECT state, changed_at FROM images WHERE fileID = ?", (_digest(image.fileID),)
        ).fetchone()
        if found is None:
            return Change.ADDED
        state, changed_at = found
        if state != _state(image):
            return Change.CHANGED
        return Change.NONE if changed_at == _digest(str(image.changed_at)) else Change.TOUCHED


def _name(stem: str, folder: str) -> bytes:
    return _digest(f"{folder}/{stem}")


def _state(image: Image) -> bytes:
    return _digest(f"{image.appeared_at} {image.etag} {image.size}")


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=12).digest()
