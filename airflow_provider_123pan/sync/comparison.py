"""Compares a list with what its directory holds before anything is submitted."""

from __future__ import annotations

import logging
from datetime import datetime, timezone

from airflow_provider_123pan.download.search import get_image_or_none
from airflow_provider_123pan.exceptions import Pan123UnavailableError, Pan123VerifyingError
from airflow_provider_123pan.service.flow import Flow
from airflow_provider_123pan.service.models import Image
from airflow_provider_123pan.sync.finder import NO_URL
from airflow_provider_123pan.sync.first_scan import FirstScan
from airflow_provider_123pan.sync.image_state import ImageState
from airflow_provider_123pan.sync.in_flight import InFlight
from airflow_provider_123pan.sync.inventory import Inventory
from airflow_provider_123pan.sync.known_contents import KnownContents
from airflow_provider_123pan.sync.timing import SyncTiming

log = logging.getLogger(__name__)


class Comparison:
    """The comparison at the start of a sync.

    :param in_flight: what an earlier try left in flight; an image that is there is taken out.
    :param contents: what earlier syncs found out about images that are stored under other names.
    :param overwrite: only what an earlier try of this sync made counts as there.
    :ivar first_scan: what the directory holds; None if only a part of it is listed.
    """

    def __init__(
        self,
        inventory: Inventory,
        in_flight: InFlight,
        contents: KnownContents,
        timing: SyncTiming,
        *,
        overwrite: bool,
    ) -> None:
        self._inventory = inventory
        self._in_flight = in_flight
        self._contents = contents
        self._timing = timing
        self._overwrite = overwrite
        self._newest: dict[int, datetime | None] = {}  # of images that are known by their names alone
        self.first_scan = FirstScan() if self.since is None else None

    @property
    def since(self) -> datetime | None:
        """The moment from which images are listed, by the service's clock; None: all are."""
        began_at = self._in_flight.began_at
        if not self._overwrite or began_at is None:
            return None
        return datetime.fromtimestamp(began_at, timezone.utc) - self._timing.skew

    def compare(self, image: Image) -> None:
        """Compare an image of the directory with the list."""
        if self.first_scan:
            self.first_scan.add(image, self._inventory.folder_of(image))
        if self._overwrite and not self._was_made_by_this_sync(image):
            return
        for number in (*self._inventory.matches(image), *self._contents.with_md5(image.etag)):
            if self._inventory.may_be_converted(number, image):
                if not self._is_newest(number, image):
                    continue
            elif not (
                self._inventory.key_of(image) == self._inventory.key(number)
                or self._inventory.is_missing(number)
            ):
                continue
            self._in_flight.remove(number)
            self._record(number, image, ImageState.MIGRATED if self._overwrite else ImageState.PRESENT)

    def find_urls(self) -> Flow[None]:
        """Request the URLs that the listing left out; an image without one is no result.

        :raises Pan123UnavailableError: the service is unavailable for two images in succession, so it is not the image.
        """
        was_unavailable = False
        for number, fileID in self._inventory.present_without_url():
            image, unavailable = None, False
            try:
                image = yield from get_image_or_none(fileID)
            except (Pan123UnavailableError, Pan123VerifyingError) as error:
                unavailable = isinstance(error, Pan123UnavailableError)
                if unavailable and was_unavailable:
                    raise
                log.info("File %s has no URL yet: %s", fileID, error)
            was_unavailable = unavailable
            if image and (image.rejected or image.download_url or image.user_url):
                self._record(number, image, self._inventory.state(number))
            else:
                self._inventory.record(number, ImageState.FAILED, image, reason=NO_URL)

    def _record(self, number: int, image: Image, state: ImageState) -> None:
        """Record an image in a state, unless review rejected it."""
        if image.rejected:
            reason = f"rejected by review (status {image.status})"
            self._inventory.record(number, ImageState.FAILED, image, reason=reason)
        else:
            self._inventory.record(number, state, image)

    def _is_newest(self, number: int, image: Image) -> bool:
        """Return whether nothing that is there fits an entry better than an image that fits by its name alone.

        That is what fits by more than its name, or was changed later.
        """
        if number not in self._newest and not self._inventory.is_missing(number):
            return False
        newest = self._newest.get(number)
        if newest and image.changed_at and image.changed_at < newest:
            return False
        self._newest[number] = image.changed_at or newest
        return True

    def _was_made_by_this_sync(self, image: Image) -> bool:
        """Whether the image was created after the first try began; the service may filter by another date."""
        return self.since is not None and image.appeared_at is not None and image.appeared_at >= self.since
