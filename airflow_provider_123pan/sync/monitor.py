"""Finds out which of the images in flight have ended, with as few calls as possible.

A listing of what is new shows a hundred successes in one call. Progress is polled for what was called back but does not
appear, and for what stays silent. Progress decides what failed; absence from a listing proves nothing.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TYPE_CHECKING

from airflow_provider_123pan.callbacks.client import InboxEndpoint
from airflow_provider_123pan.callbacks.delivery import DeliveryStatus
from airflow_provider_123pan.download.verdict import (
    NO_REASON,
    Facts,
    Failed,
    Running,
    Succeeded,
    Unknown,
    failure_reasons,
    judge,
)
from airflow_provider_123pan.exceptions import Pan123Error, Pan123RedirectError
from airflow_provider_123pan.service.models import TaskStatus
from airflow_provider_123pan.source.probe import Prober
from airflow_provider_123pan.sync.delivery_reader import DeliveryReader
from airflow_provider_123pan.sync.finder import NO_URL, SAME_CONTENT, Finder
from airflow_provider_123pan.sync.first_scan import FirstScan
from airflow_provider_123pan.sync.in_flight import Clock, InFlight, InFlightImage
from airflow_provider_123pan.sync.inventory import Inventory
from airflow_provider_123pan.sync.matcher import Matcher
from airflow_provider_123pan.sync.progress_poller import ProgressPoller
from airflow_provider_123pan.sync.recorder import Recorder
from airflow_provider_123pan.sync.source_digests import SourceDigests
from airflow_provider_123pan.sync.timing import SyncTiming

if TYPE_CHECKING:
    from airflow_provider_123pan.hooks.pan123 import Pan123Hook

log = logging.getLogger(__name__)


class Monitor:
    """Monitors the images in flight, for one worker.

    :param directory_ids: as :class:`Finder` takes it.
    :param inbox: None without callbacks.
    :param first_scan: what the directory held before this worker submitted anything; None if it did not look.
    :param deadline: Unix seconds; no listing goes on after it.
    :param prober: asks the sources of images that do not appear; None: none is asked.
    :param overwrite: the names were taken before: only progress says that an image is new.
    """

    def __init__(
        self,
        hook: Pan123Hook,
        inventory: Inventory,
        in_flight: InFlight,
        directory_ids: Callable[[Iterable[int]], list[str]],
        inbox: InboxEndpoint | None,
        first_scan: FirstScan | None,
        *,
        overwrite: bool,
        deadline: float,
        prober: Prober | None,
        timing: SyncTiming,
        clock: Clock = time.time,
    ) -> None:
        self._hook = hook
        self._inventory = inventory
        self._in_flight = in_flight
        self._timing = timing
        self._clock = clock
        self._digests = SourceDigests(in_flight, prober)
        self._recorder = Recorder(hook, inventory, in_flight, timing.max_lost, clock)
        self._finder = Finder(
            hook,
            inventory,
            in_flight,
            self._recorder,
            Matcher(
                inventory,
                in_flight,
                self._recorder,
                first_scan,
                overwrite=overwrite,
                timing=timing,
                clock=clock,
            ),
            self._digests,
            directory_ids,
            deadline=deadline,
            timing=timing,
            clock=clock,
        )
        self._deliveries = DeliveryReader(in_flight, inbox, timing, clock)
        self._poller = ProgressPoller(hook, timing, clock)

    def read_deliveries(self) -> None:
        """Read which images were called back; those that have just ended are counted."""
        self._deliveries.read()

    def has_new_deliveries(self) -> bool:
        """Read which images were called back; return whether one of them is polled soon because of that."""
        self._deliveries.read()
        most = len(self._timing.wait.after_delivery)
        return any(
            pending.deliveries
            and pending.taskID is not None
            and not pending.succeeded_at
            and pending.follow_ups <= most
            for pending in self._in_flight
        )

    def close(self) -> None:
        """End the threads."""
        self._digests.close()
        self._poller.close()

    @property
    def is_busy(self) -> bool:
        """Whether this worker will soon find out more than the triggerer could."""
        return self._finder.awaits_digests or any(
            pending.refused_at or (pending.taskID is None and not pending.deliveries)
            for pending in self._in_flight
        )

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
        self._finder.poll_late()
        for pending, answer in self._poller.poll(self._in_flight):
            if pending.number in self._in_flight:
                self._act_on(pending, answer)
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

    def _act_on(self, pending: InFlightImage, answer: TaskStatus | Pan123Error) -> None:
        """Act on an answer about progress."""
        now = self._clock()
        facts = Facts(
            submitted_at=pending.sent_at,
            failed_at=pending.failed_at,
            refused_at=pending.refused_at,
            reasons=failure_reasons(pending.deliveries),
            expects_delivery=self._deliveries.expected,
            one_of_many=True,
        )
        match judge(answer, facts, now, self._timing.wait):
            case Succeeded():
                pending.report_succeeded(now)
            case Failed(reason):
                self._recorder.failed(pending, reason)
            case Unknown(error):
                if isinstance(error, Pan123RedirectError):  # it concerns all of them
                    raise error
                reason = f"the service does not know its taskID (any more): {error.message}"
                self._recorder.failed(pending, reason)
            case Running(facts, poll_at):
                pending.report_running(facts.failed_at, facts.refused_at)
                if poll_at is not None:
                    pending.poll_again(poll_at)
                else:
                    pending.follow_up(now, self._timing.wait.after_delivery)
                if isinstance(answer, Pan123Error):
                    shown = self._inventory.redact(pending.number, str(answer))
                    log.warning("Progress will be polled again later: %s", shown)

    def _end_overdue(self, pending: InFlightImage) -> None:
        """End an image that will not appear any more."""
        now, wait = self._clock(), self._timing.wait
        if pending.taskID is None:
            if any(delivery.status is DeliveryStatus.FAILED for delivery in pending.deliveries):
                self._recorder.failed(pending, (failure_reasons(pending.deliveries) or (NO_REASON,))[-1])
            elif now - pending.sent_at > wait.search and not pending.deliveries:
                self._recorder.lost(pending, pending.problem or NO_REASON)
            elif now - pending.sent_at > wait.visible_within:
                self._give_up(pending)
        elif pending.succeeded_at and self._finder.scanned_at > pending.succeeded_at + self._finder.window(
            pending
        ):
            self._give_up(pending)

    def _give_up(self, pending: InFlightImage) -> None:
        """End an image that has not appeared, or has no URL."""
        if (since := pending.lacks_url_since) is not None:
            # An earlier worker may have found it without a URL, too: a scan that comes so late decides.
            late = (pending.succeeded_at or since) + self._finder.window(pending)
            if self._finder.scanned_at - min(since, late) > self._timing.wait.unknown_recheck:
                self._recorder.failed(pending, NO_URL, again=False)
            return
        self._in_flight.alone.add(pending.number)
        self._recorder.failed(pending, SAME_CONTENT)
