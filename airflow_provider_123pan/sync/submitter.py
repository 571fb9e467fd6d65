"""Submits what is missing as fast as the service takes it, for as long as a worker has something to do."""

from __future__ import annotations

import logging
import random
import time
from collections import Counter, deque
from collections.abc import Callable
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
from airflow_provider_123pan.service.listing import READ_RETRY_SECONDS
from airflow_provider_123pan.service.models import OfflineTask
from airflow_provider_123pan.service.protocol import (
    NO_DEVELOPER,
    RETRY_FOR_SECONDS,
    TOO_MANY_TASKS_PAUSES,
    TRAFFIC_EXCEEDED,
    create_offline_download,
    list_directory,
)
from airflow_provider_123pan.sync.entries import ManifestEntry
from airflow_provider_123pan.sync.in_flight import SKEW, InFlight, InFlightImage
from airflow_provider_123pan.sync.inventory import ImageState, Inventory
from airflow_provider_123pan.sync.journal import Journal
from airflow_provider_123pan.sync.monitor import Monitor

if TYPE_CHECKING:
    from airflow_provider_123pan.hooks.pan123 import Pan123Hook

log = logging.getLogger(__name__)

THREADS = 16
MAX_IN_FLIGHT = 1000  # what a trigger's arguments hold, in any of Airflow's databases
BLOCK = 100  # submissions that the journal announces at once
LISTING_SHARE = 0.05  # share of the calls that go into looking while there is something to submit
TICK = 0.05  # seconds
MIN_CHECK_SECONDS, MAX_CHECK_SECONDS = 0.25, 10.0  # seconds between two looks
MAX_PUT_BACKS = (
    5  # so often an image's submission may find no service, before it is asked whether it is there at all
)
SUBMIT_RETRY_SECONDS = (
    60.0  # seconds for which one submission is queued again; then it goes back into the list
)


class Submitter:
    """One worker's turn at a list.

    :param directory_id: as submissions name it; None for the service's own.
    :param most: images in flight at most; the service's own cap is found.
    :param deadline: Unix seconds.
    :param tell: called all the time; shows people how far it is.
    """

    def __init__(
        self,
        hook: Pan123Hook,
        inventory: Inventory,
        in_flight: InFlight,
        journal: Journal,
        *,
        directory_id: str | None,
        find_directory: Callable[[], str | None],
        signer: CallbackSigner | None,
        inbox: InboxEndpoint | None,
        overwrite: bool,
        max_in_flight: int | None,
        deadline: float,
        report: Callable[[int], None],
    ) -> None:
        self._hook = hook
        self._inventory = inventory
        self.in_flight = in_flight
        self._journal = journal
        self._directory_id = directory_id
        self._signer = signer
        self._deadline = deadline
        self._report = report
        self._threads = ThreadPoolExecutor(THREADS, "pan123-sync")
        self.monitor = Monitor(
            hook, inventory, in_flight, find_directory, inbox if signer else None, overwrite
        )
        self.cap = min(max_in_flight or MAX_IN_FLIGHT, MAX_IN_FLIGHT)  # images in flight
        self._max_in_flight = self.cap
        self._since_cap = 0  # submissions since the cap was changed
        self._announced: deque[InFlightImage] = deque()  # in the journal, but not yet submitted
        self._calls: dict[Future[OfflineTask], InFlightImage] = {}
        self._alone_at = time.monotonic() + SKEW.total_seconds() + 1
        self._not_before = 0.0  # monotonic: the service wants a pause
        self._refusals = 0
        self._put_back: Counter[int] = Counter()  # by image
        self.failing_since: float | None = None  # Unix seconds
        self._changed = False
        self._look_takes = 0.0  # seconds

    def run(self, idle_limit: float) -> bool:
        """Submit and monitor until every image has ended; return False after ``idle_limit`` seconds without work.

        :raises Pan123WaitTimeoutError: the deadline has come.
        """
        looked_at, busy_at = 0.0, time.monotonic()
        pause = MIN_CHECK_SECONDS
        try:
            while True:
                if time.time() > self._deadline:
                    raise Pan123WaitTimeoutError("the batch has not ended within the timeout")
                self._submit()
                if self._collect():
                    busy_at = time.monotonic()
                now = time.monotonic()
                if self.in_flight.active and now >= looked_at + max(pause, self._listing_interval()):
                    if self.monitor.check():
                        busy_at, pause, self._changed = time.monotonic(), MIN_CHECK_SECONDS, True
                        # What is submitted alone must not be taken for what has just ended.
                        self._alone_at = busy_at + SKEW.total_seconds() + 1
                    else:
                        pause = min(pause * 1.5, MAX_CHECK_SECONDS)
                    looked_at = time.monotonic()
                    self._look_takes = looked_at - now
                self._keep()
                self._report(len(self.in_flight.active))
                if not self._calls and not self.in_flight.active and self._next() is None:
                    return True
                if not self._calls and now - busy_at > idle_limit:
                    return False
        finally:
            self._threads.shutdown(cancel_futures=True)
            self.monitor.close()
            self._withdraw()

    def _listing_interval(self) -> float:
        """Seconds that a look is worth, in calls that could submit meanwhile."""
        share = LISTING_SHARE if self._room() and self._next() is not None else 5 * LISTING_SHARE
        return self.monitor.pages / (share * self._hook.client.throttle.rate)

    # -- what is submitted next --

    def _room(self) -> int:
        return max(0, self.cap - len(self.in_flight.active))

    def _next(self) -> ImageState | None:
        """What kind is submitted next: those that failed only when all others have ended."""
        kinds = (ImageState.MISSING, ImageState.AGAIN)
        return next((state for state in kinds if self._inventory.first(state) is not None), None)

    def _announce(self) -> None:
        """Choose the next ones, and let the journal know before anything is sent."""
        state = self._next()
        if state is None or not (room := self._room()):
            return
        if state is ImageState.AGAIN and (self.in_flight.active or self._calls):
            return
        chosen: list[int] = []
        number = first = self._inventory.first(state)
        while number is not None and len(chosen) < min(BLOCK, room):
            if state is ImageState.MISSING or number not in self.monitor.alone:
                chosen.append(number)
            number = self._inventory.first(state, number + 1)
        if not chosen and first is not None and time.monotonic() >= self._alone_at:
            chosen = [first]
        for number in chosen:
            active = InFlightImage(
                number,
                self._inventory.key(number),
                self._inventory.canonical_digest(number),
                attempt=int(state is ImageState.AGAIN),
                taskID=None,
                sent_at=time.time(),
                submitted_at=time.time() + self.in_flight.ahead,
                calling=True,
            )
            self._inventory.states[number] = ImageState.ACTIVE
            self.in_flight.active[number] = active
            self._announced.append(active)
        self._journal.save(self.in_flight)

    def _submit(self) -> None:
        if time.monotonic() < self._not_before:
            return
        if len(self._announced) < THREADS:
            self._announce()
        # Enough for the threads while this one looks.
        max_in_flight = min(2 * THREADS + self._look_takes * self._hook.client.throttle.rate, BLOCK)
        while self._announced and len(self._calls) < max_in_flight:
            active = self._announced.popleft()
            active.sent_at, active.submitted_at = time.time(), time.time() + self.in_flight.ahead
            call = self._threads.submit(self._create, active, self._inventory.entry(active.number))
            self._calls[call] = active

    def _create(self, active: InFlightImage, entry: ManifestEntry) -> OfflineTask:
        """One submission, in a thread of its own."""
        callback_url = self._signer.address(self.in_flight.callback_id(active)) if self._signer else None
        call = create_offline_download(entry.url, entry.file_name, self._directory_id, callback_url)
        try:
            return self._hook.client.call(call, SUBMIT_RETRY_SECONDS, retry_too_many_for=0)
        except Pan123Error as error:
            if (
                callback_url
            ):  # the service may quote it; Airflow's own mask grows too slow with thousands of them
                error.message = error.message.replace(callback_url.rpartition("/")[2], "***")
                error.args = (error.message,)
            raise

    # -- what comes back --

    def _collect(self) -> bool:
        """Take what was answered; whether anything was."""
        if not self._calls:
            time.sleep(TICK)
            return False
        done, _ = wait(self._calls, TICK, FIRST_COMPLETED)
        for call in done:
            active = self._calls.pop(call)
            try:
                task = call.result()
            except Pan123Error as error:
                self._rejected(active, error)
            else:
                self._accepted(active, task)
            self._changed = True
        return bool(done)

    def _accepted(self, active: InFlightImage, task: OfflineTask) -> None:
        active.taskID, active.submitted_at, active.calling = task.taskID, task.seen_at.timestamp(), False
        self.in_flight.ahead = active.submitted_at - time.time()
        self.in_flight.began_at = self.in_flight.began_at or active.submitted_at
        self.failing_since, self._refusals = None, 0
        self._since_cap += 1
        if self._since_cap >= self.cap:  # what others took of the account's share may be free by now
            self.cap, self._since_cap = min(self.cap + 1, self._max_in_flight), 0

    def _rejected(self, active: InFlightImage, error: Pan123Error) -> None:
        if may_have_arrived(error):
            log.warning("Looking for %s: %s", self._inventory.redacted(active.number), error)
            active.calling, active.problem = False, error.message
            self._back_off(error)
            return
        del self.in_flight.active[active.number]
        if self._is_the_images(active, error):
            state = ImageState.FAILED if active.attempt else ImageState.AGAIN
            reason = self._inventory.redact(active.number, error.message)
            self._inventory.record(active.number, state, reason=reason)
            log.warning(
                "%s: %s",
                self._inventory.redacted(active.number),
                self._inventory.redact(active.number, str(error)),
            )
            return
        # Not this image's fault: it comes first when there is a next time.
        self._return(active)
        if not error.transient:
            raise error
        if not isinstance(error, Pan123TooManyTasksError):
            self._back_off(error)
        elif there := sum(each.taskID is not None for each in self.in_flight):
            self.cap, self._since_cap = there, 0
        else:
            self._pause(TOO_MANY_TASKS_PAUSES[min(self._refusals, 2)])

    def _is_the_images(self, active: InFlightImage, error: Pan123Error) -> bool:
        """Whether it is this image that is refused, not the account, nor all of them for now."""
        if isinstance(error, Pan123ServiceError):
            return not (error.code == TRAFFIC_EXCEEDED or NO_DEVELOPER in error.message)
        if not isinstance(error, Pan123UnavailableError):
            return False
        self._put_back[active.number] += 1
        if self._put_back[active.number] < MAX_PUT_BACKS:
            return False
        try:
            self._hook.client.call(list_directory(), READ_RETRY_SECONDS)
        except Pan123Error:
            return False
        return True

    def _back_off(self, error: Pan123Error) -> None:
        """Wait until the service is there again, but not for ever."""
        self.failing_since = self.failing_since or time.time()
        if time.time() - self.failing_since > RETRY_FOR_SECONDS:
            raise error
        self._pause(min(2.0**self._refusals, 30.0))

    def _pause(self, seconds: float) -> None:
        if time.monotonic() >= self._not_before:  # else it has begun
            self._refusals += 1
            self._not_before = time.monotonic() + seconds * random.uniform(0.5, 1)

    def _return(self, active: InFlightImage) -> None:
        self._inventory.states[active.number] = ImageState.AGAIN if active.attempt else ImageState.MISSING

    def _withdraw(self) -> None:
        """Take back what was announced and not sent."""
        withdrawn = [*self._announced]
        for call, active in self._calls.items():
            if call.cancelled() or ((error := call.exception()) and not may_have_arrived(error)):
                withdrawn.append(active)
            elif error is None:
                self._accepted(active, call.result())
        for active in withdrawn:
            del self.in_flight.active[active.number]
            self._return(active)
        self._announced.clear()
        self._calls.clear()
        self._journal.save(self.in_flight)

    def _keep(self) -> None:
        if self._changed and self._journal.due():
            self._journal.save(self.in_flight)
            self._changed = False
