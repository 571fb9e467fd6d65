"""What callbacks add to a wait: they wake it, and say what progress does not know. They never decide."""

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
        """Queue for a question about progress, for about so many seconds; whether it may be asked."""

    def pause(self, seconds: float) -> Flow[bool]:
        """Wait so long, or until a delivery comes; whether one came."""

    def deliveries(self) -> Flow[tuple[Delivery, ...]]:
        """What was delivered so far."""


class WorkerWait:
    """A worker's: it sleeps between two looks, and reads the inbox when the end has come.

    :param inbox: None where there is none to read.
    :param callback_id: None where the submission has no callback.
    """

    def __init__(self, inbox: InboxEndpoint | None, callback_id: str | None, timing: WaitTiming) -> None:
        self.timing = timing
        self._inbox = inbox
        self._callback_id = callback_id

    def acquire_poll(self, left: float) -> Flow[bool]:
        yield from ()
        return True

    def pause(self, seconds: float) -> Flow[bool]:
        yield Sleep(seconds)
        return False

    def deliveries(self) -> Flow[tuple[Delivery, ...]]:
        if self._inbox is None or self._callback_id is None:
            return ()
        try:
            found: tuple[Delivery, ...] = yield Blocking(partial(look_up, self._inbox, [self._callback_id]))
        except InboxUnreachableError as error:
            log.warning("The inbox is out of reach, so only progress is known: %s", error)
            return ()
        return found
