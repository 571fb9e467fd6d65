"""Listings end, whatever the service answers."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_123pan.exceptions import Pan123AnswerError, Pan123UnavailableError
from airflow_provider_123pan.service import listing
from airflow_provider_123pan.service.flow import drive
from airflow_provider_123pan.service.listing import visit_images
from airflow_provider_123pan.service.models import Image, Listing
from tests.support import image

Page = Callable[[int], Listing]


def page(number: int, last: str | None, size: int = 2) -> Listing:
    """Return a page with images of its own."""
    images = tuple(image(file_id=f"f{number}-{place}") for place in range(size))
    return Listing(images, (), last)


def visited(answer: Page, **arguments: Any) -> list[Image]:
    """List a directory whose pages ``answer`` gives by their numbers, and return what was visited."""
    pages = 0

    def perform(_: Any) -> Listing:
        nonlocal pages
        pages += 1
        assert pages < 2000, "the listing does not end"
        return answer(pages)

    found: list[Image] = []
    count = drive(visit_images("dir", found.append, **arguments), perform)
    assert count == len(found)
    return found


@pytest.mark.parametrize(
    ("answer", "images"),
    [
        (lambda number: page(number, f"c{number}" if number < 500 else None), 1000),
        (lambda number: page(number, f"c{number}" if number < 500 else None, size=number % 2), 250),
        (lambda number: page(number, "same"), 4),
        (lambda number: page(number, f"c{number % 3}"), 8),
        (lambda number: page(7, f"c{number}"), 4),
        (lambda number: page(number % 3, f"c{number}"), 8),
    ],
    ids=["good", "some empty", "one cursor", "a circle of cursors", "one page", "a circle of pages"],
)
def test_a_listing_ends_at_a_repeated_cursor_or_page(answer: Page, images: int) -> None:
    assert len(visited(answer)) == images


@pytest.mark.parametrize("size", [0, 1])
def test_endless_new_cursors_are_an_error(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    if size:
        monkeypatch.setattr(listing, "MAX_PAGES", 1000)
    with pytest.raises(Pan123AnswerError, match="does not end after 1000 pages"):
        visited(lambda number: page(number, f"c{number}", size))


def test_a_deadline_ends_a_listing_that_has_begun() -> None:
    assert len(visited(lambda number: page(number, None), until=0.0)) == 2
    with pytest.raises(Pan123UnavailableError, match="did not end before the deadline"):
        visited(lambda number: page(number, f"c{number}"), until=time.time())
