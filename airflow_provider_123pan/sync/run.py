"""One worker's part of a sync: from the operator's arguments to the end, or to a wait in the triggerer."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from airflow_provider_123pan.callbacks.address import new_callback_id
from airflow_provider_123pan.callbacks.client import CallbackSigner, inbox_endpoint
from airflow_provider_123pan.exceptions import Pan123Error
from airflow_provider_123pan.service.flow import Flow
from airflow_provider_123pan.service.listing import visit_images
from airflow_provider_123pan.sync.checkpoint import Checkpoint, Deferral
from airflow_provider_123pan.sync.comparison import Comparison
from airflow_provider_123pan.sync.directory import retry_reads
from airflow_provider_123pan.sync.earlier_images import EarlierImages
from airflow_provider_123pan.sync.first_scan import FirstScan
from airflow_provider_123pan.sync.image_state import ImageState
from airflow_provider_123pan.sync.in_flight import InFlight, Watched
from airflow_provider_123pan.sync.inventory import Inventory
from airflow_provider_123pan.sync.journal import Journal
from airflow_provider_123pan.sync.known_contents import KnownContents
from airflow_provider_123pan.sync.known_conversions import KnownConversions
from airflow_provider_123pan.sync.options import SyncOptions
from airflow_provider_123pan.sync.outcomes import complete_outcomes, fail_the_rest
from airflow_provider_123pan.sync.placeholder_guard import PlaceholderGuard
from airflow_provider_123pan.sync.reporter import Reporter
from airflow_provider_123pan.sync.results import Results
from airflow_provider_123pan.sync.submitter import Submitter
from airflow_provider_123pan.sync.target import Target
from airflow_provider_123pan.sync.timing import SyncTiming
from airflow_provider_123pan.sync.worker_fetches import WorkerFetches

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_123pan.hooks.pan123 import Pan123Hook

log = logging.getLogger(__name__)

T = TypeVar("T")


class SyncRun:
    """One worker's part of a sync; :meth:`begin` or :meth:`resume` makes one."""

    def __init__(
        self,
        hook: Pan123Hook,
        inventory: Inventory,
        options: SyncOptions,
        signer: CallbackSigner | None,
        timing: SyncTiming,
        *,
        ti: Any,
        journal: Journal,
        results: Results | None,
        target: Target,
        in_flight: InFlight,
        cap: int | None = None,
        failing_since: float | None = None,
        failures: Sequence[dict[str, Any]] = (),
        contents: Mapping[str, str] | None = None,
        resumed: bool = False,
    ) -> None:
        self._hook = hook
        self._inventory = inventory
        self._options = options
        self._signer = signer
        self._timing = timing
        self._journal = journal
        self._results = results
        self._target = target
        self._contents = KnownContents.of(hook.settings.account, options.target, contents or {})
        self._conversions = KnownConversions.of(hook.settings.account, options.target)
        self._in_flight = in_flight
        self._first_scan: FirstScan | None = None
        self._cap = cap
        self._failing_since = failing_since
        self._reporter = Reporter(ti, inventory, failures, in_flight if signer else None)
        self._earlier = EarlierImages(
            inventory, results, target, self._contents, self._read, resumed=resumed, deadline=options.deadline
        )
        self._guard = PlaceholderGuard(hook, inventory, options, self._earlier)

    @classmethod
    def begin(
        cls,
        hook: Pan123Hook,
        inventory: Inventory,
        options: SyncOptions,
        signer: CallbackSigner | None,
        context: Context,
        timing: SyncTiming,
        earlier: Mapping[str, Any] | None = None,
    ) -> SyncRun:
        """Begin: make the directory where it is missing, and compare the list with what is there.

        :param inventory: the list, loaded.
        :param signer: signs callback URLs; None without callbacks.
        :param earlier: what was in flight, from a checkpoint that no longer fits the list; by default what an earlier
            try of this task left in the journal.
        """
        options.check_target(by_worker=inventory.count(ImageState.WORKER) > 0)
        journal = Journal.of(hook.settings.account, options.target, context)
        results = Results.of(options.results, context)
        target = Target.ensure(hook, inventory, options, timing.read_retry_pauses)
        stored = earlier or journal.load()
        in_flight = InFlight.load(stored, inventory) if stored else InFlight(new_callback_id())
        for pending in in_flight:
            pending.search_from(time.time())
        if results:
            results.discard()
        run = cls(
            hook,
            inventory,
            options,
            signer,
            timing,
            ti=context["ti"],
            journal=journal,
            results=results,
            target=target,
            in_flight=in_flight,
        )
        run._compare_with_directory()
        return run

    @classmethod
    def resume(
        cls,
        hook: Pan123Hook,
        inventory: Inventory,
        options: SyncOptions,
        signer: CallbackSigner | None,
        context: Context,
        timing: SyncTiming,
        checkpoint: Checkpoint,
        ended: Sequence[str],
    ) -> SyncRun:
        """Resume after a deferral; begin again if the list has changed, or a part of the results is missing.

        :param inventory: the list, loaded.
        :param signer: signs callback URLs; None without callbacks.
        :param ended: keys of the images in flight that the triggerer saw end.
        """
        results = Results.of(options.results, context, checkpoint.parts)
        if (results and not results.whole()) or not inventory.restore(checkpoint.inventory):
            return cls.begin(hook, inventory, options, signer, context, timing, checkpoint.in_flight)
        in_flight = InFlight.load(checkpoint.in_flight, inventory)
        for pending in in_flight:
            if pending.key in ended:
                pending.poll_again(time.time())
        numbers = map(inventory.number, checkpoint.alone)
        in_flight.alone.update(number for number in numbers if number is not None)
        return cls(
            hook,
            inventory,
            options,
            signer,
            timing,
            ti=context["ti"],
            journal=Journal.of(hook.settings.account, options.target, context),
            results=results,
            target=Target(
                hook, inventory, checkpoint.directory_id, checkpoint.folders, timing.read_retry_pauses
            ),
            in_flight=in_flight,
            cap=checkpoint.cap,
            failing_since=checkpoint.failing_since,
            failures=checkpoint.failures,
            contents=checkpoint.contents,
            resumed=True,
        )

    @property
    def directory_id(self) -> str | None:
        """The id of the target directory; None before the first image in the default directory."""
        return self._target.directory_id

    @property
    def failures(self) -> list[dict[str, Any]]:
        """The first images that have failed or are suspect."""
        return self._reporter.failures

    def run(self) -> Deferral | None:
        """Work until all images have ended, or until a wait in the triggerer costs less.

        :returns: what the operator defers with, or None at the end.
        :raises Pan123Error: the deadline has come, or the service refuses; the results say what has not ended.
        """
        idle_limit = self._timing.idle_before_deferral if self._options.deferrable else float("inf")
        is_left = True
        while is_left:
            submitter = self._submitter()
            try:
                ended = submitter.run(idle_limit)
                if ended:
                    submitter.monitor.read_deliveries()
                    self._complete_outcomes()
                    is_left = self._guard.replace()
            except Pan123Error as error:
                self.abort(error)
            if not ended:
                return self._pause(submitter)
        self._end()
        self._journal.forget()
        return None

    def _submitter(self) -> Submitter:
        return Submitter(
            self._hook,
            self._inventory,
            self._in_flight,
            self._journal,
            directory_of=self._target.id_of,
            directory_ids=self._target.ids_of,
            signer=self._signer,
            inbox=inbox_endpoint(self._hook.settings) if self._signer else None,
            first_scan=self._first_scan,
            overwrite=self._options.overwrite,
            max_in_flight=self._options.max_in_flight,
            cap=self._cap,
            failing_since=self._failing_since,
            deadline=self._options.deadline,
            timing=self._timing,
            prober=self._options.prober,
            fetches=WorkerFetches(
                self._hook, self._inventory, self._options, self._target.id_of, self._timing
            ),
            report=self._reporter.report_if_due,
        )

    def abort(self, error: Pan123Error) -> NoReturn:
        """Write what is known to the results, and raise; the journal keeps what is in flight for the next try."""
        fail_the_rest(self._inventory, self._in_flight, error)
        self._complete_outcomes()
        self._end()
        raise error

    def _compare_with_directory(self) -> None:
        """Compare the list with what is there, and with what an earlier try left in flight."""
        self._contents.load(self._inventory)
        if self._options.fetching.converter.targets:
            self._conversions.load(self._inventory)
        comparison = Comparison(
            self._inventory,
            self._in_flight,
            self._contents,
            self._timing,
            overwrite=self._options.overwrite,
        )
        for directory_id in (*self._target.ids(), *self._target.folders.values()):
            self._read(
                visit_images(directory_id, comparison.compare, comparison.since, until=self._options.deadline)
            )
        self._first_scan = comparison.first_scan
        if self._results:
            self._read(comparison.find_urls())
        for pending in self._in_flight:
            self._inventory.activate(pending.number)
        log.info(
            "%d of %d images are there, %d are in flight from an earlier try",
            self._inventory.count(ImageState.PRESENT),
            len(self._inventory),
            len(self._in_flight),
        )

    def _read(self, flow: Flow[T]) -> T:
        return self._hook.run(retry_reads(flow, self._timing.read_retry_pauses))

    def _pause(self, submitter: Submitter) -> Deferral:
        contents = self._contents.recent(self._inventory)
        self._complete_outcomes()
        if self._results:
            self._results.spill(self._inventory.numbered_records())
        self._reporter.collect_failures()
        self._reporter.report(len(self._in_flight))
        in_flight, submitting = self._in_flight, self._inventory.first(ImageState.MISSING) is not None
        # The triggerer could find out nothing new about the others.
        silent = [
            pending
            for pending in in_flight
            if pending.taskID is not None and not (pending.succeeded_at or pending.failed_at)
        ]
        all_visible = len(silent) == len(in_flight) > 0
        may_share_files = any(pending.succeeded_at for pending in in_flight)
        last_look_at = self._options.deadline - self._timing.last_look
        recheck_at = min(last_look_at, time.time() + self._timing.recheck)
        checkpoint = Checkpoint(
            inventory=self._inventory.dump(),
            in_flight=in_flight.dump(),
            directory_id=self._target.given_id,
            alone=[self._inventory.key(number) for number in in_flight.alone],
            cap=submitter.cap,
            failing_since=submitter.failing_since,
            parts=self._results.parts if self._results else 0,
            failures=self.failures,
            deadline=self._options.deadline,
            folders=self._target.folders,
            contents=contents if may_share_files else {},
        )
        trigger: dict[str, Any] = {
            "pan123_conn_id": self._hook.pan123_conn_id,
            "active": {
                pending.key: list(Watched(pending.taskID, pending.attempt, bool(pending.deliveries)))
                for pending in silent
            },
            "seed": in_flight.seed if self._signer else None,
            "since": submitter.monitor.since.isoformat(),
            # While there is more to submit, half of the room is worth starting a worker.
            "want": max(1, len(silent) // 2 if submitting else len(silent)),
            "until": last_look_at if all_visible else recheck_at,
            **self._target.watched(pending.number for pending in silent),
        }
        return Deferral(checkpoint, trigger)

    def _end(self) -> None:
        self._guard.mark()
        if self._results:
            self._results.write(self._inventory.records(), recalled=self._earlier.are_read)
            log.info("The results are in %s", self._options.results)
        self._reporter.collect_failures()
        self._reporter.report(0)

    def _complete_outcomes(self) -> None:
        # Before the verification: an image that fails it is stored, and the next run must not submit it again.
        self._contents.save(self._inventory)
        self._conversions.save(self._inventory)
        complete_outcomes(self._inventory, self._options, self._timing.explain)
