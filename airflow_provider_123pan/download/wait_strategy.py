"""How a wait passes the time between two polls, and what callbacks add to it: they wake it, and never decide."""

from __future__ import annotations

import logging
from functools import partial
from typing import Protocol

from airflow_provider_123pan.callbacks.client import InboxEndpoint, look_up
from airflow_provider_123pan.callbacks.delivery import Delivery
from airflow_provider_123pan.download.timing import WaitTiming
from airflow_provider_123pan.exceptions import InboxUnreachableError
from airflow_provider_123pan.service.flow import Blocking, Flow, Sleep

log = logging.getLogger(__name__)


class WaitStrategy(Protocol):
    """How a wait pauses between polls, and where it reads the callbacks received."""

    timing: WaitTiming

    def acquire_poll(self, left: float) -> Flow[bool]:
        """Queue for a poll for about this many seconds; return whether it may be made."""

    def pause(self, seconds: float) -> Flow[bool]:
        """Pause for these seconds, or until a delivery comes; return whether one came."""

    def deliveries(self) -> Flow[tuple[Delivery, ...]]:
        """Return the deliveries received."""


class WorkerWait:
    """How a worker waits: it sleeps between two polls, and reads the inbox at the end.

    :param inbox: None if there is none.
    :param callback_id: None if the submission has no callback.
    """

    def __init__(self, inbox: InboxEndpoint | None, callback_id: str | None, timing: WaitTiming) -> None:
        self.timing = timing
        self._inbox = inbox
        self._callback_id = callback_id

    def acquire_poll(self, left: float) -> Flow[bool]:
        """Allow the poll: a worker polls for itself alone."""
        yield from ()
        return True

    def pause(self, seconds: float) -> Flow[bool]:
        """Sleep; no delivery wakes a worker."""
        yield Sleep(seconds)
        return False

    def deliveries(self) -> Flow[tuple[Delivery, ...]]:
        """Read the inbox."""
        if self._inbox is None or self._callback_id is None:
            return ()
        try:
            found: tuple[Delivery, ...] = yield Blocking(partial(look_up, self._inbox, [self._callback_id]))
        except InboxUnreachableError as error:
            log.warning("The inbox is unreachable, so only progress is known: %s", error)
            return ()
        return found
