"""Rewrites the pages of a folder: each one once, atomically, after its entry in the journal."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

from airflow_provider_123pan.pages.folder import (
    PageFolder,
    UnreadablePageError,
    opened_folder,
    page_at,
    read_page,
)
from airflow_provider_123pan.pages.page_journal import Entry, PageJournal, Replacement, read_segment, sha256
from airflow_provider_123pan.pages.page_text import PageProblem, PageText, read_texts
from airflow_provider_123pan.rewriting import Addresses, Edit
from airflow_provider_123pan.rewriting.replacing import LeftImage, replacements_and_rest
from airflow_provider_123pan.sync.atomic_file import discard_unfinished, write_file

log = logging.getLogger(__name__)

# Pages whose entries are written together, and their bytes.
_MAX_PAGES, _MAX_BYTES = 100, 8 * 1024 * 1024
# Pages that are written at once: most of the time is spent on waiting for the storage.
_WRITERS = 8


@dataclass(frozen=True, slots=True)
class RewrittenPage:
    """A page that is done.

    :ivar text: its text before.
    :ivar edits: what was replaced in it; empty if nothing was.
    :ivar rest: the images in it that stay.
    :ivar was_rewritten: an earlier try of this task has rewritten it.
    """

    name: str
    text: str
    edits: Sequence[Edit] = ()
    rest: Sequence[LeftImage] = ()
    was_rewritten: bool = False


class _Change(NamedTuple):
    """A page that is to be rewritten, and its bytes after it."""

    page: PageText
    edits: list[Edit]
    rest: list[LeftImage]
    after: bytes


class Rewriter:
    """Rewrites pages.

    :param addresses: new URLs by old URL.
    :param owner: the task, by which earlier tries of it are recognized.
    :param encoding: of pages that are not UTF-8 and declare none; None to detect it.
    """

    def __init__(
        self,
        folder: PageFolder,
        addresses: Addresses,
        journal: PageJournal,
        owner: str,
        encoding: str | None = None,
    ) -> None:
        self._folder = folder
        self._addresses = addresses
        self._journal = journal
        self._owner = owner
        self._encoding = encoding
        self._earlier: dict[str, str] = {}  # the hash after, by page

    def run(self) -> Iterator[RewrittenPage | PageProblem]:
        """Rewrite the pages, and yield each one when it is done."""
        self._recover()
        with ThreadPoolExecutor(_WRITERS, "pan123-pages") as writers:
            yield from self._rewrite(writers)

    def _rewrite(self, writers: ThreadPoolExecutor) -> Iterator[RewrittenPage | PageProblem]:
        batch: list[_Change] = []
        size = 0
        for page in read_texts(self._folder, self._encoding):
            if isinstance(page, PageProblem):
                yield page
                continue
            edits, rest = replacements_and_rest(page.text, self._addresses)
            if not edits:
                was_rewritten = self._earlier.get(page.name) == sha256(page.data)
                yield RewrittenPage(page.name, page.text, rest=rest, was_rewritten=was_rewritten)
                continue
            try:
                after = page.encoding.encode(replaced(page.text, edits))
            except UnicodeError:
                problem = f"a new URL cannot be written in its encoding, {page.encoding.name}"
                yield PageProblem(page.name, problem)
                continue
            batch.append(_Change(page, edits, rest, after))
            size += len(after)
            if len(batch) >= _MAX_PAGES or size >= _MAX_BYTES:
                yield from self._write(batch, writers)
                batch, size = [], 0
        yield from self._write(batch, writers)

    def _recover(self) -> None:
        """Read what earlier tries of this task have rewritten, and remove what a crash left beside a page."""
        for segment in self._journal.segments():
            if segment.owner != self._owner:
                continue
            root, entries = read_segment(segment)
            place = opened_folder("pages", root)
            for entry in entries:
                discard_unfinished(page_at(place, entry.page).path, self._owner)
                self._earlier[entry.page] = entry.after

    def _write(
        self, batch: Sequence[_Change], writers: ThreadPoolExecutor
    ) -> Iterator[RewrittenPage | PageProblem]:
        if not batch:
            return
        self._journal.write(self._owner, self._folder.root, [_entry(change) for change in batch])
        for change, problem in zip(batch, writers.map(self._replace, batch), strict=True):
            yield problem or RewrittenPage(change.page.name, change.page.text, change.edits, change.rest)
        log.info("Wrote %d pages, the last one is %s", len(batch), batch[-1].page.name)

    def _replace(self, change: _Change) -> PageProblem | None:
        """Write a page, in a thread of its own."""
        page = change.page
        try:
            if read_page(page.page) != page.data:
                return PageProblem(page.name, "it was edited while the task ran; the next run rewrites it")
            write_file(page.page.path, [change.after], self._owner)
        except (OSError, UnreadablePageError) as error:
            return PageProblem.of(page.name, error)
        return None


def replaced(text: str, edits: Sequence[Edit]) -> str:
    """Return a text with edits, which are in its order."""
    parts: list[str] = []
    done = 0
    for start, end, new in edits:
        parts += text[done:start], new
        done = end
    return "".join([*parts, text[done:]])


def _entry(change: _Change) -> Entry:
    page = change.page
    return Entry(
        page.name,
        page.encoding,
        before=sha256(page.data),
        after=sha256(change.after),
        replacements=[Replacement(start, page.text[start:end], new) for start, end, new in change.edits],
    )
