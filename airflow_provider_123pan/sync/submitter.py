"""Submits what is missing as fast as the service accepts it, as long as a worker has something to do."""

from __future__ import annotations

import logging
import random
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING

from airflow_provider_123pan.callbacks.client import CallbackSigner, InboxEndpoint
from airflow_provider_123pan.exceptions import (
    Pan123Error,
    Pan123ServiceError,
    Pan123TooManyTasksError,
    Pan123UnavailableError,
    Pan123WaitTimeoutError,
    may_have_arrived,
)
from airflow_provider_123pan.service.models import OfflineTask
from airflow_provider_123pan.service.protocol import create_offline_download, list_directory
from airflow_provider_123pan.service.refusals import concerns_account
from airflow_provider_123pan.service.timing import READ_RETRY_SECONDS
from airflow_provider_123pan.source.probe import Prober
from airflow_provider_123pan.sync.candidates import BLOCK, Candidates
from airflow_provider_123pan.sync.entries import ManifestEntry
from airflow_provider_123pan.sync.first_scan import FirstScan
from airflow_provider_123pan.sync.format_probes import FormatProbes
from airflow_provider_123pan.sync.image_state import ImageState
from airflow_provider_123pan.sync.in_flight import InFlight, InFlightImage
from airflow_provider_123pan.sync.inventory import Inventory
from airflow_provider_123pan.sync.journal import Journal
from airflow_provider_123pan.sync.monitor import Monitor
from airflow_provider_123pan.sync.timing import SyncTiming
from airflow_provider_123pan.sync.worker_fetches import WorkerFetches

if TYPE_CHECKING:
    from airflow_provider_123pan.hooks.pan123 import Pan123Hook

log = logging.getLogger(__name__)

THREADS = 16
MAX_IN_FLIGHT = 1000  # what a trigger's arguments hold in any of Airflow's databases
LISTING_SHARE = 0.05  # share of the calls that listings may take while there is something to submit
TICK_SECONDS = 0.05
BUSY_CHECK_SECONDS = 2.0  # the longest time between two checks while the monitor will soon find out something


class Submitter:
    """Submits for one worker, and has the monitor check what is in flight.

    :param directory_of: returns the id of the directory of a folder as submissions name it; None for the default one.
    :param directory_ids: as :class:`Monitor` takes it.
    :param signer: signs callback URLs; None without callbacks.
    :param inbox: None without callbacks.
    :param first_scan: what the directory held before this worker submitted anything; None if it did not look.
    :param overwrite: the names were taken before: only progress says that an image is new.
    :param max_in_flight: images in flight at most; the cap of the service is found.
    :param cap: images in flight that the service was found to accept; None if that is not known.
    :param failing_since: when the service began to fail, in Unix seconds; None if it does not.
    :param deadline: Unix seconds.
    :param prober: finds the formats that names lack; None: no name lacks one.
    :param fetches: fetches what the service cannot; it is closed at the end.
    :param report: called often, with the number of images in flight.
    """

    def __init__(
        self,
        hook: Pan123Hook,
        inventory: Inventory,
        in_flight: InFlight,
        journal: Journal,
        *,
        directory_of: Callable[[str], str | None],
        directory_ids: Callable[[Iterable[int]], list[str]],
        signer: CallbackSigner | None,
        inbox: InboxEndpoint | None,
        first_scan: FirstScan | None,
        overwrite: bool,
        max_in_flight: int | None,
        cap: int | None,
        failing_since: float | None,
        deadline: float,
        report: Callable[[int], None],
        prober: Prober | None,
        fetches: WorkerFetches,
        timing: SyncTiming,
    ) -> None:
        self._hook = hook
        self._inventory = inventory
        self._in_flight = in_flight
        self._journal = journal
        self._directory_of = directory_of
        self._signer = signer
        self._deadline = deadline
        self._report = report
        self._threads = ThreadPoolExecutor(THREADS, "pan123-sync")
        self._timing = timing
        self.monitor = Monitor(
            hook,
            inventory,
            in_flight,
            directory_ids,
            inbox,
            first_scan,
            overwrite=overwrite,
            deadline=deadline,
            prober=prober,
            timing=timing,
        )
        self._max_in_flight = min(max_in_flight or MAX_IN_FLIGHT, MAX_IN_FLIGHT)
        self.cap = cap or self._max_in_flight
        self._since_cap = 0  # submissions since the cap was changed
        self._announced: deque[InFlightImage] = deque()  # in the journal, but not yet submitted
        self._calls: dict[Future[OfflineTask], InFlightImage] = {}
        self._fetches = fetches
        self._formats = FormatProbes(inventory, prober)
        self._candidates = Candidates(inventory, in_flight, self._formats, timing)
        self._not_before = 0.0  # monotonic: the service wants a pause
        self._refusals = 0
        self._put_back: Counter[int] = Counter()  # by image
        self.failing_since = failing_since
        self._changed = False
        self._check_took = 0.0  # seconds

    def run(self, idle_limit: float) -> bool:
        """Submit and monitor until every image has ended; return False after ``idle_limit`` seconds without work.

        :raises Pan123WaitTimeoutError: the deadline has come.
        """
        checked_at, busy_at = 0.0, time.monotonic()
        shortest, longest = self._timing.check
        pause = shortest
        try:
            if self._in_flight and time.time() > self._deadline:
                self.monitor.check()  # what has ended since an earlier worker deferred is no failure
            while True:
                if time.time() > self._deadline and (not self._have_ended() or self._fetches.is_busy):
                    raise Pan123WaitTimeoutError("the sync has not ended within the timeout")
                self._submit()
                self._fetches.fill(others_ended=self._have_ended())
                answered = self._collect()
                if self._formats.collect() or answered:
                    busy_at = time.monotonic()
                if self._fetches.collect():
                    busy_at = time.monotonic()
                    self._candidates.wait_alone()  # an image submitted alone is not one that was just uploaded
                now = time.monotonic()
                if self._in_flight and now >= checked_at + max(pause, self._listing_interval()):
                    if self.monitor.check():
                        busy_at, pause, self._changed = time.monotonic(), shortest, True
                        # An image submitted alone must not be confused with those that have just ended.
                        self._candidates.wait_alone()
                    else:
                        most = BUSY_CHECK_SECONDS if self.monitor.is_busy else longest
                        pause = min(pause * 1.5, most, longest)
                    checked_at = time.monotonic()
                    self._check_took = checked_at - now
                self._keep()
                self._report(len(self._in_flight) + len(self._fetches))
                if self._have_ended() and not self._fetches.is_busy:
                    return True
                waits = not (self._calls or self._formats or self._fetches.is_busy or self.monitor.is_busy)
                is_last = time.time() > self._deadline - self._timing.last_look
                if waits and not is_last and now - busy_at > idle_limit:
                    if not self.monitor.has_new_deliveries():  # the triggerer waits for the others only
                        return False
                    busy_at = now
        finally:
            self._fetches.close()
            self._formats.close()
            self._threads.shutdown(cancel_futures=True)
            self.monitor.close()
            self._withdraw()

    def _have_ended(self) -> bool:
        """Whether the service has nothing left to do."""
        return not (self._calls or self._in_flight) and self._candidates.next_state() is None

    def _listing_interval(self) -> float:
        """Seconds between two checks, so that listings take no more than their share of the calls."""
        share = (
            LISTING_SHARE if self._room() and self._candidates.next_state() is not None else 5 * LISTING_SHARE
        )
        return self.monitor.pages / (share * self._hook.client.throttle.rate)

    # -- what is submitted next --

    def _room(self) -> int:
        return max(0, self.cap - len(self._in_flight))

    def _announce(self) -> None:
        """Choose the next images, and write them to the journal before anything is sent."""
        state = self._candidates.next_state()
        calling = bool(self._calls) or self._fetches.is_uploading
        if not (chosen := self._candidates.choose(self._room(), calling=calling)):
            return
        for number in chosen:
            pending = InFlightImage(
                number,
                self._inventory.key(number),
                self._inventory.canonical_digest(number),
                attempt=int(state is ImageState.AGAIN),
                taskID=None,
                sent_at=time.time(),
                submitted_at=time.time() + self._in_flight.ahead,
                calling=True,
            )
            self._inventory.activate(number)
            self._in_flight.add(pending)
            self._announced.append(pending)
        self._journal.save(self._in_flight)

    def _submit(self) -> None:
        if time.monotonic() < self._not_before:
            return
        if len(self._announced) < THREADS:
            self._announce()
        # Enough for the threads while this one checks.
        at_once = min(2 * THREADS + self._check_took * self._hook.client.throttle.rate, BLOCK)
        while self._announced and len(self._calls) < at_once:
            pending = self._announced.popleft()
            pending.send(time.time(), self._in_flight.ahead)
            call = self._threads.submit(self._create, pending, self._inventory.entry(pending.number))
            self._calls[call] = pending

    def _create(self, pending: InFlightImage, entry: ManifestEntry) -> OfflineTask:
        """Submit one image; runs in a thread of the pool."""
        callback_url = self._signer.address(self._in_flight.callback_id(pending)) if self._signer else None
        call = create_offline_download(
            entry.url, entry.file_name, self._directory_of(entry.folder), callback_url
        )
        return self._hook.client.call(call, self._timing.submit_retry, retry_too_many_for=0)

    # -- what comes back --

    def _collect(self) -> bool:
        """Take the answers that have come; return whether any has."""
        if not self._calls:
            time.sleep(TICK_SECONDS)
            return False
        done, _ = wait(self._calls, TICK_SECONDS, FIRST_COMPLETED)
        for call in done:
            pending = self._calls.pop(call)
            try:
                task = call.result()
            except Pan123Error as error:
                self._rejected(pending, error)
            else:
                self._accepted(pending, task)
            self._changed = True
        return bool(done)

    def _accepted(self, pending: InFlightImage, task: OfflineTask) -> None:
        self._in_flight.accept(pending, task, time.time())
        self.failing_since, self._refusals = None, 0
        self._since_cap += 1
        if self._since_cap >= self.cap:  # other syncs of the account may have ended by now
            self.cap, self._since_cap = min(self.cap + 1, self._max_in_flight), 0

    def _rejected(self, pending: InFlightImage, error: Pan123Error) -> None:
        if may_have_arrived(error):
            log.warning("Looking for %s: %s", self._inventory.redacted(pending.number), error)
            pending.doubt(error.message)
            self._back_off(error)
            return
        self._in_flight.remove(pending.number)
        if self._is_the_images(pending, error):
            state = self._inventory.state_after_failure(pending.attempt)
            reason = self._inventory.redact(pending.number, error.message)
            self._inventory.record(pending.number, state, reason=reason)
            shown = self._inventory.redact(pending.number, str(error))
            log.warning("%s: %s", self._inventory.redacted(pending.number), shown)
            return
        # Not because of this image: it is submitted first the next time.
        self._inventory.put_back(pending.number, pending.attempt)
        if not error.transient:
            raise error
        if not isinstance(error, Pan123TooManyTasksError):
            self._back_off(error)
        elif accepted := sum(image.taskID is not None for image in self._in_flight):
            self.cap, self._since_cap = accepted, 0
        else:
            self._pause(self._timing.too_many_tasks_pauses[min(self._refusals, 2)])

    def _is_the_images(self, pending: InFlightImage, error: Pan123Error) -> bool:
        """Return whether the service refuses this image, and not the account, or everything for now."""
        if isinstance(error, Pan123ServiceError):
            return not concerns_account(error)
        if not isinstance(error, Pan123UnavailableError):
            return False
        self._put_back[pending.number] += 1
        if self._put_back[pending.number] < self._timing.max_put_backs:
            return False
        try:
            self._hook.client.call(list_directory(), READ_RETRY_SECONDS)
        except Pan123Error:
            return False
        return True

    def _back_off(self, error: Pan123Error) -> None:
        """Pause until the service may be available again; raise the error if it has failed for too long."""
        self.failing_since = self.failing_since or time.time()
        if time.time() - self.failing_since > self._timing.retry_for:
            raise error
        first, longest = self._timing.unavailable_pauses
        self._pause(min(first * 2.0**self._refusals, longest))

    def _pause(self, seconds: float) -> None:
        if time.monotonic() >= self._not_before:  # otherwise the pause has begun already
            self._refusals += 1
            self._not_before = time.monotonic() + seconds * random.uniform(0.5, 1)

    def _withdraw(self) -> None:
        """Take back what was announced, but not sent."""
        withdrawn = [*self._announced]
        for call, pending in self._calls.items():
            if call.cancelled() or ((error := call.exception()) and not may_have_arrived(error)):
                withdrawn.append(pending)
            elif error is None:
                self._accepted(pending, call.result())
        for pending in withdrawn:
            self._in_flight.remove(pending.number)
            self._inventory.put_back(pending.number, pending.attempt)
        self._announced.clear()
        self._calls.clear()
        self._journal.save(self._in_flight)

    def _keep(self) -> None:
        if self._changed and self._journal.due():
            self._journal.save(self._in_flight)
            self._changed = False
