"""Finds the images that a feed (RSS or Atom) shows: in its content, as enclosures, and as its logo."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape

from airflow_provider_123pan.exceptions import Pan123DocumentError
from airflow_provider_123pan.rewriting.images import find_images
from airflow_provider_123pan.source.xml_stream import Element, read_xml

_ROOTS = frozenset({"rss", "feed", "rdf"})


def images_of_feed(blocks: Iterable[bytes], name: str) -> Iterator[str]:
    """Yield the URL of each image once.

    :param blocks: the bytes of the feed.
    :param name: its name in errors.
    :raises Pan123DocumentError: it cannot be read; the message names it.
    """
    known: set[str] = set()
    for element in read_xml(blocks, name):
        if element.path[0] not in _ROOTS:
            raise Pan123DocumentError(f"{name} is not a feed, its root element is <{element.path[0]}>")
        for html in _as_html(element):
            for image in find_images(html):
                if image.url not in known:
                    known.add(image.url)
                    yield image.url


def _as_html(element: Element) -> Iterator[str]:
    """Yield an element's start and its text as HTML, where an image is marked as one."""
    name, attributes = element.path[-1], element.attributes
    kind = attributes.get("type", "")
    if kind.startswith("image/") or attributes.get("medium") == "image" or name == "thumbnail":
        url = attributes.get("url") or attributes.get("href") or attributes.get("src") or ""
        yield f'<img src="{escape(url)}">'
    elif attributes and "/" not in kind:  # otherwise it refers to a page, a sound or a film
        spelled = " ".join(f'{key}="{escape(value)}"' for key, value in attributes.items())
        yield f"<{name} {spelled}>"
    if element.text:
        yield f"<{'image' if element.path[-2:] == ('image', 'url') else name}>{element.text}"
