"""The listings of a directory that all watches of one process share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone

from airflow_provider_123pan.account.shared_client import SharedClient
from airflow_provider_123pan.service.listing import PageCursor
from airflow_provider_123pan.service.models import Image
from airflow_provider_123pan.service.protocol import list_directory

#: A listing of more pages is not kept for other watches, which then make their own.
MAX_KEPT_PAGES = 20


@dataclass(frozen=True, slots=True)
class KeptListing:
    """A listing that other watches may use.

    :ivar started: by the clock of the event loop.
    """

    since: int
    started: float
    pages: tuple[tuple[Image, ...], ...]


class SharedLister:
    """Lists one directory of a connection.

    :ivar users: number of watches; the last one removes the lister.
    """

    def __init__(self, shared: SharedClient, directory_id: str) -> None:
        self._shared = shared
        self._directory_id = directory_id
        self._lock = asyncio.Lock()
        self._kept: KeptListing | None = None
        self.users = 0

    async def pages(self, since: int, max_age: float) -> AsyncGenerator[tuple[Image, ...], None]:
        """Yield the images of each page, newest first.

        :param since: Unix seconds; only what is not older.
        :param max_age: another watch's listing may have started so many seconds ago.
        """
        loop = asyncio.get_running_loop()
        async with self._lock:
            kept = self._kept
            if kept and kept.since == since and loop.time() - kept.started <= max_age:
                for images in kept.pages:
                    yield images
                return
            self._kept = None
            started, pages = loop.time(), list[tuple[Image, ...]]()
            async for images in self._list(since):
                if len(pages) <= MAX_KEPT_PAGES:
                    pages.append(images)
                yield images
            if len(pages) <= MAX_KEPT_PAGES:
                self._kept = KeptListing(since, started, tuple(pages))

    async def _list(self, since: int) -> AsyncGenerator[tuple[Image, ...], None]:
        shared, cursor = self._shared, PageCursor()
        oldest = datetime.fromtimestamp(since, timezone.utc)
        while not cursor.ended:
            await shared.queue.enqueue(asyncio.get_running_loop().time())
            page = await shared.client.call(list_directory(self._directory_id, oldest, cursor.last_file_id))
            cursor.advance(page)
            yield page.images


_listers: dict[tuple[SharedClient, str], SharedLister] = {}


@contextmanager
def shared_lister(shared: SharedClient, directory_id: str) -> Iterator[SharedLister]:
    """Share the lister of a directory within ``with``."""
    key = (shared, directory_id)
    lister = _listers.setdefault(key, SharedLister(shared, directory_id))
    lister.users += 1
    try:
        yield lister
    finally:
        lister.users -= 1
        if not lister.users:
            del _listers[key]
