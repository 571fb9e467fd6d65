"""The texts of the pages of a folder."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import NamedTuple

from airflow_provider_123pan.pages.encoding import Encoding, decode_page
from airflow_provider_123pan.pages.folder import Page, PageFolder, UnreadablePageError, read_page

log = logging.getLogger(__name__)


class PageText(NamedTuple):
    """A page with its text, which becomes the same bytes again in its encoding."""

    page: Page
    data: bytes
    text: str
    encoding: Encoding

    @property
    def name(self) -> str:
        """Its path below the folder."""
        return self.page.name


class PageProblem(NamedTuple):
    """A page that could not be read or written.

    :ivar may_retry: whether a later try may succeed without a change by the user.
    """

    name: str
    reason: str
    may_retry: bool = False

    @classmethod
    def of(cls, name: str, error: Exception) -> PageProblem:
        """Return the problem that an error is."""
        if isinstance(error, UnreadablePageError):
            return cls(name, str(error))
        return cls(name, f"{type(error).__name__}: {error}", may_retry=True)


def read_texts(folder: PageFolder, encoding: str | None = None) -> Iterator[PageText | PageProblem]:
    """Read the pages of a folder; files that are no text are left out.

    :param encoding: of pages that are not UTF-8 and declare none; None to detect it.
    """
    for page in folder:
        try:
            data = read_page(page)
            found = decode_page(data, page.name, encoding)
        except (OSError, UnreadablePageError) as error:
            yield PageProblem.of(page.name, error)
            continue
        if found is None:
            log.info("%s is binary, and is left out", page.name)
        else:
            yield PageText(page, data, *found)
