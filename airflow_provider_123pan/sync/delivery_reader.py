"""What callbacks tell about images in flight."""

from __future__ import annotations

import logging
from collections.abc import Callable

from airflow_provider_123pan.callbacks.client import InboxEndpoint, look_up
from airflow_provider_123pan.callbacks.contract import MAX_ITEMS
from airflow_provider_123pan.exceptions import InboxUnreachableError
from airflow_provider_123pan.sync.in_flight import InFlight

log = logging.getLogger(__name__)

INBOX_RETRY_SECONDS = 60.0  # seconds until an inbox that was out of reach is tried again


class DeliveryReader:
    """Reads the inbox for one worker.

    :param inbox: None without callbacks.
    """

    def __init__(self, in_flight: InFlight, inbox: InboxEndpoint | None, clock: Callable[[], float]) -> None:
        self._in_flight = in_flight
        self._inbox = inbox
        self._clock = clock
        self._ignore_refusals_until = 0.0

    @property
    def expected(self) -> bool:
        """True if the submissions of this sync have callbacks."""
        return self._inbox is not None

    def read(self) -> None:
        """Note what was delivered; who was called back is asked about next."""
        if self._inbox is None or self._clock() < self._ignore_refusals_until:
            return
        ids = {self._in_flight.callback_id(each): each for each in self._in_flight}
        batches = [list(ids)[start : start + MAX_ITEMS] for start in range(0, len(ids), MAX_ITEMS)]
        try:
            for batch in batches:
                for delivery in look_up(self._inbox, batch):
                    if delivery not in (active := ids[delivery.callback_id]).deliveries:
                        active.deliveries += (delivery,)
                        active.poll_at = self._clock()
        except InboxUnreachableError as error:
            log.warning("The inbox is out of reach, so only progress is known: %s", error)
            self._ignore_refusals_until = self._clock() + INBOX_RETRY_SECONDS
