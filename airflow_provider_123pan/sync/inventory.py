"""The images of the list with their states and results: a million of them in a few megabytes of memory.

The list is in a temporary SQLite database, which SQLite deletes; one byte per image holds its state. Only these bytes,
a few kilobytes when compressed, are stored when a task defers: the next worker reads the list again.
"""

from __future__ import annotations

import base64
import json
import logging
import zlib
from collections.abc import Iterable, Iterator
from itertools import groupby, islice
from operator import itemgetter
from typing import Any

from airflow_provider_123pan.service.models import Image
from airflow_provider_123pan.source.naming import Naming, lacks_format
from airflow_provider_123pan.sync.entries import comparable_folder, stem_of
from airflow_provider_123pan.sync.image_list import ImageList
from airflow_provider_123pan.sync.image_state import ENDED, STORED, ImageState
from airflow_provider_123pan.sync.options import Fetch
from airflow_provider_123pan.sync.raw_entries import RawEntry
from airflow_provider_123pan.sync.result_record import ResultRecord

log = logging.getLogger(__name__)

_TABLES = """
CREATE TABLE outcomes (
    number INTEGER PRIMARY KEY, taskID TEXT, fileID TEXT, stored_name TEXT, download_url TEXT, user_url TEXT,
    etag TEXT, size INTEGER, reason TEXT, fetched_by TEXT, verified INTEGER
);
CREATE INDEX by_fileID ON outcomes (fileID) WHERE fileID IS NOT NULL;
BEGIN;
"""


class Inventory(ImageList):
    """The images of a list, with their states and results. An invalid entry is an image that has failed.

    :param fetch: who fetches the images; the worker, those in Airflow's object storage and those that it converts.
    """

    def __init__(self, naming: Naming | None = None, fetch: Fetch = Fetch.SERVICE) -> None:
        super().__init__(naming)
        self._database.executescript(_TABLES)
        self._states = bytearray()
        self._fetch = fetch
        self._missing = ImageState.WORKER if fetch is Fetch.WORKER else ImageState.MISSING

    def load(self, rows: Iterable[RawEntry], *, refuse_invalid: bool = False) -> None:
        """Take a list; see :meth:`ImageList.load`."""
        super().load(rows, refuse_invalid=refuse_invalid)
        self._states = bytearray([self._missing]) * len(self)
        for number in self._for_worker():
            self._states[number] = ImageState.WORKER
        for number, reason in self._invalid():
            self.record(number, ImageState.FAILED, reason=reason)

    # -- states --

    def count(self, state: ImageState) -> int:
        """Return the number of images in a state."""
        return self._states.count(state)

    def counts(self) -> dict[str, int]:
        """Return the number of images, and how many are present, migrated, suspect and failed."""
        return {"total": len(self)} | {state.name.lower(): self.count(state) for state in ENDED}

    def count_ended(self) -> int:
        """Return the number of images that have ended."""
        return sum(map(self.count, ENDED))

    def count_without_format(self) -> int:
        """Return the number of missing images whose names still need the extension that a probe finds."""
        if not self._lacks_formats:
            return 0
        rows = self._database.execute("SELECT number, file_name FROM wanted WHERE key NOTNULL")
        return sum(lacks_format(name) and self.state(number) is ImageState.MISSING for number, name in rows)

    def state(self, number: int) -> ImageState:
        """Return an image's state."""
        return ImageState(self._states[number])

    def activate(self, number: int) -> None:
        """Set an image's state to ACTIVE."""
        self._states[number] = ImageState.ACTIVE

    def put_back(self, number: int, attempt: int) -> None:
        """Return an image to its state before this attempt, because the submission did not arrive."""
        self._states[number] = ImageState.AGAIN if attempt else self._missing

    def is_missing(self, number: int) -> bool:
        """Return whether an image is not there, and nothing was done about it yet."""
        return self._states[number] in (ImageState.MISSING, ImageState.WORKER)

    def state_after_failure(self, attempt: int) -> ImageState:
        """Return the state of an image that the service failed to fetch.

        :param attempt: 0, or 1 for its second submission.
        """
        if self.falls_back:
            return ImageState.WORKER
        return ImageState.FAILED if attempt else ImageState.AGAIN

    @property
    def falls_back(self) -> bool:
        """Whether the worker fetches what the service fails to fetch."""
        return self._fetch is not Fetch.SERVICE

    def first(self, state: ImageState, start: int = 0) -> int | None:
        """Return the first image in a state, from number ``start`` on."""
        found = self._states.find(state, start)
        return None if found < 0 else found

    # -- results --

    def is_recorded(self, fileID: str) -> bool:
        """Return whether a stored image is the result of an entry of the list."""
        found = self._database.execute("SELECT 1 FROM outcomes WHERE fileID = ? LIMIT 1", (fileID,))
        return found.fetchone() is not None

    def present_without_url(self) -> list[tuple[int, str]]:
        """Return number and fileID of the images that are in the directory, and whose URL no listing gave."""
        rows = self._database.execute(
            "SELECT number, fileID FROM outcomes WHERE coalesce(download_url, user_url) IS NULL ORDER BY number"
        )
        return [(number, fileID) for number, fileID in rows if self._states[number] in STORED]

    def record(
        self,
        number: int,
        state: ImageState,
        image: Image | None = None,
        *,
        taskID: int | None = None,
        reason: str | None = None,
        fetched_by: str | None = None,
    ) -> None:
        """Set an image's state, and keep its result.

        :param fetched_by: ``service`` or ``worker``, if this sync fetched it.
        """
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
        values = (number, None if taskID is None else str(taskID), *found, reason, fetched_by)
        insert = "INSERT OR REPLACE INTO outcomes VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)"
        self._database.execute(insert, values)

    def reason(self, number: int) -> str | None:
        """Return why an image failed the last time, if it did."""
        found = self._database.execute("SELECT reason FROM outcomes WHERE number = ?", (number,)).fetchone()
        return None if found is None else found[0]

    def under_other_names(self) -> Iterator[tuple[int, str]]:
        """Yield number and MD5 of the images that share a file, or whose file has another name.

        Those of which the list states the MD5 are left out.
        """
        rows = self._database.execute(
            "SELECT number, stored_name, folder, etag, fileID IN "
            "(SELECT fileID FROM outcomes WHERE fileID IS NOT NULL GROUP BY fileID HAVING count(*) > 1) AS shared "
            "FROM outcomes JOIN wanted USING (number) "
            "WHERE (shared OR stored_name != file_name) AND md5 IS NULL AND etag IS NOT NULL ORDER BY number"
        )
        for number, stored_name, folder, etag, shared in rows:
            named = self.with_stem(stem_of(stored_name), comparable_folder(folder))
            if (shared or named != number) and self._states[number] in (*STORED, ImageState.SUSPECT):
                yield number, etag

    def migrated(self, limit: int) -> list[tuple[int, str]]:
        """Return number and MD5 of the last images of the list that were migrated since it was loaded."""
        rows = self._database.execute(
            "SELECT number, etag FROM outcomes WHERE etag IS NOT NULL ORDER BY number DESC"
        )
        found = ((number, etag) for number, etag in rows if self._states[number] == ImageState.MIGRATED)
        return [*islice(found, limit)][::-1]

    def failed_because(self, reason: str) -> list[int]:
        """Return the numbers of the images that failed for a reason since the list was loaded."""
        rows = self._database.execute(
            "SELECT number FROM outcomes WHERE reason = ? ORDER BY number", (reason,)
        )
        return [number for (number,) in rows if self._states[number] == ImageState.FAILED]

    def unverified_images(self) -> Iterator[tuple[list[int], tuple[str, str | None, int | None]]]:
        """Yield the numbers of each stored image, which entries may share, with its URL, its etag and its size.

        Only images that have ended since the list was loaded, have a URL, and were not verified before.
        """
        rows = self._database.execute(
            "SELECT coalesce(user_url, download_url) AS served, etag, size, number FROM outcomes "
            "WHERE served NOTNULL AND NOT verified ORDER BY served"
        )
        for url, same in groupby(rows, key=itemgetter(0)):
            found = [row for row in same if self._states[row[3]] in STORED]
            if found:
                yield [row[3] for row in found], (url, found[0][1], found[0][2])

    def set_verified(self) -> None:
        """Note that all images that have ended were verified."""
        self._database.execute("UPDATE outcomes SET verified = 1")

    def equal_images(self, at_least: int, known: Iterable[str]) -> Iterator[tuple[str, list[int]]]:
        """Yield the MD5s that several stored images share, with the numbers of these images.

        Images of which the list states the MD5 are left out, and so are those in Airflow's object storage.

        :param at_least: the number of images with one MD5.
        :param known: MD5s that are yielded even if fewer images have them.
        """
        rows = self._database.execute(
            "SELECT etag, number FROM outcomes JOIN wanted USING (number) WHERE md5 IS NULL AND url LIKE 'http%' AND "
            "(etag IN (SELECT value FROM json_each(?)) "
            "OR etag IN (SELECT etag FROM outcomes GROUP BY etag HAVING count(*) >= ?)) ORDER BY etag, number",
            (json.dumps([*known]), at_least),
        )
        stored = (row for row in rows if self._states[row[1]] in STORED)
        for etag, same in groupby(stored, key=itemgetter(0)):
            yield etag, [number for _, number in same]

    def recall(self, records: Iterable[tuple[int | None, ResultRecord]]) -> None:
        """Take the results of stored images that earlier workers wrote; they are verified.

        :param records: with the numbers of their images; those without one are left out.
        """
        rows = (
            (number, taskID and str(taskID), fileID, file_name, *rest)
            for number, (_, file_name, _, taskID, fileID, *rest) in records
            if number is not None and fileID is not None
        )
        insert = "INSERT OR IGNORE INTO outcomes VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1)"
        self._database.executemany(insert, rows)

    def recall_stored(self, image: Image, numbers: Iterable[int]) -> None:
        """Take what a listing shows of images that earlier workers found stored; they are verified."""
        for number in numbers:
            if self._states[number] in STORED and self.file_id(number) is None:
                self.record(number, self.state(number), image)
                self._database.execute("UPDATE outcomes SET verified = 1 WHERE number = ?", (number,))

    def suspects(self) -> Iterator[tuple[str | None, list[int]]]:
        """Yield the etag of each stored file that may be a placeholder, with the numbers of its images."""
        rows = self._database.execute(
            "SELECT fileID, etag, number FROM outcomes WHERE fileID NOTNULL ORDER BY fileID, number"
        )
        suspects = [row for row in rows if self._states[row[2]] == ImageState.SUSPECT]
        for (_, etag), same in groupby(suspects, key=itemgetter(0, 1)):
            yield etag, [number for *_, number in same]

    def file_id(self, number: int) -> str | None:
        """Return the id of an image's file, if it is stored."""
        found = self._database.execute("SELECT fileID FROM outcomes WHERE number = ?", (number,)).fetchone()
        return None if found is None else found[0]

    def sharing(self, fileID: str) -> list[int]:
        """Return the numbers of the stored images that have a file."""
        rows = self._database.execute(
            "SELECT number FROM outcomes WHERE fileID = ? ORDER BY number", (fileID,)
        )
        return [number for (number,) in rows if self._states[number] in STORED]

    def suspect(self, number: int, reason: str) -> None:
        """Let a stored image count as one that may be a placeholder; its record keeps what is stored."""
        self._states[number] = ImageState.SUSPECT
        self.explain(number, reason)

    def leave_to_worker(self, number: int) -> None:
        """Let the worker fetch an image that is stored, but a placeholder."""
        self._states[number] = ImageState.WORKER
        self._database.execute("DELETE FROM outcomes WHERE number = ?", (number,))

    def fail(self, number: int, reason: str) -> None:
        """Let a stored image count as failed; its record keeps what is stored."""
        self._states[number] = ImageState.FAILED
        self.explain(number, reason)

    def explain(self, number: int, reason: str) -> None:
        """Replace the reason of a failure by a longer one."""
        self._database.execute("UPDATE outcomes SET reason = ? WHERE number = ?", (reason, number))

    def records(self) -> Iterator[ResultRecord]:
        """Yield the results of the images that have ended since the list was loaded, one for each of their URLs."""
        return (record for _, record in self.numbered_records())

    def numbered_records(self) -> Iterator[tuple[int, ResultRecord]]:
        """Yield what :meth:`records` yields, each with the number of its image."""
        rows = self._database.execute(
            "SELECT number, coalesce(given, url), coalesce(stored_name, file_name), taskID, fileID, download_url, "
            "user_url, etag, outcomes.size, reason, fetched_by FROM outcomes JOIN wanted USING (number) ORDER BY number"
        )
        for number, url, file_name, taskID, *rest in rows:
            state = ImageState(self._states[number])
            if file_name is not None and lacks_format(file_name):
                file_name = None
            if state in ENDED:
                record = ResultRecord(
                    url, file_name, state.name.lower(), None if taskID is None else int(taskID), *rest
                )
                yield number, record
                if self._knows_spellings:
                    spellings = self._database.execute(
                        "SELECT url FROM spellings WHERE number = ? ORDER BY rowid", (number,)
                    )
                    yield from ((number, record._replace(url=spelling)) for (spelling,) in spellings)

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
        # The worker that stopped has recorded the invalid entries.
        self._database.execute("DELETE FROM outcomes")
        return True
