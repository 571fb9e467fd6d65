"""Keeps placeholders from counting as images: what a host sends to clients that may not have the image.

123pan stores a placeholder as a success. It shows in that many URLs of a host have the same bytes.
"""

from __future__ import annotations

import logging
import math
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from airflow_provider_123pan.exceptions import Pan123Error
from airflow_provider_123pan.service.redaction import redact_url
from airflow_provider_123pan.source.placeholders import KNOWN_PIXELS
from airflow_provider_123pan.source.urls import host_and_port
from airflow_provider_123pan.sync.earlier_images import EarlierImages
from airflow_provider_123pan.sync.inventory import Inventory
from airflow_provider_123pan.sync.known_placeholders import KnownPlaceholders
from airflow_provider_123pan.sync.options import Fetch, SyncOptions

if TYPE_CHECKING:
    from airflow_provider_123pan.hooks.pan123 import Pan123Hook

log = logging.getLogger(__name__)

MIN_EQUAL_IMAGES = 5
MIN_SHARE = 0.2  # of a host's images
MAX_COMPARED = 20  # images with the same bytes that the worker fetches
MIN_OTHER_SHARE = 0.25  # of them of which it gets other bytes, if they are a placeholder

_ADVICE = (
    "if these images are equal in truth, pass allow_equal=True; if the host protects them, pass fetch='auto' with the "
    "headers that it wants in fetch_headers"
)


class Suspicion(NamedTuple):
    """Images that may be a placeholder: those of a host with the same bytes, or those that share a file.

    :ivar md5: of the stored bytes; None if it is not known.
    :ivar reason: why they may be one.
    """

    md5: str | None
    numbers: list[int]
    reason: str


class PlaceholderGuard:
    """Finds placeholders among the images that a sync has stored.

    :param earlier: what earlier workers stored.
    """

    def __init__(
        self, hook: Pan123Hook, inventory: Inventory, options: SyncOptions, earlier: EarlierImages
    ) -> None:
        self._hook = hook
        self._inventory = inventory
        self._options = options
        self._fetching = options.fetching
        self._earlier = earlier
        self._known = KnownPlaceholders.of(hook.settings.account)
        self._has_compared = False

    def mark(self) -> None:
        """Let the images that may be placeholders count as suspect."""
        if self._options.allow_equal:
            return
        self._earlier.read()
        for suspicion in self._suspicions():
            reason = suspicion.reason
            if self._has_compared:
                reason += "; the worker got the same bytes, or none"
            log.warning("%d images are suspect: %s", len(suspicion.numbers), reason)
            for number in suspicion.numbers:
                self._inventory.suspect(number, reason)

    def replace(self) -> bool:
        """Compare what may be placeholders with what the worker gets, once, and leave placeholders to the worker.

        A placeholder is deleted from the directory, where it has the name of an image. Equal bytes prove nothing: the
        worker may have the wrong headers.

        :returns: whether the worker is to fetch images.
        """
        if self._options.allow_equal:
            return False
        self._earlier.read()
        self._earlier.list()
        if self._has_compared or self._fetching.fetch is not Fetch.AUTO:
            return False
        self._has_compared = True
        placeholders = [suspicion for suspicion in self._suspected() if self._is_placeholder(suspicion)]
        for md5, numbers, _ in placeholders:
            log.info("%d images are a placeholder (MD5 %s); the worker will fetch them", len(numbers), md5)
            if md5:
                self._known.add(md5)
            unused = self._unused_files(numbers)
            if unused:
                self._hook.delete_images(unused)
            for number in {*numbers, *chain.from_iterable(map(self._inventory.sharing, unused))}:
                self._inventory.leave_to_worker(number)
        return bool(placeholders)

    def _unused_files(self, numbers: list[int]) -> list[str]:
        """Return the files of these images, except one that the list, by an MD5, says is another image as well."""
        files = {fileID for number in numbers if (fileID := self._inventory.file_id(number))}
        return [
            fileID
            for fileID in files
            if all(self._inventory.entry(number).md5 is None for number in self._inventory.sharing(fileID))
        ]

    def _is_placeholder(self, suspicion: Suspicion) -> bool:
        """Return whether the worker gets other bytes than those that are stored, for enough of the images.

        One image that has changed since it was stored does not make the others a placeholder.
        """
        step = math.ceil(len(suspicion.numbers) / MAX_COMPARED)
        left = suspicion.numbers[::step]
        wanted, at_once = math.ceil(MIN_OTHER_SHARE * len(left)), self._fetching.max_uploads
        with ThreadPoolExecutor(at_once, "pan123-compare") as threads:
            while left and time.time() < self._options.deadline:
                batch, left = left[:at_once], left[at_once:]
                urls = [self._inventory.entry(number).url for number in batch]
                found = [*threads.map(self._fetch_md5, urls)]
                wanted -= sum(md5 not in (None, suspicion.md5) for md5 in found)
                if wanted <= 0:
                    return True
        return False

    def _fetch_md5(self, url: str) -> str | None:
        """Return the MD5 of what the worker gets; None if it gets no image, or one that it would convert."""
        try:
            with self._fetching.access.fetch(url) as image:
                return None if self._fetching.converter.target(image) else image.etag
        except Pan123Error as error:
            log.warning("%s cannot be compared with what is stored: %s", redact_url(url), error)
            return None

    def _suspected(self) -> list[Suspicion]:
        """Return all images that may be placeholders, among them those whose new URLs serve no image."""
        unverified = [Suspicion(etag, numbers, "") for etag, numbers in self._inventory.suspects()]
        return [*self._suspicions(), *unverified]

    def _by_host(self, numbers: Iterable[int]) -> dict[str, list[int]]:
        found = defaultdict[str, list[int]](list)
        for number in numbers:
            found[host_and_port(self._inventory.entry(number).url)].append(number)
        return found

    def _suspicions(self) -> Iterator[Suspicion]:
        known = {*self._known.load()}
        by_host: dict[str, list[tuple[str, list[int]]]] = defaultdict(list)
        for md5, numbers in self._inventory.equal_images(MIN_EQUAL_IMAGES, known | KNOWN_PIXELS):
            for host, same in self._by_host(numbers).items():
                if md5 in known:
                    yield Suspicion(md5, same, f"a placeholder that was seen before (MD5 {md5}); {_ADVICE}")
                elif md5 in KNOWN_PIXELS:
                    yield Suspicion(md5, same, f"a pixel instead of an image (MD5 {md5}); {_ADVICE}")
                elif len(same) >= MIN_EQUAL_IMAGES:
                    by_host[host].append((md5, same))
        totals = self._inventory.count_by_host(by_host.keys())
        for host, groups in by_host.items():
            for md5, numbers in groups:
                if len(numbers) >= MIN_SHARE * totals[host]:
                    reason = (
                        f"{len(numbers)} of the {totals[host]} images of {host} have the same bytes (MD5 {md5}), "
                        f"perhaps those of a placeholder; {_ADVICE}"
                    )
                    yield Suspicion(md5, numbers, reason)
