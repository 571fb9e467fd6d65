"""A migration of the images of a folder of pages, around the sync that moves them."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from airflow_provider_123pan.exceptions import Pan123InputError
from airflow_provider_123pan.html_report import check_report
from airflow_provider_123pan.pages.encoding import check_encoding
from airflow_provider_123pan.pages.folder import PAGES, PageFolder, opened_folder
from airflow_provider_123pan.pages.page_images import read_images, without_place, write_images
from airflow_provider_123pan.pages.page_journal import PageJournal
from airflow_provider_123pan.pages.page_text import PageProblem, PageText, read_texts
from airflow_provider_123pan.pages.plan import PagePlan, find_target, forecast
from airflow_provider_123pan.pages.report import write_report
from airflow_provider_123pan.pages.rewriter import Rewriter
from airflow_provider_123pan.pages.selection import Selection, find_own_hosts
from airflow_provider_123pan.pages.tally import Tally
from airflow_provider_123pan.rewriting import Addresses
from airflow_provider_123pan.service.flow import Flow
from airflow_provider_123pan.service.listing import find_default_directories
from airflow_provider_123pan.source.naming import Naming
from airflow_provider_123pan.source.signatures import configured_parameters
from airflow_provider_123pan.source.urls import canonical_url
from airflow_provider_123pan.sync.inventory import Inventory
from airflow_provider_123pan.sync.options import Fetch
from airflow_provider_123pan.sync.raw_entries import RawEntry
from airflow_provider_123pan.sync.results import read_results

if TYPE_CHECKING:
    from airflow_provider_123pan.hooks.pan123 import Pan123Hook

log = logging.getLogger(__name__)

_NOT_LISTED = "it came into the page after the images were listed"


class _CountedAddresses(Addresses):
    """New URLs by old URL, and which of them were looked up with success."""

    def __init__(self) -> None:
        super().__init__()
        self.used: set[str] = set()

    def find(self, spelled: str, is_relative: bool = False) -> str | None:
        """Return the new URL for an old one as a page spells it."""
        if (new := super().find(spelled, is_relative)) is not None:
            self.used.add(new.partition("#")[0])
        return new


class PageMigration:
    """The steps before and after the sync.

    The parameters are those of the operator.

    :param directory: the names in the path of the target directory; empty for the default one.
    :param owner: the task, as :func:`~airflow_provider_123pan.sync.results.owner_of` returns it.
    """

    def __init__(
        self,
        *,
        pages: str,
        include: Sequence[str] | None,
        exclude: Sequence[str],
        hosts: Sequence[str] | None,
        exclude_hosts: Sequence[str],
        journal: str,
        results: str | None,
        report: str | None,
        encoding: str | None,
        directory_id: str | None,
        directory: Sequence[str],
        owner: str,
        allow_empty: bool,
    ) -> None:
        for field, patterns in (("include", include), ("exclude", exclude)):
            if isinstance(patterns, str):
                raise Pan123InputError(f"{field}: give a list of patterns, such as ['*.md']")
        check_encoding(encoding)
        self._hosts, self._exclude_hosts = hosts, exclude_hosts
        self._choices(frozenset())
        self._journal = PageJournal(journal)
        self._owner = owner
        self._encoding = encoding
        self._directory_id, self._directory = directory_id, directory
        self._allow_empty = allow_empty
        self._list = self._journal.file(f"images-{owner}.jsonl")
        #: The path of the results file.
        self.results = results or self._journal.file(f"results-{owner}.jsonl")
        #: The path of the report.
        self.report = report or self._journal.file(f"report-{owner}.html")
        check_report(self.report)
        outputs = (
            self._journal.folder,
            self.results,
            self.report,
            self.report.removesuffix(".html") + ".json",
        )
        self.folder = PageFolder(pages, PAGES if include is None else include, exclude, outputs)

    # -- before the sync --

    def list_images(self, hook: Pan123Hook) -> None:
        """Write the list of the images that the pages show."""
        write_images(self._list, self._checked(), self._choices(self.own_hosts(hook)), self._owner)

    def has_list(self) -> bool:
        """Return whether the list is there."""
        return bool(opened_folder("journal", self._list).exists())

    def images(self) -> Iterator[RawEntry]:
        """Return the list."""
        return read_images(self._list)

    def own_hosts(self, hook: Pan123Hook) -> frozenset[str]:
        """Return the hosts at which the account's images are served."""
        return hook.run(self._find_own_hosts())

    def plan(self, hook: Pan123Hook, naming: Naming, *, fetch: Fetch, overwrite: bool) -> dict[str, Any]:
        """Write the report of what would be done, and return its counts."""
        plan = PagePlan(self.folder, self._choices(self.own_hosts(hook)), naming, self._encoding)
        inventory = Inventory(naming, fetch)
        try:
            inventory.load(plan.entries())
            self._check_pages(plan.tally.pages)
            target = hook.run(self._find_target())
            expected = hook.run(forecast(inventory, target, overwrite=overwrite))
            rate = hook.client.throttle.rate
            facts = {
                "mode": "plan",
                "folder": self.folder.root,
                "pages": plan.tally.pages,
                "pages_changed": plan.tally.pages_changed,
                "images": len(inventory),
                "present": expected.present,
                "missing": expected.missing,
                "probes": expected.probes,
                "failed": expected.failed,
                "calls": expected.calls,
                "seconds": round(expected.calls / rate, 1),
                "requests_per_second": round(rate, 1),
                "hosts": dict(plan.hosts.most_common()),
            }
            write_report(self.report, "Plan of a migration to 123pan", facts, plan.tally, self._owner)
            log.info("The plan is in %s", self.report)
            found = {key: value for key, value in facts.items() if key not in ("mode", "folder")}
            return found | {"migrated": 0, "suspect": 0, "unused": 0} | self._outputs(plan.tally)
        finally:
            inventory.close()
            plan.tally.close()

    # -- after it --

    def rewrite(self, found: dict[str, Any], own_hosts: frozenset[str]) -> tuple[dict[str, Any], list[str]]:
        """Rewrite the pages with the new URLs in the results, and write the report.

        :param found: what the sync returns.
        :returns: what the operator returns, and the pages at which the storage failed.
        """
        parameters = configured_parameters()
        addresses = _CountedAddresses()
        migrated: set[str] = set()
        reasons: dict[str, str] = {}
        for record in read_results(self.results):
            if record.new_url:
                addresses[record.url] = record.new_url
                if record.status == "migrated":
                    migrated.add(record.url)
            else:
                reasons[canonical_url(record.url, parameters)] = without_place(record.reason or record.status)
        tally = Tally(
            self._choices(own_hosts),
            lambda url: reasons.get(canonical_url(url, parameters), _NOT_LISTED),
        )
        try:
            rewriter = Rewriter(self.folder, addresses, self._journal, self._owner, self._encoding)
            failed: list[str] = []
            for page in rewriter.run():
                tally.add(page)
                if isinstance(page, PageProblem):
                    log.warning("%s: %s", page.name, page.reason)
                    if page.may_retry:
                        failed.append(f"{page.name}: {page.reason}")
            facts = {
                "mode": "apply",
                "folder": self.folder.root,
                "pages": tally.pages,
                "pages_changed": tally.pages_changed,
                **{key: found[key] for key in ("images", "present", "migrated", "suspect", "failed")},
                "unused": sum(addresses[url] not in addresses.used for url in migrated),
            }
            write_report(self.report, "Migration to 123pan", facts, tally, self._owner)
            log.info("The report is in %s", self.report)
            kept = {key: value for key, value in facts.items() if key not in ("mode", "folder")}
            return found | kept | self._outputs(tally), failed
        finally:
            tally.close()

    def forget_list(self) -> None:
        """Remove the list, so that the next run of this task reads the pages alone."""
        place = opened_folder("journal", self._list)
        if place.exists():
            place.unlink()

    def _outputs(self, tally: Tally) -> dict[str, Any]:
        return {"unknown": dict(tally.unknown), "journal": self._journal.folder, "report": self.report}

    def _choices(self, own_hosts: Iterable[str]) -> Selection:
        return Selection(self._hosts, self._exclude_hosts, own_hosts)

    def _checked(self) -> Iterator[PageText | PageProblem]:
        """Read the pages; none is an error."""
        count = 0
        for page in read_texts(self.folder, self._encoding):
            count += 1
            yield page
        self._check_pages(count)

    def _check_pages(self, count: int) -> None:
        if not count and not self._allow_empty:
            raise Pan123InputError(
                f"pages: {self.folder.root!r} has no pages; check include and exclude, or pass allow_empty=True"
            )

    def _find_target(self) -> Flow[list[str]]:
        """Return the ids of the target directory, without making it: several if several have the default name."""
        if self._directory_id is None and not self._directory:
            return (yield from find_default_directories())
        return (yield from find_target(self._directory_id, self._directory))

    def _find_own_hosts(self) -> Flow[frozenset[str]]:
        target = yield from self._find_target()
        return (yield from find_own_hosts(target))


def folder_uri(root: str) -> str:
    """Return the asset URI of a folder of pages, without the connection that opens it."""
    if "://" not in root:
        return f"file://{quote(root)}"
    parts = urlsplit(root)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl().rstrip("/")
