"""Listings: the pages of a directory, a directory by its name, and the one that offline downloads go to by default."""

from __future__ import annotations

import time
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

from airflow_provider_123pan.exceptions import Pan123AnswerError, Pan123UnavailableError
from airflow_provider_123pan.service.flow import Flow
from airflow_provider_123pan.service.models import Image, Listing
from airflow_provider_123pan.service.protocol import MakeCall, list_directory
from airflow_provider_123pan.service.timing import RETRY_FOR_SECONDS

T = TypeVar("T")

ROOT = ""
DEFAULT_DIRECTORY = "来自:离线下载"


#: More pages than these are no directory: ten million entries, or a thousand pages in a row without any.
MAX_PAGES, MAX_EMPTY_PAGES = 100_000, 1000


class PageCursor:
    """Where a listing continues.

    :ivar last_file_id: goes with the call for the next page; None for the first one.
    :ivar ended: there is no next page. A cursor or a page that the service repeats ends the listing as well.
    """

    def __init__(self) -> None:
        self.last_file_id: str | None = None
        self.ended = False
        self._seen: set[str | int] = set()
        self._pages = self._empty_pages = 0

    def advance(self, page: Listing) -> None:
        """Go on after this page.

        :raises Pan123AnswerError: the listing does not end.
        """
        entries = (
            *(image.fileID for image in page.images),
            *(found.directory_id for found in page.directories),
        )
        self._pages += 1
        self._empty_pages = 0 if entries else self._empty_pages + 1
        if self._pages >= MAX_PAGES or self._empty_pages >= MAX_EMPTY_PAGES:
            raise Pan123AnswerError(f"the listing does not end after {self._pages} pages", call="list_images")
        self.last_file_id = page.last_file_id
        marks: set[str | int] = {hash(entries)} if entries else set()
        if page.last_file_id is not None:
            marks.add(page.last_file_id)
        self.ended = page.last_file_id is None or not self._seen.isdisjoint(marks)
        self._seen |= marks


def visit_pages(
    directory_id: str,
    visit: Callable[[Listing], T | None],
    since: datetime | None = None,
    retry_for: float = RETRY_FOR_SECONDS,
    until: float | None = None,
) -> Flow[T | None]:
    """Read the pages of a directory until ``visit`` returns something.

    :param since: only what is not older, by the service's own filter.
    :param retry_for: seconds for which each page is asked for again under load.
    :param until: no further page is requested after this time, in Unix seconds.
    :returns: what ``visit`` returned, or None after the last page.
    :raises Pan123UnavailableError: the listing has not ended at ``until``.
    """
    cursor = PageCursor()
    while not cursor.ended:
        if until is not None and cursor.last_file_id is not None and time.time() >= until:
            raise Pan123UnavailableError("the listing did not end before the deadline", call="list_images")
        page: Listing = yield MakeCall(list_directory(directory_id, since, cursor.last_file_id), retry_for)
        if (found := visit(page)) is not None:
            return found
        cursor.advance(page)
    return None


def visit_images(
    directory_id: str,
    visit: Callable[[Image], object],
    since: datetime | None = None,
    until: float | None = None,
) -> Flow[int]:
    """Pass each image of a directory to ``visit``; one that moves in the meantime perhaps twice.

    :param since: only what is not older, by the service's own filter.
    :param until: as for :func:`visit_pages`.
    :returns: the number of images.
    """
    count = 0

    def visit_page(page: Listing) -> None:
        nonlocal count
        count += len(page.images)
        for image in page.images:
            visit(image if image.directory_id is not None else replace(image, directory_id=directory_id))

    yield from visit_pages(directory_id, visit_page, since, until=until)
    return count


def find_directory(parent_id: str, name: str, retry_for: float = RETRY_FOR_SECONDS) -> Flow[str | None]:
    """Find a directory by its name; of several, the one with the first id, so that all runs agree."""

    def visit(page: Listing) -> str | None:
        same = [found.directory_id for found in page.directories if same_directory_name(found.name, name)]
        return min(same, default=None)

    return (yield from visit_pages(parent_id, visit, retry_for=retry_for))


def find_default_directories(retry_for: float = RETRY_FOR_SECONDS) -> Flow[list[str]]:
    """Find the directories that offline downloads may go to by default: none before the first image.

    There may be several of the name (third-party clients have seen it), compared as :func:`same_directory_name` does.

    :returns: their ids, in an order that all runs share.
    """
    found: list[str] = []

    def visit(page: Listing) -> None:
        found.extend(
            directory.directory_id
            for directory in page.directories
            if same_directory_name(directory.name, DEFAULT_DIRECTORY)
        )

    yield from visit_pages(ROOT, visit, retry_for=retry_for)
    return sorted(found)


def same_directory_name(name: str | None, expected: str) -> bool:
    """Return whether two directories have the same name, by NFKC and without spaces.

    The documents spell the default directory with a half-width colon, which a name cannot have; a client of the cloud
    drive shows it with a full-width one.
    """
    return name is not None and comparable_name(name) == comparable_name(expected)


def comparable_name(name: str) -> str:
    """Return the form in which the names of directories are compared."""
    return "".join(unicodedata.normalize("NFKC", name).split())
