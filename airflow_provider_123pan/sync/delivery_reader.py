"""What callbacks tell about images in flight."""

from __future__ import annotations

import logging
from collections.abc import Callable

from airflow_provider_123pan.callbacks.client import InboxUnreachableError, RemoteInbox, look_up
from airflow_provider_123pan.callbacks.contract import MOST_ITEMS
from airflow_provider_123pan.sync.in_flight import Flight

log = logging.getLogger(__name__)

DEAF = 60.0  # seconds until an inbox that was out of reach is tried again


class Told:
    """Reads the inbox for one worker.

    :param inbox: None without callbacks.
    """

    def __init__(self, flight: Flight, inbox: RemoteInbox | None, clock: Callable[[], float]) -> None:
        self._flight = flight
        self._inbox = inbox
        self._clock = clock
        self._deaf_until = 0.0

    @property
    def expected(self) -> bool:
        """Whether anything is to be told."""
        return self._inbox is not None

    def hear(self) -> None:
        """Note what was delivered; who was called back is asked about next."""
        if self._inbox is None or self._clock() < self._deaf_until:
            return
        ids = {self._flight.callback_id(each): each for each in self._flight}
        batches = [list(ids)[start : start + MOST_ITEMS] for start in range(0, len(ids), MOST_ITEMS)]
        try:
            for batch in batches:
                for delivery in look_up(self._inbox, batch):
                    if delivery not in (active := ids[delivery.callback_id]).told:
                        active.told += (delivery,)
                        active.ask_at = self._clock()
        except InboxUnreachableError as error:
            log.warning("The inbox is out of reach, so only progress is known: %s", error)
            self._deaf_until = self._clock() + DEAF
