"""Submits what is missing as fast as the service takes it, for as long as a worker has something to do."""

from __future__ import annotations

import logging
import random
import time
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING

from airflow_provider_123pan.callbacks.client import RemoteInbox, Signer
from airflow_provider_123pan.download.lookup import LOOK
from airflow_provider_123pan.download.wait import Pan123WaitTimeoutError
from airflow_provider_123pan.exceptions import (
    Pan123Error,
    Pan123ServiceError,
    Pan123TooManyTasksError,
    Pan123UnavailableError,
    may_have_arrived,
)
from airflow_provider_123pan.service.models import OfflineTask
from airflow_provider_123pan.service.protocol import (
    NO_DEVELOPER,
    PATIENCE,
    TOO_MANY_TASKS_PAUSES,
    TRAFFIC_EXCEEDED,
    create_offline_download,
    list_directory,
)
from airflow_provider_123pan.sync.entries import Wanted
from airflow_provider_123pan.sync.in_flight import SKEW, Active, Flight
from airflow_provider_123pan.sync.inventory import Ledger, State
from airflow_provider_123pan.sync.journal import Journal
from airflow_provider_123pan.sync.monitor import Watch

if TYPE_CHECKING:
    from airflow_provider_123pan.hooks.pan123 import Pan123Hook

log = logging.getLogger(__name__)

THREADS = 16
MOST_ACTIVE = 1000  # what a trigger's arguments hold, in any of Airflow's databases
BLOCK = 100  # submissions that the journal announces at once
LOOKS = 0.05  # share of the calls that go into looking while there is something to submit
TICK = 0.05  # seconds
SHORTEST, LONGEST = 0.25, 10.0  # seconds between two looks
PUT_BACK = (
    5  # so often an image's submission may find no service, before it is asked whether it is there at all
)
CALL_PATIENCE = 60.0  # seconds for which one submission is queued again; then it goes back into the list


class Batch:
    """One worker's turn at a list.

    :param directory_id: as submissions name it; None for the service's own.
    :param most: images in flight at most; the service's own cap is found.
    :param deadline: Unix seconds.
    :param tell: called all the time; shows people how far it is.
    """

    def __init__(
        self,
        hook: Pan123Hook,
        ledger: Ledger,
        flight: Flight,
        journal: Journal,
        *,
        directory_id: str | None,
        find_directory: Callable[[], str | None],
        signer: Signer | None,
        inbox: RemoteInbox | None,
        overwrite: bool,
        most: int | None,
        deadline: float,
        tell: Callable[[int], None],
    ) -> None:
        self._hook = hook
        self._ledger = ledger
        self.flight = flight
        self._journal = journal
        self._directory_id = directory_id
        self._signer = signer
        self._deadline = deadline
        self._tell = tell
        self._threads = ThreadPoolExecutor(THREADS, "pan123-sync")
        self.watch = Watch(hook, ledger, flight, find_directory, inbox if signer else None, overwrite)
        self.cap = min(most or MOST_ACTIVE, MOST_ACTIVE)  # images in flight
        self._most = self.cap
        self._since_cap = 0  # submissions since the cap was changed
        self._announced: deque[Active] = deque()  # in the journal, but not yet submitted
        self._calls: dict[Future[OfflineTask], Active] = {}
        self._alone_at = time.monotonic() + SKEW.total_seconds() + 1
        self._not_before = 0.0  # monotonic: the service wants a pause
        self._refusals = 0
        self._put_back: Counter[int] = Counter()  # by image
        self.failing_since: float | None = None  # Unix seconds
        self._changed = False
        self._look_takes = 0.0  # seconds

    def run(self, patience: float) -> bool:
        """Submit and look until all have ended; False: for ``patience`` seconds there was nothing to do but wait.

        :raises Pan123WaitTimeoutError: the deadline has come.
        """
        looked_at, busy_at = 0.0, time.monotonic()
        pause = SHORTEST
        try:
            while True:
                if time.time() > self._deadline:
                    raise Pan123WaitTimeoutError("the batch has not ended within the timeout")
                self._submit()
                if self._collect():
                    busy_at = time.monotonic()
                now = time.monotonic()
                if self.flight.active and now >= looked_at + max(pause, self._dear()):
                    if self.watch.look():
                        busy_at, pause, self._changed = time.monotonic(), SHORTEST, True
                        # What is submitted alone must not be taken for what has just ended.
                        self._alone_at = busy_at + SKEW.total_seconds() + 1
                    else:
                        pause = min(pause * 1.5, LONGEST)
                    looked_at = time.monotonic()
                    self._look_takes = looked_at - now
                self._keep()
                self._tell(len(self.flight.active))
                if not self._calls and not self.flight.active and self._next() is None:
                    return True
                if not self._calls and now - busy_at > patience:
                    return False
        finally:
            self._threads.shutdown(cancel_futures=True)
            self.watch.close()
            self._withdraw()

    def _dear(self) -> float:
        """Seconds that a look is worth, in calls that could submit meanwhile."""
        share = LOOKS if self._room() and self._next() is not None else 5 * LOOKS
        return self.watch.pages / (share * self._hook.client.throttle.rate)

    # -- what is submitted next --

    def _room(self) -> int:
        return max(0, self.cap - len(self.flight.active))

    def _next(self) -> State | None:
        """What kind is submitted next: those that failed only when all others have ended."""
        kinds = (State.MISSING, State.AGAIN)
        return next((state for state in kinds if self._ledger.first(state) is not None), None)

    def _announce(self) -> None:
        """Choose the next ones, and let the journal know before anything is sent."""
        state = self._next()
        if state is None or not (room := self._room()):
            return
        if state is State.AGAIN and (self.flight.active or self._calls):
            return
        chosen: list[int] = []
        number = first = self._ledger.first(state)
        while number is not None and len(chosen) < min(BLOCK, room):
            if state is State.MISSING or number not in self.watch.alone:
                chosen.append(number)
            number = self._ledger.first(state, number + 1)
        if not chosen and first is not None and time.monotonic() >= self._alone_at:
            chosen = [first]
        for number in chosen:
            active = Active(
                number,
                self._ledger.key(number),
                self._ledger.identity(number),
                attempt=int(state is State.AGAIN),
                taskID=None,
                sent_at=time.time(),
                submitted_at=time.time() + self.flight.ahead,
                calling=True,
            )
            self._ledger.states[number] = State.ACTIVE
            self.flight.active[number] = active
            self._announced.append(active)
        self._journal.save(self.flight)

    def _submit(self) -> None:
        if time.monotonic() < self._not_before:
            return
        if len(self._announced) < THREADS:
            self._announce()
        # Enough for the threads while this one looks.
        most = min(2 * THREADS + self._look_takes * self._hook.client.throttle.rate, BLOCK)
        while self._announced and len(self._calls) < most:
            active = self._announced.popleft()
            active.sent_at, active.submitted_at = time.time(), time.time() + self.flight.ahead
            call = self._threads.submit(self._create, active, self._ledger.wanted(active.number))
            self._calls[call] = active

    def _create(self, active: Active, wanted: Wanted) -> OfflineTask:
        """One submission, in a thread of its own."""
        callback_url = self._signer.address(self.flight.callback_id(active)) if self._signer else None
        call = create_offline_download(wanted.url, wanted.file_name, self._directory_id, callback_url)
        try:
            return self._hook.client.call(call, CALL_PATIENCE, crowd_patience=0)
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
                self._refused(active, error)
            else:
                self._taken(active, task)
            self._changed = True
        return bool(done)

    def _taken(self, active: Active, task: OfflineTask) -> None:
        active.taskID, active.submitted_at, active.calling = task.taskID, task.seen_at.timestamp(), False
        self.flight.ahead = active.submitted_at - time.time()
        self.flight.began_at = self.flight.began_at or active.submitted_at
        self.failing_since, self._refusals = None, 0
        self._since_cap += 1
        if self._since_cap >= self.cap:  # what others took of the account's share may be free by now
            self.cap, self._since_cap = min(self.cap + 1, self._most), 0

    def _refused(self, active: Active, error: Pan123Error) -> None:
        if may_have_arrived(error):
            log.warning("Looking for %s: %s", self._ledger.shown(active.number), error)
            active.calling, active.problem = False, error.message
            self._hold(error)
            return
        del self.flight.active[active.number]
        if self._is_the_images(active, error):
            state = State.FAILED if active.attempt else State.AGAIN
            reason = self._ledger.conceal(active.number, error.message)
            self._ledger.note(active.number, state, reason=reason)
            log.warning(
                "%s: %s", self._ledger.shown(active.number), self._ledger.conceal(active.number, str(error))
            )
            return
        # Not this image's fault: it comes first when there is a next time.
        self._return(active)
        if not error.transient:
            raise error
        if not isinstance(error, Pan123TooManyTasksError):
            self._hold(error)
        elif there := sum(each.taskID is not None for each in self.flight):
            self.cap, self._since_cap = there, 0
        else:
            self._pause(TOO_MANY_TASKS_PAUSES[min(self._refusals, 2)])

    def _is_the_images(self, active: Active, error: Pan123Error) -> bool:
        """Whether it is this image that is refused, not the account, nor all of them for now."""
        if isinstance(error, Pan123ServiceError):
            return not (error.code == TRAFFIC_EXCEEDED or NO_DEVELOPER in error.message)
        if not isinstance(error, Pan123UnavailableError):
            return False
        self._put_back[active.number] += 1
        if self._put_back[active.number] < PUT_BACK:
            return False
        try:
            self._hook.client.call(list_directory(), LOOK)
        except Pan123Error:
            return False
        return True

    def _hold(self, error: Pan123Error) -> None:
        """Wait until the service is there again, but not for ever."""
        self.failing_since = self.failing_since or time.time()
        if time.time() - self.failing_since > PATIENCE:
            raise error
        self._pause(min(2.0**self._refusals, 30.0))

    def _pause(self, seconds: float) -> None:
        if time.monotonic() >= self._not_before:  # else it has begun
            self._refusals += 1
            self._not_before = time.monotonic() + seconds * random.uniform(0.5, 1)

    def _return(self, active: Active) -> None:
        self._ledger.states[active.number] = State.AGAIN if active.attempt else State.MISSING

    def _withdraw(self) -> None:
        """Take back what was announced and not sent."""
        withdrawn = [*self._announced]
        for call, active in self._calls.items():
            if call.cancelled() or ((error := call.exception()) and not may_have_arrived(error)):
                withdrawn.append(active)
            elif error is None:
                self._taken(active, call.result())
        for active in withdrawn:
            del self.flight.active[active.number]
            self._return(active)
        self._announced.clear()
        self._calls.clear()
        self._journal.save(self.flight)

    def _keep(self) -> None:
        if self._changed and self._journal.due():
            self._journal.save(self.flight)
            self._changed = False
