"""The images of tasks, one after the other: from results files, their parts, or XComs. None is kept in memory."""

from __future__ import annotations

import csv
import io
import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, islice, starmap
from typing import Any, NamedTuple

from airflow_provider_123pan.exceptions import Pan123Error
from airflow_provider_123pan.html_report import origin_of
from airflow_provider_123pan.service.redaction import redact_text, redact_url
from airflow_provider_123pan.sync.result_record import ResultRecord
from airflow_provider_123pan.sync.results import Results, read_results
from airflow_provider_123pan.web.runs import text_in
from airflow_provider_123pan.web.tasks import Task

log = logging.getLogger(__name__)

PER_PAGE = 60
MAX_GROUPS = 50  # of failures
MAX_URLS = 500  # of a group of failures
_BLOCK = 64 * 1024  # characters of a table that are sent at once
_CELL_STARTS = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet would take the cell for a formula


class ShownImage(NamedTuple):
    """An image; its source URL is redacted.

    :ivar status: as the results say, or ``waiting`` or ``submitted``.
    :ivar new_url: where 123pan serves it, if that is a URL of http or https.
    :ivar directory: its directory, if it is known: an id, or the path that a sync has in ``directory``.
    :ivar map_index: -1 if the task is not mapped.
    """

    status: str
    url: str
    new_url: str | None
    file_name: str | None
    reason: str | None
    size: int | None
    directory: str | None
    task_id: str
    map_index: int


class Choice(NamedTuple):
    """Which images are shown; an empty string is no restriction.

    :ivar text: is searched in names, URLs and reasons, without regard to case.
    """

    status: str = ""
    text: str = ""
    directory: str = ""

    def includes(self, image: ShownImage) -> bool:
        """Return whether an image is shown."""
        if (self.status and image.status != self.status) or (
            self.directory and image.directory != self.directory
        ):
            return False
        if not self.text:
            return True
        texts = (image.url, image.new_url, image.file_name, image.reason)
        sought = self.text.casefold()
        return any(sought in text.casefold() for text in texts if text)


class Group(NamedTuple):
    """The failures with one reason.

    :ivar urls: the first of their source URLs, redacted.
    :ivar without_url: how many of them have no known source URL.
    """

    reason: str
    images: int
    urls: list[str]
    without_url: int


class Images:
    """The images of tasks; each iteration reads them again.

    :param singles: those of tasks with one image each.
    :ivar problems: the results files that the last iteration could not read, and why.
    """

    def __init__(
        self, tasks: Iterable[Task], singles: Iterable[ShownImage] = (), choice: Choice | None = None
    ) -> None:
        self._tasks = [task for task in tasks if not (task.is_single or task.is_check)]
        self._singles = singles
        self._choice = choice or Choice()
        self.problems: list[tuple[str, str]] = []

    def __iter__(self) -> Iterator[ShownImage]:
        """Yield the chosen images."""
        return self._from(0)

    def page(self, number: int) -> tuple[list[ShownImage], bool]:
        """Return a page, the first of which is 1, and whether there is another one."""
        found = [*islice(self._from((number - 1) * PER_PAGE), PER_PAGE + 1)]
        return found[:PER_PAGE], len(found) > PER_PAGE

    def _from(self, start: int) -> Iterator[ShownImage]:
        """Yield the chosen images but the first ``start``."""
        self.problems = []
        if self._choice.text:
            yield from islice(filter(self._choice.includes, self._all()), start, None)
            return
        singles = [*filter(self._choice.includes, self._singles)]
        yield from singles[start:]
        # Most time would go into making images of the records that are passed over.
        chosen = (pair for pair in self._pairs() if self._choice.status in ("", pair[0].status))
        yield from starmap(_shown, islice(chosen, max(0, start - len(singles)), None))

    def _all(self) -> Iterator[ShownImage]:
        return chain(self._singles, starmap(_shown, self._pairs()))

    def _pairs(self) -> Iterator[tuple[ResultRecord, Task]]:
        sought = self._choice.directory
        tasks = (task for task in self._tasks if not sought or task.directory == sought)
        return ((record, task) for task in tasks for record in self._records(task))

    def groups(self) -> list[Group]:
        """Return the failures by reason, the most frequent first; the last groups share one without a reason."""
        counts: dict[str, int] = {}
        urls: dict[str, list[str]] = {}
        without: Counter[str] = Counter()
        for image in self:
            reason = image.reason or ""
            if reason not in counts and len(counts) >= MAX_GROUPS:
                reason = ""
            counts[reason] = counts.get(reason, 0) + 1
            kept = urls.setdefault(reason, [])
            if not image.url:
                without[reason] += 1
            elif len(kept) < MAX_URLS:
                kept.append(image.url)
        groups = (Group(reason, count, urls[reason], without[reason]) for reason, count in counts.items())
        return sorted(groups, key=lambda group: (not group.reason, -group.images))

    def csv(self) -> Iterator[bytes]:
        """Yield a table with a header, in blocks of some kilobytes."""
        block = io.StringIO()
        writer = csv.writer(block)
        writer.writerow(ShownImage._fields)
        for image in self:
            writer.writerow(map(_cell, image))
            if block.tell() >= _BLOCK:
                yield block.getvalue().encode("utf-8", "replace")
                block.seek(0)
                block.truncate()
        yield block.getvalue().encode("utf-8", "replace")

    def _records(self, task: Task) -> Iterator[ResultRecord]:
        if task.results is None:
            yield from map(_of_failure, task.failures)
            return
        try:
            yield from (
                read_results(task.results) if task.has_ended else Results(task.results, task.owner).spilled()
            )
        except Pan123Error as error:
            self.problems.append((task.results, str(error)))
        except Exception as error:  # whatever the storage raises
            log.warning("Results file %r could not be read: %s", task.results, type(error).__name__)
            self.problems.append((task.results, type(error).__name__))


def _shown(record: ResultRecord, task: Task) -> ShownImage:
    new = record.user_url or record.download_url
    return ShownImage(
        record.status,
        redact_url(record.url),
        new if new and origin_of(new) else None,
        record.file_name,
        redact_text(record.reason, record.url) if record.reason else None,
        record.size,
        task.directory,
        task.task_id,
        -1 if task.map_index is None else task.map_index,
    )


def _of_failure(failure: Mapping[str, Any]) -> ResultRecord:
    """Return the record of a failure in an XCom."""
    url, name = text_in(failure.get("url")), text_in(failure.get("file_name"))
    reason = text_in(failure.get("reason"))
    return ResultRecord(url or "", name, "failed", None, None, None, None, None, None, reason)


def _cell(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(_CELL_STARTS) else value
