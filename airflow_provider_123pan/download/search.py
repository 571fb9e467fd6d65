"""Searches the directory of a submission for its image."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timezone

from airflow_provider_123pan.callbacks.delivery import Delivery
from airflow_provider_123pan.download.lookup import (
    Evidence,
    Match,
    Newness,
    Stage,
    choose_image,
    newness_by_dates,
)
from airflow_provider_123pan.download.names import Likeness, compare_names
from airflow_provider_123pan.download.submission import Submission
from airflow_provider_123pan.download.timing import WaitTiming
from airflow_provider_123pan.exceptions import (
    Pan123AnswerError,
    Pan123Error,
    Pan123RateLimitError,
    Pan123ServiceError,
    Pan123VerifyingError,
)
from airflow_provider_123pan.service.flow import Flow
from airflow_provider_123pan.service.listing import (
    DEFAULT_DIRECTORY,
    find_default_directories,
    same_directory_name,
    visit_pages,
)
from airflow_provider_123pan.service.models import Image, Listing
from airflow_provider_123pan.service.protocol import MakeCall, get_image
from airflow_provider_123pan.service.timing import READ_RETRY_SECONDS

log = logging.getLogger(__name__)


class ImageSearch:
    """The search for one submission's image, from its first look to its last.

    It remembers what it saw: where dates do not help, an image that an earlier look did not show is preferred.

    :param has_succeeded: the service reports success. Otherwise only an image that is certainly new is found.
    """

    def __init__(
        self,
        submission: Submission,
        timing: WaitTiming,
        clock: Callable[[], float] = time.time,
        *,
        has_succeeded: bool = False,
    ) -> None:
        self._submission = submission
        self._timing = timing
        self._clock = clock
        self._has_succeeded = has_succeeded
        self._seen: frozenset[str] | None = None  # ids that the first complete look showed
        self._named: dict[str, Image | None] = {}  # the latest answers about the ids that deliveries name

    def find(self, deliveries: Iterable[Delivery], stage: Stage) -> Flow[Match | None]:
        """Look once.

        :param stage: how long the image has had time to appear. At first only new images are listed, later all.
        """
        if self._submission.file_name is None:
            return None
        fileIDs = {delivery.fileID for delivery in deliveries if delivery.fileID}
        verifying = yield from self._look_at(fileIDs)
        named = (self._named.get(fileID) for fileID in fileIDs)
        images = {image.fileID: image for image in named if image and self._is_in_its_directory(image)}
        evidence = Evidence(self._submission.file_name, fileIDs | images.keys())
        listed = set[str]()
        if match := self._choose(images, evidence, Stage.FIRST):
            return match
        directory_id = self._submission.directory_id
        directory_ids = (
            [directory_id] if directory_id else (yield from find_default_directories(READ_RETRY_SECONDS))
        )
        moment = self._submission.moment
        since = moment - self._timing.clock_skew if moment and stage is Stage.FIRST else None
        for searched_id in directory_ids:
            match = yield from self._list(searched_id, images, listed, evidence, since)
            if match:
                return match
        # An image in verification may be the newer one.
        weakest = Stage.SETTLED if verifying - listed else Stage.FINAL
        match = self._choose(images, evidence, min(stage, weakest))
        if stage is not Stage.FIRST and self._seen is None:
            self._seen = frozenset(listed)
        return match

    def _look_at(self, fileIDs: Iterable[str]) -> Flow[set[str]]:
        """Look at the files that deliveries name, and return the ids of those that the service verifies.

        A delivery may name anything, so a failure is not the end of the look: the earlier answer remains, and the
        directory is listed. After a refusal because of the rate limit the other files are left for the next look.
        """
        verifying = set[str]()
        for fileID in fileIDs:
            try:
                self._named[fileID] = yield from get_image_or_none(fileID)
            except Pan123Error as error:
                if not error.transient:
                    raise
                log.info("File %s, which a callback names, cannot be looked at: %s", fileID, error)
                if isinstance(error, Pan123VerifyingError) and not self._named.get(fileID):
                    verifying.add(fileID)
                if isinstance(error, Pan123RateLimitError):
                    break
        return verifying

    def _list(
        self,
        directory_id: str,
        images: dict[str, Image],
        listed: set[str],
        evidence: Evidence,
        since: datetime | None,
    ) -> Flow[Match | None]:
        """Collect the images of a directory; stop at one that needs no comparison with the others.

        The service lists the newest images first (official, by its samples).
        """

        def visit(page: Listing) -> Match | None:
            found = {
                image.fileID: image.completed_by(images.get(image.fileID, image)) for image in page.images
            }
            images.update(found)
            listed.update(found)
            return self._choose(found, evidence, Stage.FIRST)

        return (yield from visit_pages(directory_id, visit, since, READ_RETRY_SECONDS))

    def _choose(self, images: dict[str, Image], evidence: Evidence, stage: Stage) -> Match | None:
        newness = self._newness(images)
        if not self._has_succeeded:  # only what is certainly new counts
            newness, stage = replace(newness, touched=lambda image: False), min(stage, Stage.SETTLED)
        match = choose_image(list(images.values()), evidence, newness, stage)
        if match and match.matched_by in ("renamed", "older"):
            log.warning(
                "Took file %s (%s) for %s, because it is %s",
                match.image.fileID,
                match.image.file_name,
                self._submission.file_name,
                "the only new image in the directory"
                if match.matched_by == "renamed"
                else "the only image of that name, and no new image has appeared",
            )
        return match

    def _newness(self, images: dict[str, Image]) -> Newness:
        """Return what dates say, and, where they do not help, what an earlier look did not show.

        Of the images with the sent name, those that appeared later go first. Undated images of other names that were
        there at the first look are not new.
        """
        now = datetime.fromtimestamp(self._clock(), timezone.utc)
        dates = newness_by_dates(self._submission.moment, self._timing.same_second, now)
        seen, sent = self._seen, self._submission.file_name
        if seen is None or sent is None:
            return dates
        same = [image for image in images.values() if compare_names(image.file_name, sent) is Likeness.SAME]
        later = {image.fileID for image in same if image.fileID not in seen and dates.possible(image)}
        before = {image.fileID for image in same} - later if later else set()
        return replace(
            dates,
            possible=lambda image: image.fileID not in before and dates.possible(image),
            certain_in_utc=lambda image: (
                (image.changed_at is not None or image.fileID not in seen) and dates.certain_in_utc(image)
            ),
        )

    def _is_in_its_directory(self, image: Image) -> bool:
        if self._submission.directory_id:
            return image.directory_id == self._submission.directory_id
        return same_directory_name(image.directory_name, DEFAULT_DIRECTORY)


def get_image_or_none(fileID: str) -> Flow[Image | None]:
    """Return an image, or None if there is no such image."""
    try:
        image: Image = yield MakeCall(get_image(fileID), READ_RETRY_SECONDS)
    except (Pan123ServiceError, Pan123AnswerError):
        return None
    return image


def with_urls(image: Image) -> Flow[Image]:
    """Return an image with its URLs, which a listing may leave out; its detail may also show a rejection by review."""
    if image.download_url is not None or image.rejected:
        return image
    try:
        detail: Image = yield MakeCall(get_image(image.fileID), READ_RETRY_SECONDS)
    except (Pan123ServiceError, Pan123AnswerError, Pan123VerifyingError):
        return image  # it was found, with or without its URLs
    return image.completed_by(detail)
