"""The list of images with their names, in a temporary SQLite database, which SQLite deletes."""

from __future__ import annotations

import hashlib
import sqlite3
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from airflow_provider_123pan.exceptions import Pan123InputError
from airflow_provider_123pan.service.image_file import ImageFile
from airflow_provider_123pan.service.models import Image
from airflow_provider_123pan.service.redaction import redact_text, redact_url
from airflow_provider_123pan.source.naming import Naming, digest, lacks_format
from airflow_provider_123pan.source.quoting import quoted
from airflow_provider_123pan.source.urls import host_and_port
from airflow_provider_123pan.sync.conversions import Conversions
from airflow_provider_123pan.sync.entries import ManifestEntry, image_key, stem_of, unnumbered
from airflow_provider_123pan.sync.list_report import ListReport
from airflow_provider_123pan.sync.raw_entries import RawEntry

# ``given`` is the URL as the list has it, if another one is sent. An invalid entry has neither key nor name.
# ``spellings`` has the further URLs of an image.
_TABLES = """
PRAGMA journal_mode = OFF;
PRAGMA cache_size = -32768;
CREATE TABLE wanted (
    number INTEGER PRIMARY KEY, key TEXT UNIQUE, place TEXT NOT NULL, given TEXT,
    url TEXT NOT NULL, file_name TEXT, size INTEGER, md5 TEXT, folder TEXT, converted INTEGER, invalid TEXT
);
CREATE TABLE spellings (number INTEGER, url TEXT, UNIQUE (number, url));
BEGIN;
"""


class ImageList:
    """The images of a list, by number; for use by one thread. An invalid entry has a number too.

    :param naming: names the images that the list does not name.
    :ivar conversions: what the worker converted images from.
    """

    def __init__(self, naming: Naming | None = None) -> None:
        self._naming = naming or Naming()
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.executescript(_TABLES)
        self.conversions = Conversions(self._database, self._naming.targets)
        self._digest = hashlib.sha256()
        self._knows_md5 = self._knows_spellings = self._lacks_formats = False
        self._size = 0
        self._folders: dict[str, str] = {}  # by the ids of directories

    def close(self) -> None:
        """Delete the database."""
        self._database.close()

    def __len__(self) -> int:
        return self._size

    def load(self, rows: Iterable[RawEntry], *, refuse_invalid: bool = False) -> None:
        """Take a list; entries of the same image count once, and each of their URLs gets a record.

        :param refuse_invalid: invalid entries are an error, and not images that failed.
        :raises Pan123InputError: names the first invalid entries, and what is wrong with them.
        """
        report = ListReport()
        for row in rows:
            report.begin_entry(row.place)
            try:
                if row.wrong:
                    raise Pan123InputError(row.wrong)
                self._add(row, ManifestEntry.of(row.values, self._naming, report.warn))
            except Pan123InputError as error:
                report.reject(error.message)
                self._reject(row, error.message)
        report.finish(refuse_invalid=refuse_invalid)
        self._database.execute("CREATE INDEX by_md5 ON wanted (md5) WHERE md5 IS NOT NULL")

    def entry(self, number: int) -> ManifestEntry:
        """Return an image's entry in the list."""
        row = self._database.execute(
            "SELECT url, file_name, size, md5, folder, converted FROM wanted WHERE number = ?", (number,)
        )
        url, file_name, size, md5, folder, converted = row.fetchone()
        return ManifestEntry(url, file_name, size, md5, folder, bool(converted))

    def place(self, number: int) -> str:
        """Return where an image's entry is in the list, for messages."""
        return str(self._cell("place", number))

    def lacks_format(self, number: int) -> bool:
        """Return whether an image's name still needs the extension that a probe finds."""
        return self._lacks_formats and lacks_format(self.entry(number).file_name)

    def add_format(self, number: int, extension: str) -> None:
        """Add the extension that a probe found to an image's name; what identifies the image stays."""
        self._database.execute(
            "UPDATE wanted SET file_name = file_name || ? WHERE number = ?", (extension, number)
        )

    def key(self, number: int) -> str:
        """Return a digest of an image's name, which identifies it outside of this process."""
        return str(self._cell("key", number))

    def number(self, key: str) -> int | None:
        """Return the number of the image with a key, if it is on the list."""
        return next(iter(self._numbers("key = ?", key)), None)

    def canonical_digest(self, number: int) -> str:
        """Return a digest of an image's source URL without its signature."""
        return digest(self._naming.canonical(self.entry(number).url))

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
        begin = "instr(url, '://') + 3"
        host = f"substr(url, 1, {begin} - 2 + instr(substr(url || '/', {begin}), '/'))"
        hosts = f"SELECT DISTINCT {host} FROM wanted WHERE key NOTNULL LIMIT ?"  # noqa: S608
        parts = (urlsplit(host) for (host,) in self._database.execute(hosts, (limit,)))
        return sorted({f"{part.scheme}://{part.netloc.rpartition('@')[2]}" for part in parts})

    def count_by_host(self, hosts: Collection[str]) -> Counter[str]:
        """Return how many images of the list each of these hosts has.

        :param hosts: as :func:`host_and_port` returns them.
        """
        if not hosts:
            return Counter()
        rows = self._database.execute("SELECT url FROM wanted WHERE key NOTNULL AND url LIKE 'http%'")
        return Counter(host for (url,) in rows if (host := host_and_port(url)) in hosts)

    def folders(self) -> list[str]:
        """Return the paths of all directories below the target directory."""
        rows = self._database.execute("SELECT DISTINCT folder FROM wanted WHERE folder != '' ORDER BY folder")
        return [folder for (folder,) in rows]

    def locate(self, folders: Mapping[str, str]) -> None:
        """Take the ids of the directories below the target directory.

        :param folders: the ids, by :func:`comparable_folder`.
        """
        self._folders = {directory_id: folder for folder, directory_id in folders.items()}

    def folder_of(self, image: Image) -> str:
        """Return the folder of a stored image, as :func:`comparable_folder` does; empty for the target directory."""
        return self._folders.get(image.directory_id or "", "")

    def key_of(self, image: Image) -> str:
        """Return the key that an image of the list has if a stored one is named after it."""
        return image_key(stem_of(image.file_name), self.folder_of(image))

    def with_stem(self, stem: str, folder: str = "") -> int | None:
        """Return the number of the image with a name, apart from its extension, in a folder."""
        return self.number(image_key(stem, folder))

    def with_md5(self, etag: str | None) -> list[int]:
        """Return the numbers of the images of which the list states this MD5."""
        return self._numbers("md5 = ?", etag) if self._knows_md5 and etag else []

    def entry_named(self, image: Image) -> int | None:
        """Return the number of the image whose name a stored one has, even if the service numbered that."""
        stem = stem_of(image.file_name)
        for name in (stem, unnumbered(stem)):
            if (number := self.with_stem(name, self.folder_of(image))) is not None:
                return number
        return None

    def matches(self, image: Image) -> list[int]:
        """Return the numbers of the images that a stored one is, by its name or by its MD5."""
        number = self.entry_named(image)
        if number is not None and self._may_be_another(image, number):
            number = None
        numbers = [] if number is None or self._differs(number, image) else [number]
        converted = [each for each, made in self.conversions.to(image.etag) if made.is_of(self.entry(each))]
        same = (*self.with_md5(image.etag), *converted)
        return numbers + [each for each in dict.fromkeys(same) if each != number]

    def is_format_converted(self, extension: str) -> bool:
        """Return whether the worker converts images of the format that has this extension."""
        return self._naming.target(extension) is not None

    def may_be_converted(self, number: int, image: Image) -> bool:
        """Return whether a stored image with an entry's name may have been converted from an unknown source."""
        return bool(self._naming.targets) and self.conversions.is_possible(number, self.entry(number), image)

    def _may_be_another(self, image: Image, number: int) -> bool:
        """Return whether a stored image whose name has a number may be another one: no size shows that it is not."""
        return (
            self.key_of(image) != self.key(number)
            and None in (self.entry(number).size, image.size)
            and not self.may_be_converted(number, image)
        )

    def _differs(self, number: int, image: Image) -> bool:
        """Return whether a stored image with an entry's name is another one than the list states.

        What the list states is compared with the source of a converted image, or with nothing if that is not known.
        """
        if (made := self.conversions.get(number)) and made.etag == image.etag:
            return not made.is_of(self.entry(number))
        return difference(self.entry(number), image) is not None and not self.may_be_converted(number, image)

    def _for_worker(self) -> Iterator[int]:
        """Yield the numbers of the images that only the worker can fetch, or convert."""
        rows = self._database.execute(
            "SELECT number FROM wanted WHERE key NOTNULL "
            "AND (converted OR url NOT LIKE 'http://%' AND url NOT LIKE 'https://%')"
        )
        yield from (number for (number,) in rows)

    def _invalid(self) -> Iterator[tuple[int, str]]:
        """Yield the numbers of the invalid entries, and what is wrong with them."""
        yield from self._database.execute("SELECT number, invalid FROM wanted WHERE key IS NULL")

    def _add(self, row: RawEntry, entry: ManifestEntry) -> None:
        number, key, given = self._size, entry.key, row.values["url"].strip()
        added = self._database.execute(
            "INSERT OR IGNORE INTO wanted VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL)",
            (
                number,
                key,
                row.place,
                None if given == entry.url else given,
                entry.url,
                entry.file_name,
                entry.size,
                entry.md5,
                entry.folder,
                entry.converted,
            ),
        )
        if added.rowcount:
            self._size += 1
            self._lacks_formats |= lacks_format(entry.file_name)
            self._update_digest(f"{_path(entry)}\n{self._naming.canonical(entry.url)}\n")
            self._knows_md5 |= entry.md5 is not None
            return
        number = self._numbers("key = ?", key)[0]
        first, first_place = self.entry(number), self._cell("place", number)
        if (
            self._naming.canonical(first.url) != self._naming.canonical(entry.url)
            or first.file_name != entry.file_name
        ):
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
        if given != (self._cell("given", number) or first.url):
            added = self._database.execute("INSERT OR IGNORE INTO spellings VALUES (?, ?)", (number, given))
            if added.rowcount:
                self._knows_spellings = True
                # A sync that deferred before spellings had records must not resume without them.
                self._update_digest(f"{_path(entry)}\n\n")

    def _reject(self, row: RawEntry, message: str) -> None:
        reason = f"{row.place}: {message}"
        self._database.execute(
            "INSERT INTO wanted (number, place, url, invalid) VALUES (?, ?, ?, ?)",
            (self._size, row.place, row.shown_url(), reason),
        )
        self._size += 1
        self._update_digest(f"\n{reason}\n")

    def _update_digest(self, text: str) -> None:
        self._digest.update(text.encode("utf-8", "surrogatepass"))

    def _numbers(self, condition: str, value: str) -> list[int]:
        rows = self._database.execute(f"SELECT number FROM wanted WHERE {condition}", (value,))  # noqa: S608
        return [number for (number,) in rows]

    def _cell(self, column: str, number: int) -> Any:
        row = self._database.execute(f"SELECT {column} FROM wanted WHERE number = ?", (number,))  # noqa: S608
        return row.fetchone()[0]


def _path(entry: ManifestEntry) -> str:
    return f"{entry.folder}/{entry.file_name}" if entry.folder else entry.file_name


def difference(entry: ManifestEntry, image: Image | ImageFile) -> str | None:
    """Return how a stored image, or one that the worker fetched, differs from its entry in the list, or None."""
    kind = "stored" if isinstance(image, Image) else "fetched"
    if entry.md5 is not None and image.etag is not None and image.etag != entry.md5:
        return f"the {kind} image's MD5 is {image.etag}, the list says {entry.md5}"
    if entry.size is not None and image.size is not None and image.size != entry.size:
        return f"the {kind} image has {image.size} bytes, the list says {entry.size}"
    return None
