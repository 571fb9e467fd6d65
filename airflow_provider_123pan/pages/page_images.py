"""The images of the pages as a sync's list: in a file, which the workers after a deferral read again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from airflow_provider_123pan.pages.folder import opened_folder
from airflow_provider_123pan.pages.page_text import PageProblem, PageText
from airflow_provider_123pan.pages.selection import Choice, Selection
from airflow_provider_123pan.rewriting import find_images
from airflow_provider_123pan.source.signatures import configured_parameters
from airflow_provider_123pan.source.urls import canonical_url
from airflow_provider_123pan.sync.atomic_file import write_file
from airflow_provider_123pan.sync.raw_entries import RawEntry

#: Begins the place of an entry, which is the page that shows the image first.
_PLACE = "page "


class PageImages:
    """The images of pages that are to be migrated, each once."""

    def __init__(self, selection: Selection) -> None:
        self._selection = selection
        self._parameters = configured_parameters()
        self._seen: set[str] = set()

    def add(self, url: str) -> bool:
        """Return whether an image is to be migrated and was not seen before."""
        canonical = canonical_url(url, self._parameters)
        if canonical in self._seen or self._selection.choose(url) is not Choice.MIGRATED:
            return False
        self._seen.add(canonical)
        return True

    def of_page(self, page: PageText) -> Iterator[RawEntry]:
        """Yield the images that a page shows first."""
        for image in find_images(page.text):
            if self.add(image.url):
                yield RawEntry(f"{_PLACE}{page.name}", {"url": image.url})


def write_images(
    path: str, pages: Iterable[PageText | PageProblem], selection: Selection, owner: str
) -> None:
    """Write the images of pages to a file, after those of an earlier try, whose pages may be rewritten already."""
    write_file(opened_folder("journal", path), _lines(path, pages, PageImages(selection)), owner)


def read_images(path: str) -> Iterator[RawEntry]:
    """Yield the images of such a file; none if it does not exist."""
    place = opened_folder("journal", path)
    if not place.exists():
        return
    with place.open("r", encoding="utf-8") as file:  # type: ignore[no-untyped-call]
        for line in file:
            page, url = json.loads(line)
            yield RawEntry(f"{_PLACE}{page}", {"url": url})


def without_place(reason: str) -> str:
    """Return why an image failed, without the page that showed it first."""
    if not reason.startswith(_PLACE):
        return reason
    return reason.removeprefix(_PLACE).partition(": ")[2] or reason


def _lines(path: str, pages: Iterable[PageText | PageProblem], images: PageImages) -> Iterator[str]:
    for entry in read_images(path):
        if images.add(entry.values["url"]):
            yield _line(entry)
    for page in pages:
        if isinstance(page, PageText):
            yield from map(_line, images.of_page(page))


def _line(entry: RawEntry) -> str:
    return json.dumps([entry.place.removeprefix(_PLACE), entry.values["url"]]) + "\n"
