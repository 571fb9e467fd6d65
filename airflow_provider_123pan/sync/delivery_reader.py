"""Reads which images in flight were called back."""

from __future__ import annotations

import logging

from airflow_provider_123pan.callbacks.client import InboxEndpoint, look_up
from airflow_provider_123pan.callbacks.contract import MAX_ITEMS
from airflow_provider_123pan.exceptions import InboxUnreachableError
from airflow_provider_123pan.sync.in_flight import Clock, InFlight
from airflow_provider_123pan.sync.timing import SyncTiming

log = logging.getLogger(__name__)


class DeliveryReader:
    """Reads the inbox for one worker.

    :param inbox: None without callbacks.
    """

    def __init__(
        self, in_flight: InFlight, inbox: InboxEndpoint | None, timing: SyncTiming, clock: Clock
    ) -> None:
        self._in_flight = in_flight
        self._inbox = inbox
        self._timing = timing
        self._clock = clock
        self._not_before = 0.0

    @property
    def expected(self) -> bool:
        """Whether the submissions of this sync have callbacks."""
        return self._inbox is not None

    def read(self) -> None:
        """Add the deliveries to their images, which are polled next.

        The callbacks of images that have ended since the last reading are counted; those that come later are not.
        """
        if self._inbox is None or self._clock() < self._not_before:
            return
        images = {self._in_flight.callback_id(image): image for image in self._in_flight}
        ids, late = [*images, *self._in_flight.silent_at_end()], set[str]()
        try:
            for start in range(0, len(ids), MAX_ITEMS):
                for delivery in look_up(self._inbox, ids[start : start + MAX_ITEMS]):
                    if image := images.get(delivery.callback_id):
                        image.deliver(delivery, self._clock())
                    else:
                        late.add(delivery.callback_id)
        except InboxUnreachableError as error:
            log.warning("The inbox is unreachable, so only progress is known: %s", error)
            self._not_before = self._clock() + self._timing.inbox_retry
            return
        self._in_flight.note_read(len(late))
