"""Decides which images of pages are migrated: not those of 123pan, nor those on the user's own image domain."""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import Enum
from fnmatch import fnmatchcase
from functools import lru_cache
from urllib.parse import urlsplit

from airflow_provider_123pan.exceptions import Pan123InputError
from airflow_provider_123pan.service.flow import Flow
from airflow_provider_123pan.service.listing import ROOT, visit_pages
from airflow_provider_123pan.service.models import Image, Listing

#: The hosts of 123pan, official: images are at ``vip.123pan.cn``.
HOSTS_OF_123PAN = ("123pan.com", "*.123pan.com", "123pan.cn", "*.123pan.cn")
# Directories that are listed in search of one image, whose URLs show the hosts.
_MAX_LISTED = 20
_PLAIN_NETLOC = re.compile(r"https?://([0-9A-Za-z.-]+(?::[0-9]+)?)(?=[/?#])")


class Choice(Enum):
    """What happens to an image."""

    MIGRATED = "it is migrated"
    OWN = "it is on 123pan already"
    EXCLUDED = "its host is not selected"


class Selection:
    """The choice of images, by their hosts.

    :param hosts: patterns of hosts whose images are migrated, such as ``*.example.com``; None for all.
    :param exclude_hosts: patterns of hosts whose images stay.
    :param own_hosts: hosts, with their ports, whose images are in the image host already.
    """

    def __init__(
        self, hosts: Iterable[str] | None, exclude_hosts: Iterable[str] = (), own_hosts: Iterable[str] = ()
    ) -> None:
        self._hosts = None if hosts is None else _patterns("hosts", hosts)
        self._excluded = _patterns("exclude_hosts", exclude_hosts)
        self._own = frozenset(own_hosts)
        self._choice_of_host = lru_cache(maxsize=1024)(self._choose)

    def choose(self, url: str) -> Choice:
        """Return what happens to the image of a URL."""
        return self._choice_of_host(netloc_of(url))

    def _choose(self, netloc: str) -> Choice:
        if netloc in self._own or _matches(netloc, HOSTS_OF_123PAN):
            return Choice.OWN
        if _matches(netloc, self._excluded) or not (self._hosts is None or _matches(netloc, self._hosts)):
            return Choice.EXCLUDED
        return Choice.MIGRATED


def find_own_hosts(directory_ids: Iterable[str]) -> Flow[frozenset[str]]:
    """Return the hosts at which the account's images are served, as the first directory with images shows them.

    :param directory_ids: where to look first; afterwards in all directories, up to a limit.
    :returns: hosts with their ports; none if the account has no images yet.
    """
    waiting, seen = [*directory_ids, ROOT], set[str]()
    while waiting and len(seen) < _MAX_LISTED:
        directory_id = waiting.pop(0)
        if directory_id in seen:
            continue
        seen.add(directory_id)
        found: frozenset[str] | None = yield from visit_pages(
            directory_id, lambda page: _hosts_on(page, waiting)
        )
        if found:
            return found
    return frozenset()


def netloc_of(url: str) -> str:
    """Return the host of a URL in lower case, with its port if the URL names one."""
    if plain := _PLAIN_NETLOC.match(url):  # cheaper than the work below
        return plain[1].lower()
    try:
        return urlsplit(url).netloc.rpartition("@")[2].lower()
    except ValueError:
        return ""


def hosts_of(images: Iterable[Image]) -> frozenset[str]:
    """Return the hosts at which images are served."""
    urls = (url for image in images for url in (image.download_url, image.user_url) if url)
    return frozenset(filter(None, map(netloc_of, urls)))


def _hosts_on(page: Listing, waiting: list[str]) -> frozenset[str] | None:
    waiting.extend(directory.directory_id for directory in page.directories)
    return hosts_of(page.images) or None


def _matches(netloc: str, patterns: Iterable[str]) -> bool:
    host = netloc.rpartition(":")[0] or netloc
    return any(fnmatchcase(host, pattern) or fnmatchcase(netloc, pattern) for pattern in patterns)


def _patterns(field: str, patterns: Iterable[str]) -> tuple[str, ...]:
    if isinstance(patterns, str):
        raise Pan123InputError(f"{field}: give a list of hosts, such as ['*.example.com']")
    return tuple(pattern.lower() for pattern in patterns)
