"""The images of the list with their states and results: a million of them in a few megabytes of memory.

The list is in a temporary SQLite database, which SQLite deletes; one byte per image holds its state. Only these bytes,
a few kilobytes when compressed, are stored when a task defers: the next worker reads the list again.
"""

from __future__ import annotations

import base64
import hashlib
import logging
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Sequence
from enum import IntEnum
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from airflow_provider_123pan.exceptions import Pan123InputError
from airflow_provider_123pan.service.models import Image
from airflow_provider_123pan.source.quoting import quoted
from airflow_provider_123pan.source.urls import canonical_url, redact_text, redact_url
from airflow_provider_123pan.sync.entries import ManifestEntry, digest, stem_of, unnumbered
from airflow_provider_123pan.sync.manifest import RawEntry

log = logging.getLogger(__name__)

# Wrong entries in an error message and in the log, and the longest description of one.
_MAX_ERRORS_SHOWN, _MAX_ERRORS_LOGGED, _MAX_ERROR_LENGTH = 50, 1000, 400
_TABLES = """
PRAGMA journal_mode = OFF;
PRAGMA cache_size = -32768;
CREATE TABLE wanted (
    number INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, place TEXT NOT NULL,
    url TEXT NOT NULL, file_name TEXT NOT NULL, size INTEGER, md5 TEXT
);
CREATE TABLE outcomes (
    number INTEGER PRIMARY KEY, taskID TEXT, fileID TEXT, stored_name TEXT, download_url TEXT, user_url TEXT,
    etag TEXT, size INTEGER, reason TEXT
);
CREATE INDEX by_fileID ON outcomes (fileID) WHERE fileID IS NOT NULL;
BEGIN;
"""


class ImageState(IntEnum):
    """The state of an image."""

    MISSING = 0
    PRESENT = 1  # it was in the directory before the sync
    ACTIVE = 2  # submitted, and not known to have ended
    MIGRATED = 3
    AGAIN = 4  # failed once: submitted again when all others have ended
    FAILED = 5


class ResultRecord(NamedTuple):
    """A record of the results file."""

    url: str
    file_name: str
    status: str
    taskID: int | None
    fileID: str | None
    download_url: str | None
    user_url: str | None
    etag: str | None
    size: int | None
    reason: str | None


class Inventory:
    """The images of a list, by number; for use by one thread.

    :param signature_parameters: patterns of query parameters that sign a URL, besides those of known signers.
    """

    def __init__(self, signature_parameters: Sequence[str] = ()) -> None:
        self._signature_parameters = signature_parameters
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.executescript(_TABLES)
        self._digest = hashlib.sha256()
        self._knows_md5 = False
        self._repeated = 0
        self._states = bytearray()

    def close(self) -> None:
        """Delete the database."""
        self._database.close()

    def load(self, rows: Iterable[RawEntry]) -> None:
        """Take a list; equal entries count once.

        :raises Pan123InputError: names what is wrong, and where: 50 entries, and 1,000 in the log.
        """
        wrong: list[str] = []
        count = 0
        for row in rows:
            try:
                if row.wrong:
                    raise Pan123InputError(row.wrong)
                self._add(row.place, ManifestEntry.of(row.values, self._signature_parameters))
            except Pan123InputError as error:
                count += 1
                if count <= _MAX_ERRORS_LOGGED:
                    wrong.append(f"{row.place}: {error.message}"[:_MAX_ERROR_LENGTH])
        if count:
            for description in wrong:
                log.error("Wrong entry: %s", description)
            shown = wrong[:_MAX_ERRORS_SHOWN]
            if count > len(shown):
                shown.append(f"… and {count - len(shown)} more; the log names the first {_MAX_ERRORS_LOGGED}")
            raise Pan123InputError("\n".join([f"{count} entries are wrong, nothing was submitted:", *shown]))
        if self._repeated:
            log.info("%d entries repeat others, apart from the signatures of their URLs", self._repeated)
        self._database.execute("CREATE INDEX by_md5 ON wanted (md5) WHERE md5 IS NOT NULL")

    def _add(self, place: str, entry: ManifestEntry) -> None:
        number, key = len(self._states), digest(entry.stem)
        added = self._database.execute(
            "INSERT OR IGNORE INTO wanted VALUES (?, ?, ?, ?, ?, ?, ?)",
            (number, key, place, entry.url, entry.file_name, entry.size, entry.md5),
        )
        if added.rowcount:
            self._states.append(ImageState.MISSING)
            self._digest.update(
                f"{entry.file_name}\n{self._canonical_url(entry)}\n".encode("utf-8", "surrogatepass")
            )
            self._knows_md5 |= entry.md5 is not None
            return
        number = self._numbers("key = ?", key)[0]
        first, first_place = self.entry(number), self._cell("place", number)
        if self._canonical_url(first) != self._canonical_url(entry) or first.file_name != entry.file_name:
            raise Pan123InputError(
                f"file_name: {quoted(entry.file_name)} is taken by {quoted(first.file_name)} of {first_place}; names "
                "must differ in more than the extension"
            )
        for name in ("size", "md5"):
            if None not in (pair := (getattr(first, name), getattr(entry, name))) and pair[0] != pair[1]:
                raise Pan123InputError(f"{name}: it contradicts {first_place}, which has the same URL")
        self._database.execute(
            "UPDATE wanted SET size = coalesce(size, ?), md5 = coalesce(md5, ?) WHERE number = ?",
            (entry.size, entry.md5, number),
        )
        self._knows_md5 |= entry.md5 is not None
        self._repeated += 1

    # -- the list --

    def __len__(self) -> int:
        return len(self._states)

    def count(self, state: ImageState) -> int:
        """Return the number of images in a state."""
        return self._states.count(state)

    def counts(self) -> dict[str, int]:
        """Return the number of images, and how many are present, migrated and failed."""
        ended = (ImageState.PRESENT, ImageState.MIGRATED, ImageState.FAILED)
        return {"total": len(self)} | {each.name.lower(): self.count(each) for each in ended}

    def state(self, number: int) -> ImageState:
        """Return an image's state."""
        return ImageState(self._states[number])

    def activate(self, number: int) -> None:
        """Set an image's state to ACTIVE."""
        self._states[number] = ImageState.ACTIVE

    def put_back(self, number: int, attempt: int) -> None:
        """Return an image to its state before this attempt, because the submission did not arrive."""
        self._states[number] = ImageState.AGAIN if attempt else ImageState.MISSING

    def first(self, state: ImageState, start: int = 0) -> int | None:
        """Return the first image in a state, from number ``start`` on."""
        found = self._states.find(state, start)
        return None if found < 0 else found

    def entry(self, number: int) -> ManifestEntry:
        """Return an image's entry in the list."""
        row = self._database.execute(
            "SELECT url, file_name, size, md5 FROM wanted WHERE number = ?", (number,)
        )
        return ManifestEntry(*row.fetchone())

    def key(self, number: int) -> str:
        """Return a digest of an image's name, which identifies it outside of this process."""
        return str(self._cell("key", number))

    def number(self, key: str) -> int | None:
        """Return the number of the image with a key, if it is on the list."""
        return next(iter(self._numbers("key = ?", key)), None)

    def canonical_digest(self, number: int) -> str:
        """Return a digest of an image's source URL without its signature."""
        return digest(self._canonical_url(self.entry(number)))

    def redacted(self, number: int) -> str:
        """Return an image's source URL for logs, without its signature."""
        return self.redacted_url(self.entry(number).url)

    def redacted_url(self, url: str) -> str:
        """Return a URL for logs, without its signature."""
        return redact_url(url)

    def redact(self, number: int, text: str) -> str:
        """Return a text for logs that may quote an image's source URL, without that URL's signature."""
        return redact_text(text, self.entry(number).url)

    def hosts(self, limit: int) -> list[str]:
        """Return the schemes and hosts of the source URLs, up to a limit."""
        hosts = "SELECT DISTINCT substr(url, 1, instr(substr(url || '/', 9), '/') + 7) AS host FROM wanted LIMIT ?"
        parts = (urlsplit(host) for (host,) in self._database.execute(hosts, (limit,)))
        return sorted({f"{part.scheme}://{part.netloc.rpartition('@')[2]}" for part in parts})

    # -- the directory --

    def with_stem(self, stem: str) -> int | None:
        """Return the number of the image with a name, apart from its extension."""
        return self.number(digest(stem))

    def with_md5(self, etag: str | None) -> list[int]:
        """Return the numbers of the images of which the list states this MD5."""
        return self._numbers("md5 = ?", etag) if self._knows_md5 and etag else []

    def is_recorded(self, fileID: str) -> bool:
        """Return whether a stored image is the result of an entry of the list."""
        found = self._database.execute("SELECT 1 FROM outcomes WHERE fileID = ? LIMIT 1", (fileID,))
        return found.fetchone() is not None

    def entry_named(self, image: Image) -> int | None:
        """Return the number of the image whose name a stored one has, even if the service numbered that."""
        stem = stem_of(image.file_name)
        for name in (stem, unnumbered(stem)):
            if (number := self.with_stem(name)) is not None:
                return number
        return None

    def matches(self, image: Image) -> list[int]:
        """Return the numbers of the images that a stored one is, by its name or by its MD5."""
        number = self.entry_named(image)
        numbers = [] if number is None or difference(self.entry(number), image) else [number]
        return numbers + [each for each in self.with_md5(image.etag) if each != number]

    def present_without_url(self) -> list[tuple[int, str]]:
        """Return number and fileID of the images that are in the directory, and whose URL no listing gave."""
        rows = self._database.execute(
            "SELECT number, fileID FROM outcomes WHERE coalesce(download_url, user_url) IS NULL ORDER BY number"
        )
        return [
            (number, fileID)
            for number, fileID in rows
            if self._states[number] in (ImageState.PRESENT, ImageState.MIGRATED)
        ]

    def record(
        self,
        number: int,
        state: ImageState,
        image: Image | None = None,
        *,
        taskID: int | None = None,
        reason: str | None = None,
    ) -> None:
        """Set an image's state, and keep its result."""
        self._states[number] = state
        if image is None:
            found: tuple[Any, ...] = (None,) * 6
        else:
            found = (
                image.fileID,
                image.file_name,
                image.download_url,
                image.user_url,
                image.etag,
                image.size if image.size is None or image.size < 2**63 else None,
            )
        # SQLite's integers are signed, so a taskID of 64 bits may not fit.
        values = (number, None if taskID is None else str(taskID), *found, reason)
        self._database.execute("INSERT OR REPLACE INTO outcomes VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", values)

    def records(self) -> Iterator[ResultRecord]:
        """Yield the results of the images that have ended since the list was loaded, in the order of the list."""
        rows = self._database.execute(
            "SELECT number, url, coalesce(stored_name, file_name), taskID, fileID, download_url, user_url, etag, "
            "outcomes.size, reason FROM outcomes JOIN wanted USING (number) ORDER BY number"
        )
        for number, url, file_name, taskID, *rest in rows:
            state = ImageState(self._states[number])
            if state in (ImageState.PRESENT, ImageState.MIGRATED, ImageState.FAILED):
                yield ResultRecord(
                    url, file_name, state.name.lower(), None if taskID is None else int(taskID), *rest
                )

    # -- across a deferral --

    def dump(self) -> dict[str, str]:
        """Return what the next worker needs in addition to the list."""
        return {
            "list": self._digest.hexdigest(),
            "states": base64.b85encode(zlib.compress(bytes(self._states))).decode(),
        }

    def restore(self, dumped: dict[str, str]) -> bool:
        """Continue where another worker stopped; return False if the list has changed."""
        if dumped["list"] != self._digest.hexdigest():
            return False
        self._states = bytearray(zlib.decompress(base64.b85decode(dumped["states"])))
        return True

    def _canonical_url(self, entry: ManifestEntry) -> str:
        return canonical_url(entry.url, self._signature_parameters)

    def _numbers(self, condition: str, value: str) -> list[int]:
        rows = self._database.execute(f"SELECT number FROM wanted WHERE {condition}", (value,))  # noqa: S608
        return [number for (number,) in rows]

    def _cell(self, column: str, number: int) -> Any:
        row = self._database.execute(f"SELECT {column} FROM wanted WHERE number = ?", (number,))  # noqa: S608
        return row.fetchone()[0]


def difference(entry: ManifestEntry, image: Image) -> str | None:
    """Return how a stored image differs from its entry in the list, or None."""
    if entry.md5 is not None and image.etag is not None and image.etag != entry.md5:
        return f"the stored image's MD5 is {image.etag}, the list says {entry.md5}"
    if entry.size is not None and image.size is not None and image.size != entry.size:
        return f"the stored image has {image.size} bytes, the list says {entry.size}"
    return None
