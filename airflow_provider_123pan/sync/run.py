"""One worker's turn at a batch: from what the operator was given to the end, or to a wait in the triggerer."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, NoReturn

from airflow_provider_123pan.callbacks.address import new_callback_id
from airflow_provider_123pan.callbacks.client import CallbackSigner, inbox_endpoint
from airflow_provider_123pan.exceptions import Pan123Error
from airflow_provider_123pan.service.listing import DEFAULT_DIRECTORY, find_default_directory, visit_images
from airflow_provider_123pan.service.models import Image
from airflow_provider_123pan.sync.directory import (
    ensure_directory,
    retry_reads,
)
from airflow_provider_123pan.sync.entries import stem_of
from airflow_provider_123pan.sync.in_flight import SKEW, InFlight
from airflow_provider_123pan.sync.inventory import ImageState, Inventory
from airflow_provider_123pan.sync.journal import Journal
from airflow_provider_123pan.sync.reporter import Reporter
from airflow_provider_123pan.sync.results import Results
from airflow_provider_123pan.sync.submitter import Submitter

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_123pan.hooks.pan123 import Pan123Hook

log = logging.getLogger(__name__)

IDLE_SECONDS_BEFORE_DEFERRAL = (
    10.0  # seconds without an end after which the triggerer waits; a deferral costs about as much
)
RECHECK_SECONDS = 30.0  # seconds after which a worker looks again for what the triggerer cannot see
MAX_FAILURES_SHOWN = 20  # failures in the XCom


@dataclass(frozen=True, slots=True)
class SyncOptions:
    """What an operator was given, checked.

    :ivar directory_id: an id that was given; :ivar names: the way to it, otherwise. Neither: the service's own.
    :ivar deadline: Unix seconds.
    """

    directory_id: str | None
    names: tuple[str, ...]
    results: str | None
    overwrite: bool
    max_in_flight: int | None
    use_callback: bool | None
    deferrable: bool
    deadline: float

    @property
    def target(self) -> str:
        """The directory, for people."""
        return self.directory_id or "/".join(self.names) or DEFAULT_DIRECTORY


@dataclass(frozen=True, slots=True)
class Deferral:
    """The rest is to be waited for in the triggerer.

    :ivar state: what the next worker needs; :ivar trigger: the trigger's arguments.
    """

    state: dict[str, Any]
    trigger: dict[str, Any]


class SyncRun:
    """Runs once.

    :param inventory: the list, loaded.
    :param state: from the :class:`Pause` before, if there was one.
    :param ended: keys of those in flight that the triggerer saw end.
    """

    def __init__(
        self,
        hook: Pan123Hook,
        inventory: Inventory,
        job: SyncOptions,
        context: Context,
        state: Mapping[str, Any] | None,
        ended: Sequence[str],
    ) -> None:
        self._hook = hook
        self._inventory = inventory
        self._job = job
        self._signer = CallbackSigner.of(hook.settings, job.use_callback)
        self._directory_id = state["directory_id"] if state else job.directory_id
        target = hashlib.sha256(f"{hook.settings.account} {job.target}".encode()).hexdigest()
        store: Any = context.get("task_state_store")  # Airflow 3.3
        self._journal = Journal(store, target)
        ti: Any = context["ti"]
        owner = hashlib.sha256(f"{ti.dag_id} {ti.run_id} {ti.task_id} {ti.map_index}".encode()).hexdigest()[
            :12
        ]
        self._results = Results(job.results, owner) if job.results else None
        self.failures: list[dict[str, Any]] = []
        if self._directory_id is None and job.names:
            self._directory_id = hook.run(retry_reads(ensure_directory(self._job.names)))
        self._default_id: str | None = None
        self._alone: set[int] = set()
        self._cap: int | None = None
        self._failing_since: float | None = None
        if self._results and state:
            self._results.parts = state["parts"]
        whole = self._results is None or self._results.whole()
        if state is not None and whole and inventory.restore(state["ledger"]):
            self._in_flight = InFlight.load(state["flight"], inventory)
            for active in self._in_flight:
                if active.key in ended:
                    active.poll_at = time.time()
            self._alone = {number for key in state["alone"] if (number := inventory.number(key)) is not None}
            self._cap, self.failures = state["cap"], state["failures"]
            self._failing_since = state["failing_since"]
        else:
            self._begin(state["flight"] if state else self._journal.load())
        self._progress = Reporter(ti, inventory)

    @property
    def directory_id(self) -> str | None:
        """Where the images are; None before the first image in the service's own directory."""
        return self._directory_id or self._default_id

    def run(self) -> Deferral | None:
        """Work until all have ended (None), or as long as it is worth it.

        :raises Pan123Error: the deadline has come, or the service refuses; the results say what has not ended.
        """
        signer = self._signer
        submitter = Submitter(
            self._hook,
            self._inventory,
            self._in_flight,
            self._journal,
            directory_id=self._directory_id,
            find_directory=self._find_directory,
            signer=signer,
            inbox=inbox_endpoint(self._hook.settings) if signer else None,
            overwrite=self._job.overwrite,
            max_in_flight=self._job.max_in_flight,
            deadline=self._job.deadline,
            report=self._progress.report_if_due,
        )
        submitter.monitor.alone |= self._alone
        submitter.failing_since = self._failing_since
        if self._cap:
            submitter.cap = self._cap
        try:
            ended = submitter.run(IDLE_SECONDS_BEFORE_DEFERRAL if self._job.deferrable else float("inf"))
        except Pan123Error as error:
            self.abort(error)
        if not ended:
            return self._pause(submitter)
        self._end()
        self._journal.forget()
        return None

    def abort(self, error: Pan123Error) -> NoReturn:
        """Write down what is known, and raise. What is in flight stays in the journal, for the next try."""
        for state in (ImageState.MISSING, ImageState.AGAIN, ImageState.ACTIVE):
            while (number := self._inventory.first(state)) is not None:
                active = self._in_flight.active.get(number)
                reason = self._inventory.redact(number, error.message)
                self._inventory.record(
                    number, ImageState.FAILED, taskID=active.taskID if active else None, reason=reason
                )
        self._end()
        raise error

    def _begin(self, earlier: Mapping[str, Any] | None) -> None:
        """Compare what shall be there with what is there.

        :param earlier: what an earlier try left in flight.
        """
        self._in_flight = InFlight.load(earlier, self._inventory) if earlier else InFlight(new_callback_id())
        for active in self._in_flight:
            if active.taskID is None:
                active.sent_at = time.time()  # it is looked for from now on
        if self._results:
            self._results.discard()
        since = None
        if self._job.overwrite:
            if self._in_flight.began_at is None:
                return
            since = datetime.fromtimestamp(self._in_flight.began_at, timezone.utc) - SKEW
        directory_id = self._find_directory()
        if directory_id is not None:
            self._hook.run(retry_reads(visit_images(directory_id, self._compare, since)))
        for active in self._in_flight:
            self._inventory.states[active.number] = ImageState.ACTIVE
        log.info(
            "%d of %d images are there, %d are in flight from an earlier try",
            self._inventory.count(ImageState.PRESENT),
            len(self._inventory),
            len(self._in_flight.active),
        )

    def _compare(self, image: Image) -> None:
        if self._job.overwrite and not self._is_new(image):
            return
        for number in self._inventory.matches(image):
            named = stem_of(image.file_name) == self._inventory.entry(number).stem
            if not named and self._inventory.states[number] != ImageState.MISSING:
                continue
            self._in_flight.active.pop(number, None)
            if image.rejected:
                reason = f"rejected by review (status {image.status})"
                self._inventory.record(number, ImageState.FAILED, image, reason=reason)
            else:
                self._inventory.record(
                    number, ImageState.MIGRATED if self._job.overwrite else ImageState.PRESENT, image
                )

    def _is_new(self, image: Image) -> bool:
        """Whether it was made since the first try began; the service's own filter by date may be another."""
        began_at = self._in_flight.began_at or 0.0
        return image.changed_at is None or image.changed_at.timestamp() >= began_at - SKEW.total_seconds()

    def _find_directory(self) -> str | None:
        if self.directory_id is None:
            self._default_id = self._hook.run(retry_reads(find_default_directory()))
        return self.directory_id

    def _pause(self, submitter: Submitter) -> Deferral:
        if self._results:
            self._results.spill(self._inventory.records())
        self._note_failures()
        self._progress.report(len(self._in_flight.active))
        in_flight, submitting = self._in_flight, self._inventory.first(ImageState.MISSING) is not None
        # The triggerer could find out nothing new about the others.
        silent = [
            each
            for each in in_flight
            if each.taskID is not None and not (each.succeeded_at or each.failed_at)
        ]
        watched = len(silent) == len(in_flight.active) > 0
        state = {
            "ledger": self._inventory.dump(),
            "flight": in_flight.dump(),
            "directory_id": self._directory_id,
            "alone": [self._inventory.key(number) for number in submitter.monitor.alone],
            "cap": submitter.cap,
            "failing_since": submitter.failing_since,
            "parts": self._results.parts if self._results else 0,
            "failures": self.failures,
            "deadline": self._job.deadline,
        }
        trigger = {
            "pan123_conn_id": self._hook.pan123_conn_id,
            "directory_id": self.directory_id,
            "active": {each.key: [each.taskID, each.attempt, bool(each.deliveries)] for each in silent},
            "seed": in_flight.seed if self._signer else None,
            "since": submitter.monitor.since.isoformat(),
            # Half of the room is worth a worker's start, if there is more to submit.
            "want": max(1, len(silent) // 2 if submitting else len(silent)),
            "until": self._job.deadline
            if watched
            else min(self._job.deadline, time.time() + RECHECK_SECONDS),
        }
        return Deferral(state, trigger)

    def _end(self) -> None:
        if self._results:
            self._results.write(self._inventory.records())
            log.info("What became of each is in %s", self._job.results)
        self._note_failures()
        self._progress.report(0)

    def _note_failures(self) -> None:
        if not self._inventory.count(ImageState.FAILED):
            return
        for record in self._inventory.records():
            if len(self.failures) >= MAX_FAILURES_SHOWN:
                return
            if record.status == "failed":
                url = self._inventory.redacted_url(record.url)
                self.failures.append({"url": url, "file_name": record.file_name, "reason": record.reason})
