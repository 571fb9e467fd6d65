"""A small blog of Markdown pages, and the two hosts that its images are on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dev import images

#: The guarded host answers only requests with this Referer.
REFERER = "https://blog.example.com/"
GUARDED_NAME = "aurora.png"
#: A page with an image of each host.
NORTH = "posts/north.md"

PAGES = {
    "index.md": """\
---
title: Hills and lights
cover: {old}/hills.svg
---
![A meadow in June]({old}/meadow.jpg)
""",
    NORTH: """\
# A night in the north

![The fjord at dusk]({old}/fjord.webp)
Then the sky turned green:
![Northern lights]({guarded}/aurora.png "At last!")
""",
    "posts/desert.md": """\
# Three days of sand

<img src="{old}/desert.bmp" alt="Dunes"> <img src="{old}/canyon.jpg" alt="A canyon">
""",
    "posts/summer.md": """\
# Summer

[![Lavender][field]][field] and a sunset that moves: ![]({old}/sunset.gif)

[field]: {old}/lavender.png
""",
    "about.md": """\
# About

Everything here is generated, also the glacier ([large]({old}/glacier.tif)): ![]({old}/lagoon.webp)
""",
}


@dataclass(frozen=True)
class Blog:
    """The pages as they were written, and their images.

    :ivar folder: the folder of the pages.
    :ivar pages: the text of each page by its name.
    :ivar images: the content of each image by its URL.
    :ivar old: base URL of the host that answers all requests.
    :ivar guarded: base URL of the host that wants a Referer.
    """

    folder: Path
    pages: dict[str, str]
    images: dict[str, bytes]
    old: str
    guarded: str

    def text(self, name: str) -> str:
        """Return the text of a page as it is now."""
        return (self.folder / name).read_bytes().decode()


@contextmanager
def published(folder: Path, pictures: Mapping[str, bytes]) -> Iterator[Blog]:
    """Write the pages below a folder, serve their images, and yield the blog.

    :param pictures: the content of each picture by its file name.
    """
    open_pictures = {name: content for name, content in pictures.items() if name != GUARDED_NAME}
    guarded_picture = {GUARDED_NAME: pictures[GUARDED_NAME]}
    with images.serve(open_pictures) as old, images.serve(guarded_picture, referer=REFERER) as numeric:
        guarded = numeric.replace("127.0.0.1", "localhost")
        pages = {name: page.format(old=old, guarded=guarded) for name, page in PAGES.items()}
        text = "\n".join(pages.values())
        hosts = {old: open_pictures, guarded: guarded_picture}
        found = {
            f"{host}/{name}": content for host, files in hosts.items() for name, content in files.items()
        }
        for name, page in pages.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(page.encode())
        yield Blog(folder, pages, {url: found[url] for url in found if url in text}, old, guarded)
