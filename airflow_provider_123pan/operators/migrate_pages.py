"""The operator that moves the images of a folder of pages, and rewrites the pages."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import AssetAlias

from airflow_provider_123pan.links import PagesReportLink, Pan123ResultsLink
from airflow_provider_123pan.operators.failures import push
from airflow_provider_123pan.operators.sync_images import Pan123SyncImagesOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_123pan.hooks.pan123 import Pan123Hook
    from airflow_provider_123pan.pages.migration import PageMigration
    from airflow_provider_123pan.sync.inventory import Inventory
    from airflow_provider_123pan.sync.run import SyncRun

log = logging.getLogger(__name__)

#: Every folder whose pages were rewritten; downstream DAGs can be scheduled on it.
PAGES = AssetAlias("pan123_pages")

_OF_THE_SYNC = ("images", "manifest")


class Pan123MigratePagesOperator(Pan123SyncImagesOperator):
    """Move the images that a folder of pages shows, and put their new URLs into the pages.

    The images are synced as :class:`~airflow_provider_123pan.operators.sync_images.Pan123SyncImagesOperator` does, with
    all of its arguments but ``images`` and ``manifest``. Then each page is rewritten once, atomically, and stays equal
    byte for byte outside the URLs. A second run submits nothing and changes nothing, and a run that was killed
    continues. Images of 123pan, and of the user's own image domain, stay.

    Returns, and pushes each key as a separate XCom: ``pages``, ``pages_changed``, ``images``, ``migrated``,
    ``present``, ``suspect``, ``failed``, ``unknown`` (the number of image URLs that stay in pages, by reason),
    ``unused`` (images that were migrated, but that no page got), ``journal``, ``report``, and the sync's
    ``directory_id``, ``results`` and ``failures``. A plan has ``missing``, ``probes`` (images whose format their source
    must show; a plan does not probe), ``hosts``, ``calls``, ``seconds`` and ``requests_per_second`` as well. On success
    there is an asset event for the folder, by the alias ``pan123_pages``, besides the sync's.

    A page that cannot be read is named in the log and the report, and the others are done. If the storage failed, the
    task fails after them, and its retry does the rest.

    :param pages: a folder or a file that Airflow's object storage can open. (templated)
    :param include: patterns of pages: one with a slash matches the path below the folder, one without the name. By
        default Markdown, MDX, HTML, reStructuredText, AsciiDoc, Org, CSS, JSON, YAML, TOML, XML and text. Hidden files
        and folders, symbolic links and binary files are always left out. (templated)
    :param exclude: patterns of files and folders that are left out. (templated)
    :param hosts: patterns of the hosts whose images are moved, such as ``*.example.com``; by default all. (templated)
    :param exclude_hosts: patterns of hosts whose images stay. (templated)
    :param mode: ``apply``, or ``plan``, which only reads, and writes a report of what would be done. (templated)
    :param journal: a folder for what is needed to continue and to undo; ``airflow pan123 undo`` restores the pages by
        it. (templated)
    :param results: as for the sync; by default a file in the journal. (templated)
    :param report: the path of an HTML file, beside which a JSON file is written; by default in the journal.
        (templated)
    :param verify: as for the sync, but ``address`` by default: only URLs that serve an image are put into pages.
    :param encoding: of pages that are not UTF-8 and do not declare their encoding; by default it is detected.
    :param allow_empty: a folder without pages is no error.
    """

    template_fields: Sequence[str] = (
        "pages",
        "include",
        "exclude",
        "hosts",
        "exclude_hosts",
        "mode",
        "journal",
        "report",
        *(name for name in Pan123SyncImagesOperator.template_fields if name not in ("images", "manifest")),
    )
    operator_extra_links = (PagesReportLink(), Pan123ResultsLink())
    ui_color = "#d9f0e3"

    def __init__(
        self,
        *,
        pages: str,
        include: Sequence[str] | None = None,
        exclude: Sequence[str] = (),
        hosts: Sequence[str] | None = None,
        exclude_hosts: Sequence[str] = (),
        mode: str = "apply",
        journal: str,
        report: str | None = None,
        verify: str | None = "address",
        **kwargs: Any,
    ) -> None:
        if unexpected := [name for name in _OF_THE_SYNC if name in kwargs]:
            raise TypeError(f"{unexpected[0]}: the images come from the pages")
        outlets = kwargs.pop("outlets", None) or []
        outlets = [*(outlets if isinstance(outlets, list) else [outlets]), PAGES]
        super().__init__(outlets=outlets, verify=verify, **kwargs)
        self.pages = pages
        self.include = include
        self.exclude = exclude
        self.hosts = hosts
        self.exclude_hosts = exclude_hosts
        self.mode = mode
        self.journal = journal
        self.report = report
        self._migration: PageMigration | None = None

    def execute(self, context: Context) -> dict[str, Any]:
        """Plan, or begin the migration."""
        from airflow_provider_123pan.retries import failing_without_retry

        with failing_without_retry():
            migration = self._begin(context)
            if self.mode == "plan":
                return self._plan(migration)
            self._with_hook(migration.list_images)
        return self._go(context, None)

    def execute_complete(
        self, context: Context, event: Any = None, state: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Resume after a wait in the triggerer."""
        from airflow_provider_123pan.retries import failing_without_retry

        with failing_without_retry():
            migration = self._begin(context)
            if not migration.has_list():
                log.warning(
                    "The list of images is missing, perhaps on another worker's disk; reading the pages again"
                )
                self._with_hook(migration.list_images)
        return super().execute_complete(context, event, state)

    def _begin(self, context: Context) -> PageMigration:
        from airflow_provider_123pan.pages.migration import PageMigration
        from airflow_provider_123pan.sync.options import check_choice
        from airflow_provider_123pan.sync.results import owner_of

        check_choice("mode", self.mode, "apply", "plan")
        options = self._options(0.0)
        self._migration = PageMigration(
            pages=str(self.pages),
            include=self.include,
            exclude=self.exclude,
            hosts=self.hosts,
            exclude_hosts=self.exclude_hosts,
            journal=str(self.journal),
            results=self.results,
            report=self.report,
            encoding=self.encoding,
            directory_id=options.directory_id,
            directory=options.names,
            owner=owner_of(context),
            allow_empty=self.allow_empty,
        )
        return self._migration

    def _with_hook(self, work: Any) -> Any:
        from airflow_provider_123pan.hooks.pan123 import Pan123Hook

        hook: Pan123Hook = Pan123Hook(self.pan123_conn_id)
        try:
            return work(hook)
        finally:
            hook.client.close()

    def _plan(self, migration: PageMigration) -> dict[str, Any]:
        options = self._options(0.0)
        found: dict[str, Any] = self._with_hook(
            lambda hook: migration.plan(
                hook, self._naming(), fetch=options.fetching.fetch, overwrite=options.overwrite
            )
        )
        return found

    def _load(self, inventory: Inventory) -> None:
        from airflow_provider_123pan.sync.options import check_choice

        assert self._migration is not None
        check_choice("on_invalid", self.on_invalid, "record", "fail")
        inventory.load(self._migration.images(), refuse_invalid=self.on_invalid == "fail")

    def _found(self, inventory: Inventory, sync_run: SyncRun) -> dict[str, Any]:
        found = super()._found(inventory, sync_run)
        return found | {"images": found.pop("total"), "journal": self.journal}

    def _results_path(self) -> str | None:
        return self._migration.results if self._migration else self.results

    def _conclude(self, context: Context, found: dict[str, Any]) -> dict[str, Any]:
        """Rewrite the pages with the images that were migrated, also if others have failed."""
        from airflow_provider_123pan.exceptions import Pan123PagesError
        from airflow_provider_123pan.pages.migration import folder_uri
        from airflow_provider_123pan.sync.lineage import announce

        migration = self._migration
        assert migration is not None
        own_hosts = self._with_hook(migration.own_hosts)
        rewritten, problems = migration.rewrite(found, own_hosts)
        if problems:
            push(context, rewritten)
            raise Pan123PagesError(
                f"{len(problems)} pages could not be read or written: {'; '.join(problems[:3])}"
            )
        self._check_failures(context, rewritten, rewritten["images"])
        images = {key: found[key] for key in ("present", "migrated", "suspect", "failed")}
        self._announce(context, {"total": found["images"], **images})
        pages = {key: rewritten[key] for key in ("pages", "pages_changed")}
        announce(context, PAGES, folder_uri(migration.folder.root), pages | images)
        migration.forget_list()
        return rewritten
