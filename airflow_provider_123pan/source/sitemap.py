"""Reads the images that a website's sitemaps list."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Generator, Iterator
from itertools import islice
from urllib.parse import urljoin, urlsplit

from airflow_provider_123pan.exceptions import Pan123DocumentError
from airflow_provider_123pan.service.redaction import redact_url
from airflow_provider_123pan.source.xml_stream import read_xml

#: The protocol allows 50,000 sitemaps in one index.
MAX_SITEMAPS = 50_000
_SITEMAP_LINE = re.compile(r"\s*sitemap\s*:\s*(?P<url>[^\s#]\S*)", re.IGNORECASE)
_ROBOTS_BLOCKS = 8  # half a MiB, as RFC 9309 asks


def read_sitemap(url: str, read: Callable[[str], Iterator[bytes]]) -> Iterator[str]:
    """Yield the source URLs of the images in a sitemap, and in those that it refers to.

    :param url: of a sitemap, an index of sitemaps, or a ``robots.txt`` that names some.
    :param read: yields the bytes of the document at a URL.
    :raises Pan123DocumentError: one of them cannot be read; the message names it.
    """
    waiting, known = deque([url]), {url}
    while waiting:
        place = waiting.popleft()
        if urlsplit(place).path.endswith("/robots.txt"):
            others = _sitemaps_of_robots(place, read(place))
        else:
            others = yield from _images(place, read(place))
        for other in others:
            if other not in known:
                if len(known) > MAX_SITEMAPS:
                    raise Pan123DocumentError(
                        f"{redact_url(url)} refers to more than {MAX_SITEMAPS} sitemaps"
                    )
                known.add(other)
                waiting.append(other)


def _sitemaps_of_robots(url: str, blocks: Iterator[bytes]) -> list[str]:
    """Return the URLs of the sitemaps that a ``robots.txt`` names."""
    robots = b"".join(islice(blocks, _ROBOTS_BLOCKS)).decode("utf-8-sig", "replace")
    # The standard library's parser would decode the percent-encoding of the URLs.
    found = filter(None, map(_SITEMAP_LINE.match, robots.splitlines()))
    if not (sitemaps := [urljoin(url, line["url"]) for line in found]):
        raise Pan123DocumentError(f"{redact_url(url)} names no sitemap; pass the URL of the sitemap")
    return sitemaps


def _images(url: str, blocks: Iterator[bytes]) -> Generator[str, None, list[str]]:
    """Yield the images of a sitemap, and return the sitemaps of an index."""
    name, others = redact_url(url), []
    for path, _, text in read_xml(blocks, name):
        if path[0] not in ("urlset", "sitemapindex"):
            advice = "; use from_feed for a feed" if path[0] in ("rss", "feed", "rdf") else ""
            raise Pan123DocumentError(f"{name} is not a sitemap, its root element is <{path[0]}>{advice}")
        if path[-1] != "loc" or not (found := text.strip()):
            continue
        if path[-2] == "image":
            yield found
        elif path[-2] == "sitemap":
            others.append(urljoin(url, found))
    return others
