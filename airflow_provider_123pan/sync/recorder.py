"""Takes an image out of flight and records how it ended."""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING

from airflow_provider_123pan.download.search import with_urls
from airflow_provider_123pan.exceptions import Pan123Error
from airflow_provider_123pan.service.models import Image
from airflow_provider_123pan.sync.image_list import difference
from airflow_provider_123pan.sync.image_state import ImageState
from airflow_provider_123pan.sync.in_flight import Clock, InFlight, InFlightImage
from airflow_provider_123pan.sync.inventory import Inventory

if TYPE_CHECKING:
    from airflow_provider_123pan.hooks.pan123 import Pan123Hook

log = logging.getLogger(__name__)

#: What fetched an image, in its record.
SERVICE = "service"

_NEXT = {
    ImageState.AGAIN: "; it will be submitted once more",
    ImageState.WORKER: "; the worker will fetch it",
}


class Recorder:
    """Records the ends that a worker finds out.

    :param max_lost: after so many submissions that did not arrive an image has failed.
    :ivar longest: the longest time in seconds from a submission until its image was found by its name; None before the
        first one.
    :ivar shares_files: an image was found by the digest of its source, so others may have equal bytes as well.
    """

    def __init__(
        self, hook: Pan123Hook, inventory: Inventory, in_flight: InFlight, max_lost: int, clock: Clock
    ) -> None:
        self._hook = hook
        self._inventory = inventory
        self._in_flight = in_flight
        self._max_lost = max_lost
        self._clock = clock
        self._lost: Counter[int] = Counter()  # by number
        self.longest: float | None = None
        self.shares_files = False

    def found(self, pending: InFlightImage, image: Image, matched_by: str) -> None:
        """Record a stored image: migrated, unless it was rejected or differs from its entry in the list.

        The worker fetches one that differs if it may.

        One without a URL stays in flight: its URL may come later.

        :param matched_by: as :class:`Match` says; logged unless it is the usual ``name``.
        """
        number = pending.number
        try:
            image = self._hook.client.run(with_urls(image))
        except Pan123Error as error:
            log.warning("%s has no URL yet: %s", self._inventory.redacted(number), error)
        if image.rejected:
            self.failed(pending, f"rejected by review (status {image.status})", again=False)
            return
        if image.download_url is None and image.user_url is None:
            pending.report_without_url(self._clock())
            return
        self._in_flight.remove(number)
        self._in_flight.alone.discard(number)
        if matched_by == "name":
            self.longest = max(self.longest or 0.0, self._clock() - pending.sent_at)
        else:
            self.shares_files |= matched_by == "content" and pending.digest is not None
            log.log(
                logging.WARNING if matched_by in ("renamed", "older") else logging.INFO,
                "%s is file %s, %s (matched by %s)",
                self._inventory.redacted(number),
                image.fileID,
                image.file_name,
                matched_by,
            )
        reason = difference(self._inventory.entry(number), image)
        if reason is None:
            state = ImageState.MIGRATED
        else:
            state = ImageState.WORKER if self._inventory.falls_back else ImageState.FAILED
        self._inventory.record(
            number,
            state,
            image,
            taskID=pending.taskID,
            reason=reason,
            fetched_by=SERVICE if reason is None else None,
        )

    def failed(self, pending: InFlightImage, reason: str, *, again: bool = True) -> None:
        """Record a failure.

        :param again: the worker may fetch it, or it may be submitted once more, if that has not happened.
        """
        number = pending.number
        reason = self._inventory.redact(number, reason)
        self._in_flight.remove(number)
        state = self._inventory.state_after_failure(pending.attempt) if again else ImageState.FAILED
        log.warning(
            "%s (taskID %s): %s%s",
            self._inventory.redacted(number),
            pending.taskID,
            reason,
            _NEXT.get(state, ""),
        )
        self._inventory.record(number, state, taskID=pending.taskID, reason=reason)

    def lost(self, pending: InFlightImage, reason: str) -> None:
        """Submit an image again whose submission did not arrive, or record its failure if that happens too often."""
        self._lost[pending.number] += 1
        if self._lost[pending.number] % self._max_lost:
            self._in_flight.remove(pending.number)
            self._inventory.put_back(pending.number, pending.attempt)
        else:
            self.failed(pending, reason)
