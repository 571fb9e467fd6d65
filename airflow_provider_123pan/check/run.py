"""One check of images, from the operator's arguments to the report."""

from __future__ import annotations

import logging
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from airflow_provider_123pan.check.checked_images import CheckedImages, Failure
from airflow_provider_123pan.check.report import data_path, write_report
from airflow_provider_123pan.check.survey import Survey
from airflow_provider_123pan.exceptions import Pan123InputError
from airflow_provider_123pan.service.flow import Flow
from airflow_provider_123pan.service.redaction import redact_url
from airflow_provider_123pan.sync.directory import find_path, retry_reads
from airflow_provider_123pan.sync.results import read_results
from airflow_provider_123pan.sync.timing import SyncTiming
from airflow_provider_123pan.verification.loading import ImageLoader, LoadTiming
from airflow_provider_123pan.verification.pacing import load_all

if TYPE_CHECKING:
    from airflow_provider_123pan.hooks.pan123 import Pan123Hook

log = logging.getLogger(__name__)

MAX_FAILURES_SHOWN = 20  # failures in the XCom and in the log
MAX_DIRECTORIES_SHOWN = 100  # directories in the XCom, those with the most traffic
_NO_URL = "123pan lists no URL of it"


@dataclass(frozen=True, slots=True)
class CheckOptions:
    """An operator's arguments, checked.

    :ivar results: the path of a sync's results file.
    :ivar names: the path to the directory, if that was given.
    :ivar verify: how URLs are verified: ``address``, ``content``, or None: they are not loaded.
    :ivar report: the path of the HTML file.
    :ivar owner: distinguishes two tasks that write to the same path.
    """

    results: str | None
    directory_id: str | None
    names: tuple[str, ...]
    verify: str | None
    requests_per_second: float
    report: str | None
    owner: str

    @property
    def subject(self) -> str:
        """What is checked, for people."""
        return "/".join(self.names) or self.directory_id or self.results or ""


def check_images(hook: Pan123Hook, options: CheckOptions, timing: LoadTiming | None = None) -> dict[str, Any]:
    """Check images, and write the report.

    :returns: what the operator returns.
    """
    with closing(CheckedImages(lists_all=options.results is None)) as images:
        if options.results is not None:
            for record in read_results(options.results):
                images.add_record(record)
        hook.run(retry_reads(_survey(images, options), SyncTiming().read_retry_pauses))
        if options.verify:
            _load(images, options, timing)
        found: dict[str, Any] = images.counts() | {
            "traffic": dict(images.traffic.most_common(MAX_DIRECTORIES_SHOWN)),
            "report": options.report,
            "list": data_path(options.report) if options.report else None,
            "failures": [*map(_shown, islice(images.failures(), MAX_FAILURES_SHOWN))],
        }
        for failure in found["failures"]:
            log.warning("%(file_name)s (%(url)s): %(reason)s", failure)
        if not found["images"]:
            log.warning("There are no images to check in %s", options.subject)
        log.info("%d of %d images are healthy", found["healthy"], found["images"])
        if options.report:
            write_report(options.report, options.subject, found, images, options.owner)
            log.info("The report is in %s", options.report)
        return found


def _survey(images: CheckedImages, options: CheckOptions) -> Flow[None]:
    survey = Survey(images)
    if options.directory_id is None and not options.names:
        yield from survey.find_directories()
        yield from survey.find_urls()
        return
    directory_id = options.directory_id
    if directory_id is None and (directory_id := (yield from find_path(options.names))) is None:
        raise Pan123InputError(f"directory: there is no directory {'/'.join(options.names)!r}")
    yield from survey.list_directory(directory_id, options.subject)
    survey.end()
    yield from survey.find_urls()


def _load(images: CheckedImages, options: CheckOptions, timing: LoadTiming | None) -> None:
    images.fail_without_url(_NO_URL)
    with ImageLoader(images.hosts, content=options.verify == "content", timing=timing) as loader:
        for fileID, loaded in load_all(loader, images.to_load(), options.requests_per_second):
            if loaded.problem is not None:
                images.fail(fileID, loaded.problem, loaded.reason or "")


def _shown(failure: Failure) -> dict[str, Any]:
    """Return a failure for the XCom and the log."""
    return {
        "url": redact_url(failure.url or failure.image_url or ""),
        "file_name": failure.file_name,
        "problem": failure.problem,
        "reason": failure.reason,
    }
