"""Finds out which of the images in flight have ended, with as few calls as possible.

A listing of what is new shows a hundred successes in one call. Progress is polled for what was called back but does not
appear, and for what stays silent. Progress decides what failed; absence from a listing proves nothing.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from airflow_provider_123pan.callbacks.client import InboxEndpoint
from airflow_provider_123pan.callbacks.delivery import DeliveryStatus
from airflow_provider_123pan.download.wait import NO_REASON, failure_reasons
from airflow_provider_123pan.exceptions import Pan123AnswerError, Pan123Error, Pan123ServiceError
from airflow_provider_123pan.service.models import TaskStatus
from airflow_provider_123pan.sync.delivery_reader import DeliveryReader
from airflow_provider_123pan.sync.finder import SAME_CONTENT, Finder
from airflow_provider_123pan.sync.in_flight import Clock, InFlight, InFlightImage
from airflow_provider_123pan.sync.inventory import Inventory
from airflow_provider_123pan.sync.progress_poller import ProgressPoller
from airflow_provider_123pan.sync.recorder import Recorder
from airflow_provider_123pan.sync.timing import SyncTiming

if TYPE_CHECKING:
    from airflow_provider_123pan.hooks.pan123 import Pan123Hook

log = logging.getLogger(__name__)


class Monitor:
    """Monitors the images in flight, for one worker.

    :param directory_id: None as long as the default directory does not exist.
    :param inbox: None without callbacks.
    :param overwrite: the names were taken before: only progress says that an image is new.
    """

    def __init__(
        self,
        hook: Pan123Hook,
        inventory: Inventory,
        in_flight: InFlight,
        directory_id: Callable[[], str | None],
        inbox: InboxEndpoint | None,
        *,
        overwrite: bool,
        timing: SyncTiming,
        clock: Clock = time.time,
    ) -> None:
        self._hook = hook
        self._in_flight = in_flight
        self._timing = timing
        self._clock = clock
        self._recorder = Recorder(hook, inventory, in_flight, timing.max_lost)
        self._finder = Finder(
            hook,
            inventory,
            in_flight,
            self._recorder,
            directory_id,
            overwrite=overwrite,
            timing=timing,
            clock=clock,
        )
        self._deliveries = DeliveryReader(in_flight, inbox, timing, clock)
        self._poller = ProgressPoller(hook, timing, clock)

    def close(self) -> None:
        """End the threads."""
        self._poller.close()

    @property
    def since(self) -> datetime:
        """A moment by the service's clock: an older image was in an earlier listing, or appears in none."""
        return self._finder.since

    @property
    def pages(self) -> int:
        """The number of calls that a listing of what is new takes."""
        return self._finder.pages

    def check(self) -> int:
        """Check everything in flight once; return how many images have ended."""
        before = len(self._in_flight)
        self._deliveries.read()
        if before >= self.pages or self._appears_soon():
            self._finder.list_new()
        elif not self._deliveries.expected:  # so few are cheaper to poll one by one
            for pending in self._in_flight:
                pending.poll_again(self._clock())
        for pending, answer in self._poller.poll(self._in_flight):
            if pending.number in self._in_flight:
                self._judge(pending, answer)
        self._finder.scan_if_due()
        for pending in self._in_flight:
            self._end_overdue(pending)
        self._hook.keep_rate()
        return before - len(self._in_flight)

    def _appears_soon(self) -> bool:
        return any(
            pending.deliveries or pending.succeeded_at or pending.taskID is None
            for pending in self._in_flight
        )

    def _judge(self, pending: InFlightImage, answer: TaskStatus | Pan123Error) -> None:
        """Act on an answer about progress."""
        now, wait = self._clock(), self._timing.wait
        match answer:
            case TaskStatus.FAILED:
                since = pending.report_failed(now)
                reasons = failure_reasons(pending.deliveries)
                if reasons or not self._deliveries.expected or now - since > wait.reason_wait:
                    self._recorder.failed(pending, reasons[-1] if reasons else NO_REASON)
                else:
                    pending.poll_again(now + 1)
            case TaskStatus.SUCCEEDED:
                pending.report_succeeded(now)
            case Pan123ServiceError() | Pan123AnswerError():
                if now - pending.sent_at < wait.unknown_grace or not pending.report_unknown(now):
                    pending.poll_again(now + wait.unknown_recheck)
                else:
                    reason = f"the service does not know its taskID (any more): {answer.message}"
                    self._recorder.failed(pending, reason)
            case Pan123Error() if not answer.transient:
                raise answer
            case Pan123Error():
                log.warning("Progress will be polled again later: %s", answer)
            case _:
                pending.report_running()

    def _end_overdue(self, pending: InFlightImage) -> None:
        """End an image that will not appear any more."""
        now, wait = self._clock(), self._timing.wait
        if pending.taskID is None:
            if any(delivery.status is DeliveryStatus.FAILED for delivery in pending.deliveries):
                self._recorder.failed(pending, pending.deliveries[-1].reason or NO_REASON)
            elif now - pending.sent_at > wait.search and not pending.deliveries:
                self._recorder.lost(pending, pending.problem or NO_REASON)
            elif now - pending.sent_at > wait.visible_within:
                self._recorder.failed(pending, SAME_CONTENT)
        elif (
            pending.succeeded_at
            and now - pending.succeeded_at
            > (wait.visible_within if pending.attempt else self._timing.resubmit_after)
            and self._finder.scanned_at > pending.succeeded_at + wait.settling
        ):
            self._in_flight.alone.add(pending.number)
            self._recorder.failed(pending, SAME_CONTENT)
