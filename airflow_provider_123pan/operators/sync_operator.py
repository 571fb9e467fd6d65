"""What every operator that syncs does, from its arguments to the end or a wait in the triggerer."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import AssetAlias, BaseOperator

from airflow_provider_123pan.exceptions import Pan123Error, Pan123InputError
from airflow_provider_123pan.operators.failures import push, refuse_failures

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage
    from airflow.sdk import Context

    from airflow_provider_123pan.source.naming import Naming
    from airflow_provider_123pan.sync.inventory import Inventory
    from airflow_provider_123pan.sync.options import SyncOptions
    from airflow_provider_123pan.sync.raw_entries import RawEntry
    from airflow_provider_123pan.sync.run import SyncRun
    from airflow_provider_123pan.sync.timing import SyncTiming

#: Every directory that a sync has brought up to date; downstream DAGs can be scheduled on it.
DIRECTORIES = AssetAlias("pan123_directories")


class SyncOperator(BaseOperator):
    """Syncs by the arguments of :class:`~airflow_provider_123pan.operators.sync_images.Pan123SyncImagesOperator`."""

    images: Any
    manifest: str | None
    directory_id: str | None
    directory: str | None
    results: str | None
    if_exists: str
    on_invalid: str
    probe: bool
    private_hosts: Sequence[str]
    fetch: str
    fetch_headers: Any
    fetch_conn_ids: Mapping[str, str] | None
    max_uploads: int
    convert: Mapping[str, str] | None
    verify: str | None
    allow_equal: bool
    allow_empty: bool
    encoding: str | None
    name: str | None
    keep_tree: bool
    max_active: int | None
    max_failures: int | str
    use_callback: bool | None
    deferrable: bool
    timeout: float
    pan123_conn_id: str

    #: None: the defaults, which a DAG file need not import.
    timing: ClassVar[SyncTiming | None] = None
    ui_color = "#d9ecff"

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("multiple_outputs", True)
        outlets = kwargs.pop("outlets", None) or []
        outlets = [*(outlets if isinstance(outlets, list) else [outlets]), DIRECTORIES]
        super().__init__(outlets=outlets, **kwargs)
        self._hosts: list[str] = []

    def execute(self, context: Context) -> dict[str, Any]:
        """Begin the sync."""
        return self._go(context, None)

    def execute_complete(
        self, context: Context, event: Any = None, state: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Resume after a wait in the triggerer."""
        from airflow_provider_123pan.download.events import from_event

        if isinstance(event, Mapping) and event.get("status") == "woken":
            return self._go(context, state, event["ended"])
        try:
            from_event(event)
        except Pan123Error as error:
            return self._go(context, state, aborted_by=error)
        raise AssertionError(f"no event of a sync: {event!r:.200}")

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any]:
        """Return the source hosts and the directory, for the OpenLineage provider."""
        from airflow_provider_123pan.sync.lineage import openlineage

        return openlineage(self._hosts, self._uri())

    def _go(
        self,
        context: Context,
        state: Mapping[str, Any] | None,
        ended: Sequence[str] = (),
        aborted_by: Pan123Error | None = None,
    ) -> dict[str, Any]:
        """Run or resume the sync.

        :param aborted_by: the error that ended the wait; then only the known results are written.
        """
        from airflow_provider_123pan.callbacks.client import CallbackSigner
        from airflow_provider_123pan.hooks.pan123 import Pan123Hook
        from airflow_provider_123pan.retries import failing_without_retry
        from airflow_provider_123pan.sync.checkpoint import Checkpoint
        from airflow_provider_123pan.sync.inventory import Inventory
        from airflow_provider_123pan.sync.lineage import MAX_HOSTS
        from airflow_provider_123pan.sync.options import allowance
        from airflow_provider_123pan.sync.run import SyncRun
        from airflow_provider_123pan.sync.timing import SyncTiming

        with failing_without_retry():
            allowance(self.max_failures)
            checkpoint = Checkpoint.load(state) if state else None
            options = self._options(checkpoint.deadline if checkpoint else time.time() + self.timeout)
            hook = Pan123Hook(self.pan123_conn_id)
            # Before the list is read: a wrong connection fails at once.
            signer = CallbackSigner.of(hook.settings, self.use_callback)
            inventory = Inventory(self._naming(), options.fetching.fetch)
            try:
                self._load(inventory)
                self._hosts = inventory.hosts(MAX_HOSTS)
                given = (hook, inventory, options, signer, context, self.timing or SyncTiming())
                sync_run = SyncRun.resume(*given, checkpoint, ended) if checkpoint else SyncRun.begin(*given)
                try:
                    pause = sync_run.run() if aborted_by is None else sync_run.abort(aborted_by)
                except Pan123Error:
                    push(context, self._found(inventory, sync_run))
                    raise
                finally:
                    hook.client.close()
                found = self._found(inventory, sync_run)
            finally:
                inventory.close()
            if pause is not None:
                self._defer(pause.checkpoint.dump(), pause.trigger, options)
            return self._conclude(context, found)

    def _conclude(self, context: Context, found: dict[str, Any]) -> dict[str, Any]:
        """Return what was found at the end of the sync, unless too many images have failed."""
        self._check_failures(context, found, found["total"])
        self._announce(
            context, {key: found[key] for key in ("total", "present", "migrated", "suspect", "failed")}
        )
        return found

    def _check_failures(self, context: Context, found: Mapping[str, Any], total: int) -> None:
        """Raise an error if more images have failed than ``max_failures`` allows."""
        from airflow_provider_123pan.exceptions import Pan123DownloadFailedError

        refuse_failures(
            context,
            found,
            total,
            self.max_failures,
            error=Pan123DownloadFailedError,
            problem="failed",
            shown="url",
            records=self._results_path(),
        )

    def _announce(self, context: Context, counts: dict[str, Any]) -> None:
        """Add the asset event of the directory."""
        from airflow_provider_123pan.sync.lineage import announce

        announce(context, DIRECTORIES, self._uri(), counts)

    def _results_path(self) -> str | None:
        """Return the path of the results file."""
        return self.results

    def _found(self, inventory: Inventory, sync_run: SyncRun) -> dict[str, Any]:
        return inventory.counts() | {
            "directory_id": sync_run.directory_id,
            "results": self._results_path(),
            "failures": sync_run.failures,
        }

    def _options(self, deadline: float) -> SyncOptions:
        from airflow_provider_123pan.source.probe import Prober
        from airflow_provider_123pan.sync import options
        from airflow_provider_123pan.sync.directory import check_directory

        directory_id, names = check_directory(self.directory_id, self.directory)
        options.check_choice("if_exists", self.if_exists, "skip", "overwrite")
        return options.SyncOptions(
            directory_id=directory_id,
            names=names,
            results=self._results_path(),
            overwrite=self.if_exists == "overwrite",
            max_in_flight=options.check_max_active(self.max_active),
            deferrable=self.deferrable,
            deadline=deadline,
            fetching=options.FetchOptions.of(
                self.fetch,
                self.fetch_headers,
                self.fetch_conn_ids,
                self.private_hosts,
                self.max_uploads,
                self.convert,
            ),
            prober=Prober.of(self.probe, self.private_hosts),
            verify=options.check_verify(self.verify),
            allow_equal=self.allow_equal,
        )

    def _naming(self) -> Naming:
        from airflow_provider_123pan.source.convert import Converter
        from airflow_provider_123pan.source.naming import DEFAULT_TEMPLATE, Naming
        from airflow_provider_123pan.source.signatures import configured_parameters

        if self.keep_tree and self.directory is None and self.directory_id is None:
            raise Pan123InputError(
                "keep_tree: give directory or directory_id, below which the directories are made"
            )
        template = DEFAULT_TEMPLATE if self.name is None else str(self.name)
        needs_format = not self.probe and self.fetch != "worker"
        targets = Converter.of(self.convert).targets
        return Naming(
            template, self.keep_tree, configured_parameters(), needs_format=needs_format, targets=targets
        )

    def _load(self, inventory: Inventory) -> None:
        from airflow_provider_123pan.sync.options import check_choice

        check_choice("on_invalid", self.on_invalid, "record", "fail")
        name, rows = self._list()
        inventory.load(rows, refuse_invalid=self.on_invalid == "fail")
        if not len(inventory) and not self.allow_empty:
            raise Pan123InputError(f"{name} is empty; pass allow_empty=True if that is right")

    def _list(self) -> tuple[str, Iterator[RawEntry]]:
        """Return what an error calls the list, and its entries."""
        from airflow_provider_123pan.sync.manifest import read_list

        return read_list(self.images, self.manifest, self.encoding)

    def _defer(self, state: dict[str, Any], trigger: dict[str, Any], options: SyncOptions) -> None:
        from airflow_provider_123pan.download.events import DEFERRAL_GRACE_SECONDS
        from airflow_provider_123pan.triggers.sync_images import Pan123SyncImagesTrigger

        self.defer(
            trigger=Pan123SyncImagesTrigger(**trigger),
            method_name="execute_complete",
            kwargs={"state": state},
            timeout=timedelta(seconds=max(0.0, options.deadline - time.time()) + DEFERRAL_GRACE_SECONDS),
        )

    def _uri(self) -> str:
        from airflow_provider_123pan.service.listing import DEFAULT_DIRECTORY
        from airflow_provider_123pan.sync.lineage import directory_uri

        return directory_uri(self.pan123_conn_id, self.directory or self.directory_id or DEFAULT_DIRECTORY)
