"""The journal: what was replaced in which page, written before the page is.

A journal is a folder. Each of its segments is a file of JSON lines, written as a whole: the folder of the pages, and
then an entry for each page. Whether a page was written after its entry shows in its hash.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_123pan.exceptions import Pan123InputError
from airflow_provider_123pan.pages.encoding import Encoding
from airflow_provider_123pan.pages.folder import absolute, opened_folder
from airflow_provider_123pan.sync.atomic_file import write_file

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

_VERSION = 1
_SEGMENT = re.compile(r"rewritten-\d{8}T\d{6}\.\d{6}Z-(?P<owner>[0-9a-f]{12})\.jsonl")


class Replacement(NamedTuple):
    """A text that was replaced by another one.

    :ivar start: characters of the page before it, before any replacement.
    """

    start: int
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A page that is about to be rewritten.

    :ivar page: its path below the folder of the pages.
    :ivar before: SHA-256 of its bytes before, in hex.
    :ivar after: the same of its bytes after.
    """

    page: str
    encoding: Encoding
    before: str
    after: str
    replacements: Sequence[Replacement]

    def restored(self, data: bytes) -> bytes:
        """Return the page's bytes before.

        :param data: its bytes after.
        :raises Pan123InputError: the entry was changed, so it does not lead back.
        """
        text = self.encoding.decode(data)
        parts: list[str] = []
        done = shift = 0
        for start, old, new in self.replacements:
            parts += text[done : start + shift], old
            done = start + shift + len(new)
            shift += len(new) - len(old)
        before = self.encoding.encode("".join([*parts, text[done:]]))
        if sha256(before) != self.before:
            raise Pan123InputError(f"journal: the entry of {self.page!r} does not lead to its hash")
        return before


class Segment(NamedTuple):
    """A file of a journal.

    :ivar owner: the task that wrote it, as :func:`~airflow_provider_123pan.sync.results.owner_of` returns it.
    """

    path: ObjectStoragePath
    owner: str


class PageJournal:
    """A folder with a journal.

    :param folder: its path.
    """

    def __init__(self, folder: str) -> None:
        self.folder = absolute(folder)
        self._place = opened_folder("journal", folder)

    def segments(self) -> list[Segment]:
        """Return the segments, the oldest first."""
        if not self._place.exists():
            return []
        names = sorted(
            each["name"].rpartition("/")[2] for each in self._place.fs.ls(self._place.path, detail=True)
        )
        return [
            Segment(self._place / name, match["owner"])
            for name in names
            if (match := _SEGMENT.fullmatch(name))
        ]

    def write(self, owner: str, root: str, entries: Iterable[Entry]) -> None:
        """Write a segment.

        :param root: the folder of the pages.
        """
        written_at = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%S.%fZ")
        header = {"version": _VERSION, "pages": root}
        lines = [json.dumps(each) + "\n" for each in (header, *map(_stored, entries))]
        write_file(self._place / f"rewritten-{written_at}-{owner}.jsonl", lines, owner)

    def file(self, name: str) -> str:
        """Return the path of another file in the folder."""
        return f"{self.folder.rstrip('/')}/{name}"


def read_segment(segment: Segment) -> tuple[str, Iterator[Entry]]:
    """Return the folder of the pages and the entries of a segment.

    :raises Pan123InputError: it is cut, or not a segment.
    """
    with segment.path.open("r", encoding="utf-8") as file:  # type: ignore[no-untyped-call]
        lines = file.read().splitlines()
    try:
        header = json.loads(lines[0])
        root = header["pages"]
        if header["version"] != _VERSION or not isinstance(root, str):
            raise ValueError("another version")
    except (ValueError, LookupError, TypeError):
        raise _no_segment(segment, 1) from None
    return root, _entries(segment, lines)


def sha256(data: bytes) -> str:
    """Return the hash of a page's bytes, in hex."""
    return hashlib.sha256(data).hexdigest()


def _entries(segment: Segment, lines: Sequence[str]) -> Iterator[Entry]:
    for number, line in enumerate(lines[1:], 2):
        try:
            yield _loaded(json.loads(line))
        except (ValueError, LookupError, TypeError, RecursionError):
            raise _no_segment(segment, number) from None


def _stored(entry: Entry) -> dict[str, Any]:
    return {
        "page": entry.page,
        "encoding": list(entry.encoding),
        "before": entry.before,
        "after": entry.after,
        "replacements": [list(each) for each in entry.replacements],
    }


def _loaded(stored: Any) -> Entry:
    return Entry(
        page=str(stored["page"]),
        encoding=Encoding(*map(str, stored["encoding"])),
        before=str(stored["before"]),
        after=str(stored["after"]),
        replacements=[
            Replacement(int(start), str(old), str(new)) for start, old, new in stored["replacements"]
        ],
    )


def _no_segment(segment: Segment, line: int) -> Pan123InputError:
    return Pan123InputError(f"journal: line {line} of {str(segment.path)!r} is not an entry of a journal")
