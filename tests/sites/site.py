"""A site whose pages can be shown with old and with new URLs."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

# In the text of a page: an image by its number, and a string that PHP serializes.
_MARK = re.compile("\ue000([0-9]+)\ue001")
_BROKEN = re.compile(r's:\d{9,}:"https:')
_PHP = re.compile("\ue002([^\ue002\ue003]*)\ue003")


class Planted(NamedTuple):
    """An image in a page.

    :ivar url: its canonical URL, or None if it must stay because its host is excluded.
    :ivar spelled: the URL as the page has it.
    :ivar respell: how the page must have the new URL.
    """

    url: str | None
    spelled: str
    respell: Callable[[str], str]


def image_mark(number: int) -> str:
    """Return what stands for an image in the text of a page."""
    return f"\ue000{number}\ue001"


def php_mark(text: str) -> str:
    """Return what stands for a string that PHP serializes."""
    return f"\ue002{text}\ue003"


@dataclass
class Page:
    """A page with marks for its images.

    :ivar encoding: as Python calls it.
    :ivar newline: how its lines end.
    """

    text: str
    encoding: str
    newline: str
    planted: list[Planted]

    def images(self) -> Iterator[Planted]:
        """Yield its images in the order of the text."""
        for mark in _MARK.finditer(self.text):
            yield self.planted[int(mark[1])]

    def shown(self, spell: Callable[[Planted], str]) -> str:
        """Return the text with a spelling for each image."""
        text = _MARK.sub(lambda mark: spell(self.planted[int(mark[1])]), self.text)
        while _PHP.search(text):  # the innermost strings first
            text = _PHP.sub(lambda string: f's:{len(string[1].encode())}:"{string[1]}";', text)
        return text

    def content(self, spell: Callable[[Planted], str]) -> bytes:
        """Return the bytes of the page with a spelling for each image."""
        return self.shown(spell).replace("\n", self.newline).encode(self.encoding)


@dataclass
class Site:
    """Files by their paths below the site's folder."""

    pages: dict[str, Page] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Write the site into a new folder."""
        for name, content in self.before().items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

    def before(self) -> dict[str, bytes]:
        """Return all files with old URLs."""
        return self.files | {
            name: page.content(lambda each: each.spelled) for name, page in self.pages.items()
        }

    def expected(self, new: Mapping[str, str]) -> dict[str, bytes]:
        """Return all files with new URLs.

        :param new: the new URL of each image, by its canonical URL.
        """

        def spell(image: Planted) -> str:
            return image.spelled if image.url is None else image.respell(new[image.url])

        return self.files | {name: page.content(spell) for name, page in self.pages.items()}

    def urls(self) -> Counter[str]:
        """Return how often each image is planted, by its canonical URL."""
        planted = (image.url for page in self.pages.values() for image in page.images())
        return Counter(url for url in planted if url is not None)

    def excluded(self) -> int:
        """Return how many images of excluded hosts are planted."""
        return sum(image.url is None for page in self.pages.values() for image in page.images())

    def broken(self) -> int:
        """Return how many images are in strings that PHP cannot read."""
        return sum(len(_BROKEN.findall(page.text)) for page in self.pages.values())

    def changing(self) -> set[str]:
        """Return the pages that show an image to be migrated."""
        return {name for name, page in self.pages.items() if any(image.url for image in page.images())}
