"""What shall be there, and what has become of each image: a million of them in a few megabytes of memory.

The list lies in a temporary SQLite database, which SQLite itself deletes; one byte per image says how far it is. Those
bytes, a few kilobytes when compressed, are all that travels when a task defers: the list is read again.
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
from airflow_provider_123pan.source.urls import SIGNATURE_PARAMETERS, canonical_url, redact_text, redact_url
from airflow_provider_123pan.sync.entries import ManifestEntry, digest, stem_of, unnumbered
from airflow_provider_123pan.sync.manifest import RawEntry

log = logging.getLogger(__name__)

_MAX_ERRORS_SHOWN = 50  # wrong entries in an error; the log has all
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
BEGIN;
"""


class ImageState(IntEnum):
    """How far an image is."""

    MISSING = 0
    PRESENT = 1  # it was there before
    ACTIVE = 2  # submitted, and not known to have ended
    MIGRATED = 3
    AGAIN = 4  # failed once: it is submitted again, when all others have ended
    FAILED = 5


class ResultRecord(NamedTuple):
    """A line of the results."""

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
    """The images of a list, by number; for one thread."""

    def __init__(self, signature_parameters: Sequence[str] = SIGNATURE_PARAMETERS) -> None:
        self._signature_parameters = signature_parameters
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.executescript(_TABLES)
        self._digest = hashlib.sha256()
        self._knows_md5 = False
        self._repeated = 0
        self._states = bytearray()

    def close(self) -> None:
        self._database.close()

    def load(self, rows: Iterable[RawEntry]) -> None:
        """Take a list; equal entries are one.

        :raises Pan123InputError: names all that is wrong, with where it stands.
        """
        wrong: list[str] = []
        for row in rows:
            try:
                if row.wrong:
                    raise Pan123InputError(row.wrong)
                self._add(row.place, ManifestEntry.of(row.values, self._signature_parameters))
            except Pan123InputError as error:
                wrong.append(f"{row.place}: {error.message}")
        if wrong:
            log.error("Wrong entries:\n%s", "\n".join(wrong))
            more = (
                f"\n… and {len(wrong) - _MAX_ERRORS_SHOWN} more, see the log"
                if len(wrong) > _MAX_ERRORS_SHOWN
                else ""
            )
            redacted = "\n".join(wrong[:_MAX_ERRORS_SHOWN])
            raise Pan123InputError(
                f"{len(wrong)} entries are wrong, nothing was submitted:\n{redacted}{more}"
            )
        if self._repeated:
            log.info("%d entries repeat others, whatever signs their addresses", self._repeated)
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
                f"file_name: {entry.file_name!r} is taken by {first.file_name!r} of {first_place}; names must differ "
                "in more than the extension"
            )
        for name in ("size", "md5"):
            if None not in (pair := (getattr(first, name), getattr(entry, name))) and pair[0] != pair[1]:
                raise Pan123InputError(f"{name}: it contradicts {first_place}, which has the same address")
        self._database.execute(
            "UPDATE wanted SET size = coalesce(size, ?), md5 = coalesce(md5, ?) WHERE number = ?",
            (entry.size, entry.md5, number),
        )
        self._knows_md5 |= entry.md5 is not None
        self._repeated += 1

    # -- what shall be there --

    def __len__(self) -> int:
        return len(self._states)

    def count(self, state: ImageState) -> int:
        return self._states.count(state)

    def counts(self) -> dict[str, int]:
        """How many there are, and how many of them have ended how."""
        ended = (ImageState.PRESENT, ImageState.MIGRATED, ImageState.FAILED)
        return {"total": len(self)} | {each.name.lower(): self.count(each) for each in ended}

    def state(self, number: int) -> ImageState:
        """Return how far an image is."""
        return ImageState(self._states[number])

    def activate(self, number: int) -> None:
        """An image is in flight from now on."""
        self._states[number] = ImageState.ACTIVE

    def put_back(self, number: int, attempt: int) -> None:
        """An image's submission did not arrive: it is due again, as before this attempt."""
        self._states[number] = ImageState.AGAIN if attempt else ImageState.MISSING

    def first(self, state: ImageState, start: int = 0) -> int | None:
        """The first image from ``start`` on that is so far."""
        found = self._states.find(state, start)
        return None if found < 0 else found

    def entry(self, number: int) -> ManifestEntry:
        row = self._database.execute(
            "SELECT url, file_name, size, md5 FROM wanted WHERE number = ?", (number,)
        )
        return ManifestEntry(*row.fetchone())

    def key(self, number: int) -> str:
        """What an image is known by outside of this process: a digest of its name."""
        return str(self._cell("key", number))

    def number(self, key: str) -> int | None:
        return next(iter(self._numbers("key = ?", key)), None)

    def canonical_digest(self, number: int) -> str:
        """A digest of an image's address, whatever signs it."""
        return digest(self._canonical_url(self.entry(number)))

    def redacted(self, number: int) -> str:
        """An image's address for logs, without what signs it."""
        return self.redacted_url(self.entry(number).url)

    def redacted_url(self, url: str) -> str:
        return redact_url(url, self._signature_parameters)

    def redact(self, number: int, text: str) -> str:
        """A text that may quote an image's address, for people."""
        return redact_text(text, self.entry(number).url, self._signature_parameters)

    def hosts(self, most: int) -> list[str]:
        """The hosts of the addresses, with their schemes; not more than so many."""
        hosts = "SELECT DISTINCT substr(url, 1, instr(substr(url || '/', 9), '/') + 7) AS host FROM wanted LIMIT ?"
        parts = (urlsplit(host) for (host,) in self._database.execute(hosts, (most,)))
        return sorted({f"{each.scheme}://{each.netloc.rpartition('@')[2]}" for each in parts})

    # -- what is there --

    def entry_named(self, image: Image) -> int | None:
        """The image of the list that one of the directory is by its name, whether or not the service renamed it."""
        stem = stem_of(image.file_name)
        for each in (stem, unnumbered(stem)):
            if (number := self.number(digest(each))) is not None:
                return number
        return None

    def matches(self, image: Image) -> list[int]:
        """The images of the list that one of the directory is, by its name or by its MD5."""
        number = self.entry_named(image)
        numbers = [] if number is None or difference(self.entry(number), image) else [number]
        if self._knows_md5 and image.etag:
            numbers += [each for each in self._numbers("md5 = ?", image.etag) if each != number]
        return numbers

    def record(
        self,
        number: int,
        state: ImageState,
        image: Image | None = None,
        *,
        taskID: int | None = None,
        reason: str | None = None,
    ) -> None:
        """Say how far an image is, and what has become of it."""
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
        # SQLite's numbers have a sign: a taskID of 64 bits may not fit.
        values = (number, None if taskID is None else str(taskID), *found, reason)
        self._database.execute("INSERT OR REPLACE INTO outcomes VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", values)

    def records(self) -> Iterator[ResultRecord]:
        """What has become of the images that have ended since the list was loaded, in its order."""
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
        """What another worker needs beside the list itself."""
        return {
            "list": self._digest.hexdigest(),
            "states": base64.b85encode(zlib.compress(bytes(self._states))).decode(),
        }

    def restore(self, dumped: dict[str, str]) -> bool:
        """Go on where another worker was; False if the list is another one now."""
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
    """How a stored image differs from what the list says of it, or None."""
    if entry.md5 is not None and image.etag is not None and image.etag != entry.md5:
        return f"the stored image's MD5 is {image.etag}, the list says {entry.md5}"
    if entry.size is not None and image.size is not None and image.size != entry.size:
        return f"the stored image has {image.size} bytes, the list says {entry.size}"
    return None
