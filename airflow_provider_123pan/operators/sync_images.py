"""The operator that brings a directory of the image host in line with a list."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import AssetAlias, BaseOperator, conf

from airflow_provider_123pan.exceptions import Pan123Error, Pan123InputError
from airflow_provider_123pan.links import Pan123ResultsLink
from airflow_provider_123pan.operators.offline_download import seconds
from airflow_provider_123pan.source.masking import MaskedHeaders

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage
    from airflow.sdk import BaseOperatorLink, Context

    from airflow_provider_123pan.source.naming import Naming
    from airflow_provider_123pan.sync.inventory import Inventory
    from airflow_provider_123pan.sync.options import SyncOptions
    from airflow_provider_123pan.sync.raw_entries import RawEntry
    from airflow_provider_123pan.sync.run import SyncRun
    from airflow_provider_123pan.sync.timing import SyncTiming

#: Every directory that a sync has brought up to date; downstream DAGs can be scheduled on it.
DIRECTORIES = AssetAlias("pan123_directories")


class Pan123SyncImagesOperator(BaseOperator):
    """Bring a directory in line with a list of images: submit what is missing, and wait for it.

    An image whose name is there already is not submitted. So a second run costs one listing, a run that was killed
    continues, and an image that was deleted comes back. With ``deferrable`` no worker is occupied by the wait.

    Returns, and pushes each key as a separate XCom: ``total``, ``present``, ``migrated``, ``failed``,
    ``directory_id``, ``results`` and ``failures``, the first 20 (``url``, ``file_name``, ``reason``). The XCom
    ``progress`` shows the progress of a running task. On success an asset event for
    ``pan123://<connection>/<directory>``, by the alias ``pan123_directories``, carries the counts as its extra.

    :param images: URLs, or dicts with ``url`` and optionally ``file_name``, ``size`` (bytes) and ``md5`` (hex or
        base64). (templated)
    :param manifest: instead, a file that Airflow's object storage can open: ``.txt`` (one URL per line), ``.csv``
        (header ``url[,file_name][,size][,md5]``), ``.jsonl`` (the same keys), ``.tsv`` (``TsvHttpData-1.0``), each
        also with ``.gz``, ``.parquet``, or the ``manifest.json`` of an S3 Inventory. (templated)
    :param directory_id: the directory's id; or
    :param directory: its path, such as ``photos/2026``; missing directories are made. Without both, the default
        directory ``来自:离线下载``. (both templated)
    :param results: a path for one record per source URL, ``.jsonl`` or ``.csv``: ``url``, ``file_name``, ``status``
        (``present``, ``migrated``, ``failed``), ``taskID``, ``fileID``, ``download_url``, ``user_url``, ``etag``,
        ``size``, ``reason``. (templated)
    :param name: names the images that the list does not name: a format string of ``{stem}`` (the last part of the
        URL), ``{digest}`` (of the URL), ``{host}``, ``{path}`` and ``{ext}``; by default
        ``{stem}-{digest}.{ext}``. (templated)
    :param keep_tree: images keep the directories of their source paths, below the target directory.
    :param on_invalid: ``record`` an invalid entry as a failed image, or ``fail`` before anything is submitted.
    :param probe: the worker may probe sources: for the format of an image whose URL shows none, before it is submitted,
        and for the reason of a failure that no callback explains.
    :param private_hosts: hosts to which the worker may connect although their addresses are not public.
    :param fetch: who fetches the images: ``service``; ``worker``, which uploads them; or ``auto``, the worker what the
        service fails. Paths such as ``s3://…`` and ``file:///…`` as URLs of the list are for the worker in any case.
    :param fetch_headers: for patterns of hosts the headers that the worker sends, such as
        ``{"*.example.com": {"Referer": "…"}}``. (templated)
    :param fetch_conn_ids: for patterns of hosts an HTTP connection whose login, token or headers it sends. (templated)
    :param max_uploads: images that the worker fetches and uploads at once, from 1 to 8.
    :param verify: load each image from its new URL before it counts as there: ``address`` (status, type and length),
        ``content`` (also its MD5), or None. One that fails is a failed image, which the next run does not submit again.
    :param allow_empty: a list without entries is no error.
    :param encoding: of a text manifest, such as ``gb18030``; by default UTF-8.
    :param if_exists: ``skip`` what is there, unless its size or MD5 is given and differs; or ``overwrite`` all.
    :param max_active: the most offline tasks at once, up to 1,000; the limit of the service is found.
    :param max_failures: the task fails if more images fail: a number, or a share such as ``"5%"``. (templated)
    :param use_callback: have 123pan call back; by default, if the connection has a ``callback_base_url``.
    :param deferrable: wait in the triggerer.
    :param timeout: seconds for each try, its waits included.
    :param pan123_conn_id: the connection, of type ``pan123``. (templated)
    """

    template_fields: Sequence[str] = (
        *("images", "manifest", "directory_id", "directory", "results", "name"),
        *("fetch_headers", "fetch_conn_ids", "max_failures", "pan123_conn_id"),
    )
    operator_extra_links: Collection[BaseOperatorLink] = (Pan123ResultsLink(),)
    fetch_headers = MaskedHeaders()
    #: None: the defaults, which a DAG file need not import.
    timing: ClassVar[SyncTiming | None] = None
    ui_color = "#d9ecff"

    def __init__(
        self,
        *,
        images: Any = None,
        manifest: str | None = None,
        directory_id: str | None = None,
        directory: str | None = None,
        results: str | None = None,
        if_exists: str = "skip",
        on_invalid: str = "record",
        probe: bool = True,
        private_hosts: Sequence[str] = (),
        fetch: str = "service",
        fetch_headers: Mapping[str, Mapping[str, str]] | None = None,
        fetch_conn_ids: Mapping[str, str] | None = None,
        max_uploads: int = 4,
        verify: str | None = None,
        allow_empty: bool = False,
        encoding: str | None = None,
        name: str | None = None,
        keep_tree: bool = False,
        max_active: int | None = None,
        max_failures: int | str = 0,
        use_callback: bool | None = None,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        timeout: timedelta | float = 7 * 24 * 60 * 60.0,
        pan123_conn_id: str = "pan123_default",
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("multiple_outputs", True)
        outlets = kwargs.pop("outlets", None) or []
        outlets = [*(outlets if isinstance(outlets, list) else [outlets]), DIRECTORIES]
        super().__init__(outlets=outlets, **kwargs)
        self.images = images
        self.manifest = manifest
        self.directory_id = directory_id
        self.directory = directory
        self.results = results
        self.if_exists = if_exists
        self.on_invalid = on_invalid
        self.probe = probe
        self.private_hosts = private_hosts
        self.fetch = fetch
        self.fetch_headers = fetch_headers
        self.fetch_conn_ids = fetch_conn_ids
        self.max_uploads = max_uploads
        self.verify = verify
        self.allow_empty = allow_empty
        self.encoding = encoding
        self.name = name
        self.keep_tree = keep_tree
        self.max_active = max_active
        self.max_failures = max_failures
        self.use_callback = use_callback
        self.deferrable = deferrable
        self.timeout = seconds("timeout", timeout)
        self.pan123_conn_id = pan123_conn_id
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
                    self._push(context, self._found(inventory, sync_run))
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
        self._announce(context, {key: found[key] for key in ("total", "present", "migrated", "failed")})
        return found

    def _check_failures(self, context: Context, found: Mapping[str, Any], total: int) -> None:
        """Raise an error if more images have failed than ``max_failures`` allows."""
        from airflow_provider_123pan.exceptions import Pan123DownloadFailedError
        from airflow_provider_123pan.sync.options import allowance

        if found["failed"] <= allowance(self.max_failures)(total):
            return
        self._push(context, found)
        first = "; ".join(f"{each['url']}: {each['reason']}" for each in found["failures"][:3])
        raise Pan123DownloadFailedError(
            f"{found['failed']} of {total} images failed, max_failures is {self.max_failures}: "
            f"{first}{' …' if found['failed'] > 3 else ''}"
            + (f"; all are in {self._results_path()}" if self._results_path() else "")
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

    @staticmethod
    def _push(context: Context, found: Mapping[str, Any]) -> None:
        """Push the XComs of a task that fails, and so returns nothing."""
        for key, value in found.items():
            context["ti"].xcom_push(key, value)

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
                self.fetch, self.fetch_headers, self.fetch_conn_ids, self.private_hosts, self.max_uploads
            ),
            prober=Prober.of(self.probe, self.private_hosts),
            verify=options.check_verify(self.verify),
        )

    def _naming(self) -> Naming:
        from airflow_provider_123pan.source.naming import DEFAULT_TEMPLATE, Naming
        from airflow_provider_123pan.source.signatures import configured_parameters

        if self.keep_tree and self.directory is None and self.directory_id is None:
            raise Pan123InputError(
                "keep_tree: give directory or directory_id, below which the directories are made"
            )
        template = DEFAULT_TEMPLATE if self.name is None else str(self.name)
        needs_format = not self.probe and self.fetch != "worker"
        return Naming(template, self.keep_tree, configured_parameters(), needs_format=needs_format)

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
        from airflow_provider_123pan.sync.lineage import directory_uri

        return directory_uri(self.pan123_conn_id, self.directory or self.directory_id)
