"""Lists the directory for the images in flight. A listing of what is new finds most of them at once."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from airflow_provider_123pan.download.lookup import newness_by_dates
from airflow_provider_123pan.exceptions import Pan123Error
from airflow_provider_123pan.service.listing import visit_images
from airflow_provider_123pan.service.models import Image
from airflow_provider_123pan.service.protocol import PAGE, get_image
from airflow_provider_123pan.service.timing import READ_RETRY_SECONDS
from airflow_provider_123pan.sync.image_state import STORED
from airflow_provider_123pan.sync.in_flight import Clock, InFlight, InFlightImage
from airflow_provider_123pan.sync.inventory import Inventory
from airflow_provider_123pan.sync.matcher import Matcher
from airflow_provider_123pan.sync.recorder import Recorder
from airflow_provider_123pan.sync.source_digests import SourceDigests
from airflow_provider_123pan.sync.timing import SyncTiming

if TYPE_CHECKING:
    from airflow_provider_123pan.hooks.pan123 import Pan123Hook

log = logging.getLogger(__name__)

SAME_CONTENT = (
    "123pan fetched it, but there is no image of its name: another URL may have the same bytes, of which the "
    "service keeps one file; give its md5 in the list"
)

NO_URL = "123pan stored it, but gives no URL for it"


class Finder:
    """Lists the directory for one worker.

    :param deadline: Unix seconds; no listing goes on after it.
    :param digests: of the sources of images that do not appear.
    :param directory_ids: returns the ids of the directories of given images in flight, none as long as the default one
        does not exist.
    """

    def __init__(
        self,
        hook: Pan123Hook,
        inventory: Inventory,
        in_flight: InFlight,
        recorder: Recorder,
        matcher: Matcher,
        digests: SourceDigests,
        directory_ids: Callable[[Iterable[int]], list[str]],
        *,
        deadline: float,
        timing: SyncTiming,
        clock: Clock,
    ) -> None:
        self._hook = hook
        self._inventory = inventory
        self._in_flight = in_flight
        self._recorder = recorder
        self._matcher = matcher
        self._digests = digests
        self._directory_ids = directory_ids
        self._deadline = deadline
        self._timing = timing
        self._clock = clock
        self._failing_since: float | None = None  # listings
        self._listed_until: datetime | None = None  # by the service's clock
        self._new = 0  # images in the last listing of what is new
        self._directories = 1  # in the last listing
        self._same_bytes: set[int] = set()  # callbacks named another entry's file for them
        self._scan_pause, self._scan_at = timing.wait.settling, 0.0
        self._rest_until = 0.0
        self._digest_at = 0.0  # when the last digest of a source came, in Unix seconds
        self.scanned_at = 0.0  # when the last listing of everything began, in Unix seconds

    @property
    def since(self) -> datetime:
        """A moment by the service's clock: an older image was in an earlier listing, or appears in none."""
        oldest = self._in_flight.oldest() - self._timing.skew
        if self._listed_until is None or any(pending.succeeded_at for pending in self._in_flight):
            return oldest  # what succeeded and has not appeared may be listed later still
        return max(oldest, self._listed_until - self._timing.late_listing)

    @property
    def pages(self) -> int:
        """The number of calls that a listing of what is new takes."""
        return self._directories + self._new // PAGE

    def list_new(self) -> None:
        """List what is new, and record the images in flight that are there."""
        new: list[Image] = []
        began = datetime.fromtimestamp(self._clock() + self._in_flight.ahead, timezone.utc)
        if self._survey(new.append, self.since):
            self._listed_until = began
        self._new = len(new)
        self._matcher.match(new)
        only = self._in_flight.only()
        if only and only.number in self._in_flight.alone and only.succeeded_at:
            self._take_the_changed(only, new)

    def _take_the_changed(self, only: InFlightImage, listed: list[Image]) -> None:
        """Take the single file that changed since an image was submitted alone: the one with the same bytes.

        The service may list older ones as well. A change that may be a mere download needs a callback that names it.
        """
        since = datetime.fromtimestamp(only.submitted_at, timezone.utc)
        dates = newness_by_dates(since, self._timing.skew, since)
        changed = {image.fileID: image for image in listed if dates.certain(image) or dates.touched(image)}
        if len(changed) != 1:
            return
        (image,) = changed.values()
        is_named = any(delivery.fileID == image.fileID for delivery in only.deliveries)
        if self._is_on_the_list(image) and (dates.certain(image) or is_named):
            self._recorder.found(only, image, "renamed")

    def _is_on_the_list(self, image: Image) -> bool:
        """Whether it is an image of the list that has ended, and not one of another sync."""
        number = self._inventory.entry_named(image)
        return number is not None and self._inventory.state(number) in STORED

    def window(self, pending: InFlightImage) -> float:
        """Seconds after its success within which an image appears, or is submitted again."""
        again = pending.number in self._same_bytes and not pending.attempt
        return self._timing.resubmit_after if again else self._timing.wait.visible_within

    def scan_if_due(self) -> None:
        """List everything for those that succeeded and are not new: an overwritten file may keep its date."""
        now = self._clock()
        for pending in self._in_flight:
            if pending.succeeded_at and now - pending.sent_at > self._patience:
                self._digests.ask(pending, self._inventory.entry(pending.number).url, self.scanned_at)
        if self._digests.collect(now):
            self._digest_at = now
            self._scan_at = min(self._scan_at, self._rest_until)
        # Equal bytes prove an image at once; other evidence has to settle.
        settling = self._timing.wait.settling
        invisible = [
            pending
            for pending in self._in_flight
            if pending.succeeded_at and (pending.digest or now - pending.succeeded_at > settling)
        ]
        # The last look at an image is not put off, unless the listings take long.
        window = self._timing.wait.visible_within
        ends = (pending.succeeded_at + window for pending in invisible if pending.succeeded_at)
        last = any(self.scanned_at <= end < now for end in ends) and now >= self._rest_until
        if not invisible or (now < self._scan_at and not last):
            return
        self._scan(invisible, now)
        found = any(pending.number not in self._in_flight for pending in invisible)
        self._scan_pause = settling if found else min(self._scan_pause * 2, self._timing.max_scan)
        took = self._clock() - now
        self._rest_until = self._clock() + 4 * took
        self._scan_pause = max(self._scan_pause, 4 * took)
        self._scan_at = self._clock() + self._scan_pause

    def poll_late(self) -> None:
        """Poll what takes longer to appear than others did: it may be kept under another name."""
        now = self._clock()
        for pending in self._in_flight:
            if not pending.was_polled and now - pending.sent_at > self._patience:
                pending.poll_soon(now)

    @property
    def awaits_digests(self) -> bool:
        """Whether the source of an image is being asked, or may be soon, or the directory is to be listed for it."""
        if self._digests.requests:
            return True
        if self._digest_at > self.scanned_at and any(
            each.digest and each.succeeded_at for each in self._in_flight
        ):
            return True
        return self._patience < self._timing.resubmit_after and any(
            (pending.succeeded_at or not pending.was_polled) and not self._digests.was_asked(pending)
            for pending in self._in_flight
        )

    @property
    def _patience(self) -> float:
        """Seconds after its submission from which an image takes longer to appear than others do."""
        longest = self._recorder.longest
        if longest is None:
            return self._timing.resubmit_after
        return (1 if self._recorder.shares_files else 2) * longest + self._timing.wait.settling

    def _scan(self, invisible: list[InFlightImage], now: float) -> None:
        for pending in invisible:
            self._look_at_named_files(pending)
        if not any(pending.number in self._in_flight for pending in invisible):
            return
        last = [
            pending
            for pending in invisible
            if pending.succeeded_at and now - pending.succeeded_at > self._timing.wait.visible_within
        ]
        images: list[Image] = []
        keep = self._matcher.keep(images, last=bool(last))
        if self._survey(keep, None):
            self.scanned_at = now
            self._matcher.match(images, last, complete=True)

    def _look_at_named_files(self, pending: InFlightImage) -> None:
        """Look at the files that callbacks named.

        The name of another entry's image proves nothing, unless both have the same source URL: the service keeps one of
        several images with the same content.
        """
        for fileID in {delivery.fileID for delivery in pending.deliveries if delivery.fileID}:
            try:
                image = self._hook.client.call(get_image(fileID), READ_RETRY_SECONDS)
            except Pan123Error as error:
                log.info("File %s, which a callback named, is not there: %s", fileID, error)
                continue
            if image.directory_id not in self._directory_ids([pending.number]):
                continue
            number = self._inventory.entry_named(image)
            if number is None or number == pending.number:
                self._matcher.match([image])
            elif self._inventory.canonical_digest(number) == pending.canonical_digest:
                self._recorder.found(pending, image, "callback")
            else:
                self._same_bytes.add(pending.number)
            if pending.number not in self._in_flight:
                return

    def _survey(self, visit: Callable[[Image], object], since: datetime | None) -> bool:
        """List the directory; return False if that failed and will be tried again."""
        try:
            directory_ids = self._directory_ids(pending.number for pending in self._in_flight)
            self._directories = max(1, len(directory_ids))
            for directory_id in directory_ids:
                self._hook.client.run(visit_images(directory_id, visit, since, until=self._deadline))
        except Pan123Error as error:
            self._failing_since = self._failing_since or self._clock()
            may_pass = error.retryable or error.transient
            if not may_pass or self._clock() - self._failing_since > self._timing.retry_for:
                raise
            log.warning("The directory will be listed again later: %s", error)
            return False
        self._failing_since = None
        return True
