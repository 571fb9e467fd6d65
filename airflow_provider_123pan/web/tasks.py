"""The tasks of a run as the page shows them: state, progress, counts, and where their images are listed."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from airflow_provider_123pan.sync.results import owner_of_task
from airflow_provider_123pan.web.runs import CHECK, SINGLE, TaskRow, number_in, text_in

#: States in which a task instance changes no more. One that waits for a retry is not among them.
ENDED = frozenset({"success", "failed", "skipped", "upstream_failed", "removed"})

# In the order in which they are shown; XComs with other keys are not.
_COUNTS = (
    *("total", "images", "files", "present", "migrated", "suspect", "failed", "active", "called_back"),
    *("missing", "unknown", "unused", "pages", "pages_changed", "healthy", "problems", "gone", "rejected"),
    *("wrong_type", "wrong_content", "slow", "traffic_exceeded", "unreachable", "moved", "deleted"),
)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a task is, as far as is known.

    :ivar done: images that have ended; also tasks, for single images.
    :ivar rate: images per second, or None.
    :ivar seconds_left: or None.
    """

    done: int
    total: int
    rate: float | None = None
    seconds_left: int | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """A task instance, or all instances of a task with one image each.

    :ivar map_index: None for all instances together.
    :ivar states: the number of instances by their state.
    :ivar counts: numbers by XCom key; of single images, by what became of them.
    :ivar results: the path of the results file, if there is one.
    :ivar owner: distinguishes the parts of the results file, as :class:`~.results.Results` needs it.
    :ivar directory: where its images are: a path, or an id; None if that is not known, or for single images.
    :ivar failures: the first failures, where there is no results file; of a check, its first findings.
    """

    task_id: str
    map_index: int | None
    operator: str
    states: Counter[str]
    start: datetime | None = None
    end: datetime | None = None
    progress: Progress | None = None
    counts: dict[str, int] = field(default_factory=dict)
    report: str | None = None
    results: str | None = None
    owner: str = ""
    directory: str | None = None
    failures: list[dict[str, Any]] = field(default_factory=list)

    @property
    def is_single(self) -> bool:
        """True for tasks with one image each."""
        return self.operator in SINGLE

    @property
    def is_check(self) -> bool:
        """True for checks of images, whose failures are findings."""
        return self.operator == CHECK

    @property
    def has_ended(self) -> bool:
        """True if no instance will change."""
        return ENDED.issuperset(self.states)


def tasks_from(
    dag_id: str,
    run_id: str,
    rows: Iterable[TaskRow],
    xcoms: Iterable[tuple[str, int, str, Any]],
    arguments: Mapping[tuple[str, int], Mapping[str, str]] | None = None,
) -> list[Task]:
    """Return the tasks of a run in the order in which they started.

    :param rows: its task instances.
    :param xcoms: task ID, map index, key and value of the XComs of those with many images.
    :param arguments: the rendered arguments of those with many images, by task ID and map index.
    """
    values: dict[tuple[str, int], dict[str, Any]] = defaultdict(dict)
    for task_id, map_index, key, value in xcoms:
        values[task_id, map_index][key] = value
    singles: dict[tuple[str, str], list[TaskRow]] = defaultdict(list)
    tasks = []
    for row in rows:
        if row.operator in SINGLE:
            singles[row.task_id, row.operator].append(row)
        else:
            owner = owner_of_task(dag_id, run_id, row.task_id, row.map_index)
            place = row.task_id, row.map_index
            tasks.append(_batch(row, values[place], owner, (arguments or {}).get(place, {})))
    tasks += [_together(task_id, operator, some) for (task_id, operator), some in singles.items()]
    first: dict[str, float] = {}
    for task in tasks:
        start = math.inf if task.start is None else task.start.timestamp()
        first[task.task_id] = min(start, first.get(task.task_id, math.inf))
    return sorted(tasks, key=lambda task: (first[task.task_id], task.task_id, task.map_index or 0))


def _batch(row: TaskRow, values: Mapping[str, Any], owner: str, arguments: Mapping[str, str]) -> Task:
    progress = values.get("progress")
    reported = progress if isinstance(progress, Mapping) else {}
    results = None if row.state in ENDED else arguments.get("results")
    # While a task runs, its progress is newer than what an earlier try has returned.
    facts = {**values, **{key: value for key, value in reported.items() if key != "done"}}
    if row.state in ENDED:
        last = {key: value for key, value in reported.items() if key != "active"}
        facts = {**last, **values}
    if row.operator == CHECK:
        facts["problems"] = facts.pop("failed", None)
        results = None  # the argument is the file that it reads
    counts = {key: number_in(facts[key]) for key in _COUNTS if _is_number(facts.get(key))}
    failures = values.get("failures")
    return Task(
        row.task_id,
        row.map_index,
        row.operator,
        Counter([row.state or "none"]),
        row.start,
        row.end,
        _progress(reported, counts, ended=row.state in ENDED),
        counts,
        text_in(values.get("report")),
        results or text_in(values.get("results")),
        owner,
        arguments.get("directory") or text_in(values.get("directory_id")) or arguments.get("directory_id"),
        [failure for failure in failures if isinstance(failure, dict)] if isinstance(failures, list) else [],
    )


def _progress(reported: Mapping[str, Any], counts: Mapping[str, int], *, ended: bool) -> Progress | None:
    total = counts.get("total", counts.get("images"))
    if total is None:
        return None
    if not _is_number(reported.get("done")):
        return Progress(total, total) if ended else None
    done = min(number_in(reported["done"]), total)
    if ended:
        return Progress(done, total)
    rate, left = reported.get("images_per_second"), reported.get("seconds_left")
    return Progress(
        done,
        total,
        float(rate) if isinstance(rate, (int, float)) and math.isfinite(rate) else None,
        left if _is_number(left) else None,
    )


def _together(task_id: str, operator: str, rows: list[TaskRow]) -> Task:
    states = Counter(row.state or "none" for row in rows)
    ended = sum(count for state, count in states.items() if state in ENDED)
    starts = [row.start for row in rows if row.start]
    ends = [row.end for row in rows if row.end]
    return Task(
        task_id,
        None if len(rows) > 1 or rows[0].map_index >= 0 else -1,
        operator,
        states,
        min(starts, default=None),
        max(ends, default=None) if ended == len(rows) else None,
        Progress(ended, len(rows)),
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
