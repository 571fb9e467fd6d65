"""The images that are checked, in a temporary database: a million of them in a few megabytes of memory."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from airflow_provider_123pan.service.models import Image
from airflow_provider_123pan.sync.result_record import ResultRecord
from airflow_provider_123pan.verification.loading import Problem, ServedImage, hosts_named_by

_TABLES = """
CREATE TABLE images (
    fileID TEXT PRIMARY KEY, file_name TEXT, directory TEXT, url TEXT, etag TEXT, size INTEGER,
    is_listed INTEGER NOT NULL, problem TEXT, reason TEXT, has_url INTEGER
);
CREATE TABLE sources (fileID TEXT, url TEXT, file_name TEXT);
CREATE INDEX by_fileID ON sources (fileID);
BEGIN;
"""


class Failure(NamedTuple):
    """A line of the report: an image with a problem, and one of the source URLs that it came from.

    :ivar url: the source URL; None if no results file gives it.
    :ivar problem: the value of a :class:`~airflow_provider_123pan.verification.loading.Problem`.
    :ivar image_url: where 123pan serves the image, or served it.
    :ivar directory: the path of its directory; None if it is unknown.
    """

    url: str | None
    file_name: str | None
    problem: str
    reason: str
    image_url: str | None
    fileID: str
    directory: str | None


class CheckedImages:
    """The images that are checked.

    :param lists_all: every image that is listed is checked, and not only those of the records.
    :ivar traffic: bytes that were served of the images of each directory, by its path.
    :ivar hosts: the hosts at which the service says that it serves images.
    """

    def __init__(self, *, lists_all: bool) -> None:
        self._lists_all = lists_all
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.executescript(_TABLES)
        self.traffic: Counter[str] = Counter()
        self.hosts: set[str] = set()

    def close(self) -> None:
        """Delete the database."""
        self._database.close()

    def add_record(self, record: ResultRecord) -> None:
        """Add an image of a sync's results; one that failed has none, and a suspect one is not in use."""
        if not record.is_stored or not record.fileID:
            return
        self._database.execute(
            "INSERT OR IGNORE INTO images (fileID, file_name, url, etag, size, is_listed) VALUES (?, ?, ?, ?, ?, 0)",
            (
                record.fileID,
                record.file_name,
                record.user_url or record.download_url,
                record.etag,
                record.size,
            ),
        )
        source = record.fileID, record.url, record.file_name
        self._database.execute("INSERT INTO sources VALUES (?, ?, ?)", source)

    def add_listed(self, image: Image, directory: str) -> None:
        """Add what the service says of an image."""
        self.hosts |= hosts_named_by((image.download_url, image.user_url))
        known = self._database.execute("SELECT is_listed FROM images WHERE fileID = ?", (image.fileID,))
        found: tuple[int] | None = known.fetchone()
        if found is None and not self._lists_all:
            self.traffic[directory] += image.traffic or 0
            return
        if found is None or not found[0]:
            self.traffic[directory] += image.traffic or 0
        self._database.execute(
            "INSERT INTO images VALUES (?, ?, ?, ?, ?, ?, 1, NULL, NULL, ?) ON CONFLICT (fileID) DO UPDATE SET "
            "file_name = excluded.file_name, directory = excluded.directory, etag = excluded.etag, "
            "url = coalesce(excluded.url, url), size = excluded.size, is_listed = 1, has_url = excluded.has_url",
            (
                image.fileID,
                image.file_name,
                directory,
                image.user_url or image.download_url,
                image.etag,
                _size(image),
                image.user_url is not None or image.download_url is not None,
            ),
        )
        self._fail_if_rejected(image)

    def complete(self, detail: Image) -> None:
        """Add what the record of a listed image shows and its listing may lack."""
        self.hosts |= hosts_named_by((detail.download_url, detail.user_url))
        self._database.execute(
            "UPDATE images SET url = coalesce(?, url), etag = coalesce(etag, ?), size = coalesce(size, ?), has_url = 1 "
            "WHERE fileID = ?",
            (detail.user_url or detail.download_url, detail.etag, _size(detail), detail.fileID),
        )
        self._fail_if_rejected(detail)

    def without_url(self) -> list[str]:
        """Return the fileIDs of the images whose listing gave no URL, and that have no problem yet."""
        rows = self._database.execute("SELECT fileID FROM images WHERE has_url = 0 AND problem ISNULL")
        return [fileID for (fileID,) in rows]

    def _fail_if_rejected(self, image: Image) -> None:
        if image.rejected:
            self.fail(image.fileID, Problem.REJECTED, f"rejected by review (status {image.status})")

    def fail(self, fileID: str, problem: Problem, reason: str) -> None:
        """Record what is wrong with an image."""
        self._database.execute(
            "UPDATE images SET problem = ?, reason = ? WHERE fileID = ?", (problem.value, reason, fileID)
        )

    def is_listed(self, fileID: str) -> bool:
        """Return whether a listing showed an image."""
        found = self._database.execute("SELECT 1 FROM images WHERE fileID = ? AND is_listed = 1", (fileID,))
        return found.fetchone() is not None

    def next_unlisted(self) -> str | None:
        """Return the fileID of an image that no listing showed and that has no problem yet, or None."""
        found: tuple[str] | None = self._database.execute(
            "SELECT fileID FROM images WHERE is_listed = 0 AND problem ISNULL LIMIT 1"
        ).fetchone()
        return found[0] if found else None

    def fail_unlisted(self, reason: str) -> None:
        """Record that all images are gone that no listing showed."""
        self._database.execute(
            "UPDATE images SET problem = ?, reason = ? WHERE is_listed = 0 AND problem ISNULL",
            (Problem.GONE.value, reason),
        )

    def to_load(self) -> Iterator[tuple[str, ServedImage]]:
        """Yield fileID, URL, etag and size of the images without a problem."""
        rows = self._database.execute(
            "SELECT fileID, url, etag, size FROM images WHERE problem ISNULL AND url NOTNULL ORDER BY rowid"
        )
        return ((fileID, ServedImage(*served)) for fileID, *served in rows)

    def fail_without_url(self, reason: str) -> None:
        """Record that images cannot be reached that have no URL."""
        self._database.execute(
            "UPDATE images SET problem = ?, reason = ? WHERE problem ISNULL AND url ISNULL",
            (Problem.UNREACHABLE.value, reason),
        )

    def counts(self) -> dict[str, int]:
        """Return the number of ``images``, of those that are ``healthy`` and ``failed``, and of each problem."""
        rows = self._database.execute("SELECT problem, count(*) FROM images GROUP BY problem")
        found: dict[str | None, int] = dict(rows)
        total, healthy = sum(found.values()), found.get(None, 0)
        problems = {problem.value: found.get(problem.value, 0) for problem in Problem}
        return {"images": total, "healthy": healthy, "failed": total - healthy, **problems}

    def failures(self) -> Iterator[Failure]:
        """Yield the images with a problem, one for each of their source URLs, by problem."""
        rows = self._database.execute(
            "SELECT sources.url, coalesce(sources.file_name, images.file_name), problem, reason, images.url, fileID, "
            "directory FROM images LEFT JOIN sources USING (fileID) WHERE problem NOTNULL "
            "ORDER BY problem, images.rowid, sources.rowid"
        )
        return (Failure(*row) for row in rows)


def _size(image: Image) -> int | None:
    """Return a size that SQLite can store."""
    return image.size if image.size is None or image.size < 2**63 else None
