"""What Airflow's metadata database knows about the tasks of this provider. Nothing here writes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

from airflow.models.dagrun import DagRun
from airflow.models.renderedtifields import RenderedTaskInstanceFields
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from sqlalchemy import and_, exists, func, select
from sqlalchemy.orm import Session

OPERATORS = "Pan123%"  # how the names of the provider's operators and sensors begin, as a pattern of LIKE
CHECK = "Pan123CheckImagesOperator"
MAX_RUNS = 25  # on the overview
DAYS = 14  # on the overview
#: The XComs with the number of images of a batch, by what became of them.
OUTCOMES = ("present", "migrated", "suspect", "failed")
_IS_OF_TASK = and_(
    XComModel.dag_id == TaskInstance.dag_id,
    XComModel.run_id == TaskInstance.run_id,
    XComModel.task_id == TaskInstance.task_id,
    XComModel.map_index == TaskInstance.map_index,
)
_IS_OURS = TaskInstance.operator.like(OPERATORS)
#: Tasks with one image each; all instances of a mapped one are shown together.
SINGLE = frozenset({"Pan123OfflineDownloadOperator", "Pan123OfflineDownloadSensor"})
#: The XComs of a single image that its task pushes before it waits.
_SUBMITTED = ("url", "taskID", "file_name", "directory_id", "callback_id")


class Run(NamedTuple):
    """A DAG run with tasks of this provider.

    :ivar counts: images by outcome.
    """

    dag_id: str
    run_id: str
    state: str
    run_after: datetime | None
    counts: dict[str, int]


class TaskRow(NamedTuple):
    """A task instance."""

    task_id: str
    map_index: int
    operator: str
    state: str | None
    start: datetime | None
    end: datetime | None

    @property
    def is_failed_single(self) -> bool:
        """True for a failed task with one image."""
        return self.operator in SINGLE and self.state == "failed"


class Check(NamedTuple):
    """The last check of images.

    :ivar found: its XComs.
    """

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    at: datetime
    found: dict[str, Any]


def recent_runs(session: Session, dag_ids: Collection[str], now: datetime) -> list[Run]:
    """Return the last runs of these DAGs in which this provider has tasks, newest first."""
    ours = exists().where(
        TaskInstance.dag_id == DagRun.dag_id, TaskInstance.run_id == DagRun.run_id, _IS_OURS
    )
    rows = session.execute(
        select(DagRun.id, DagRun.dag_id, DagRun.run_id, DagRun.state, DagRun.run_after)
        .where(DagRun.dag_id.in_(dag_ids), DagRun.run_after >= now - timedelta(days=DAYS), ours)
        .order_by(DagRun.run_after.desc(), DagRun.id.desc())
        .limit(MAX_RUNS)
    ).all()
    counts = _counts(session, [row.id for row in rows])
    return [Run(row.dag_id, row.run_id, str(row.state), row.run_after, counts[row.id]) for row in rows]


def _counts(session: Session, ids: Collection[int]) -> dict[int, dict[str, int]]:
    """Return the images by outcome; a check fails images that another task has counted, so it does not count."""
    counts: dict[int, dict[str, int]] = defaultdict(dict)
    batches = (
        select(XComModel.dag_run_id, XComModel.key, XComModel.value)
        .join(TaskInstance, _IS_OF_TASK)
        .where(XComModel.dag_run_id.in_(ids), XComModel.key.in_(OUTCOMES), _IS_OURS)
        .where(TaskInstance.operator != CHECK)
    )
    for run, key, value in session.execute(batches):
        counts[run][key] = counts[run].get(key, 0) + number_in(value)
    singles = (
        select(XComModel.dag_run_id, func.count())
        .join(TaskInstance, _IS_OF_TASK)
        .where(XComModel.dag_run_id.in_(ids), XComModel.key == "fileID", _IS_OURS)
        .group_by(XComModel.dag_run_id)
    )
    for run, count in session.execute(singles):
        counts[run]["migrated"] = counts[run].get("migrated", 0) + count
    stored = exists().where(_IS_OF_TASK, XComModel.key == "fileID")
    failed = (
        select(DagRun.id, func.count())
        .join(TaskInstance, and_(TaskInstance.dag_id == DagRun.dag_id, TaskInstance.run_id == DagRun.run_id))
        .where(DagRun.id.in_(ids), TaskInstance.operator.in_(SINGLE), TaskInstance.state == "failed", ~stored)
        .group_by(DagRun.id)
    )
    for run, count in session.execute(failed):
        counts[run]["failed"] = counts[run].get("failed", 0) + count
    return {run: {key: counts[run][key] for key in OUTCOMES if key in counts[run]} for run in ids}


def images_per_day(session: Session, dag_ids: Collection[str], now: datetime) -> list[tuple[date, int]]:
    """Return how many images were migrated on each of the last days (UTC), oldest first."""
    first = now.date() - timedelta(days=DAYS - 1)
    days = {first + timedelta(days=number): 0 for number in range(DAYS)}
    since = now.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=DAYS - 1)
    where = (XComModel.dag_id.in_(dag_ids), XComModel.timestamp >= since, _IS_OURS)
    batches = (
        select(XComModel.timestamp, XComModel.value)
        .join(TaskInstance, _IS_OF_TASK)
        .where(XComModel.key == "migrated", *where)
    )
    day = func.date(XComModel.timestamp)
    singles = (
        select(day, func.count())
        .join(TaskInstance, _IS_OF_TASK)
        .where(XComModel.key == "fileID", *where)
        .group_by(day)
    )
    counts: list[tuple[date, int]] = [(at.date(), number_in(value)) for at, value in session.execute(batches)]
    counts += [(date.fromisoformat(str(on)), count) for on, count in session.execute(singles)]
    for on, count in counts:
        if on in days:
            days[on] += count
    return [*days.items()]


def last_check(session: Session, dag_ids: Collection[str]) -> Check | None:
    """Return the last check of images in these DAGs."""
    row = session.execute(
        select(
            XComModel.dag_id, XComModel.run_id, XComModel.task_id, XComModel.map_index, XComModel.timestamp
        )
        .join(TaskInstance, _IS_OF_TASK)
        .where(XComModel.key == "healthy", XComModel.dag_id.in_(dag_ids), TaskInstance.operator == CHECK)
        .order_by(XComModel.timestamp.desc())
        .limit(1)
    ).first()
    if row is None:
        return None
    xcoms = xcoms_of(session, row.dag_id, row.run_id, [row.task_id])
    return Check(*row, {key: value for _, index, key, value in xcoms if index == row.map_index})


def tasks_of(
    session: Session, dag_id: str, run_id: str, task_id: str | None = None, map_index: int | None = None
) -> list[TaskRow]:
    """Return the task instances of this provider in a run, or those of one task in it."""
    query = select(
        TaskInstance.task_id,
        TaskInstance.map_index,
        TaskInstance.operator,
        TaskInstance.state,
        TaskInstance.start_date,
        TaskInstance.end_date,
    ).where(TaskInstance.dag_id == dag_id, TaskInstance.run_id == run_id, _IS_OURS)
    if task_id is not None:
        query = query.where(TaskInstance.task_id == task_id)
    if map_index is not None:
        query = query.where(TaskInstance.map_index == map_index)
    rows = session.execute(query.order_by(TaskInstance.task_id, TaskInstance.map_index))
    return [TaskRow._make(row) for row in rows]


def run_of(session: Session, dag_id: str, run_id: str) -> tuple[str, datetime | None] | None:
    """Return the state of a run, and when it was due, or None if there is none."""
    row = session.execute(
        select(DagRun.state, DagRun.run_after).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id)
    ).first()
    return None if row is None else (str(row.state), row.run_after)


def xcoms_of(
    session: Session, dag_id: str, run_id: str, task_ids: Iterable[str], keys: Iterable[str] = ()
) -> Iterator[tuple[str, int, str, Any]]:
    """Yield task ID, map index, key and value of the XComs of tasks in a run.

    :param keys: by default all but the return value.
    """
    wanted = XComModel.key.in_([*keys]) if keys else XComModel.key != "return_value"
    rows = session.execute(
        select(XComModel.task_id, XComModel.map_index, XComModel.key, XComModel.value)
        .where(XComModel.dag_id == dag_id, XComModel.run_id == run_id, XComModel.task_id.in_([*task_ids]))
        .where(wanted)
        .order_by(XComModel.task_id, XComModel.map_index)
    )
    yield from map(tuple, rows)


def arguments_of(
    session: Session, dag_id: str, run_id: str, task_ids: Iterable[str]
) -> dict[tuple[str, int], dict[str, str]]:
    """Return the rendered arguments that are strings by task ID and map index; Airflow keeps those of the last runs.

    A task pushes its XComs at its end only.
    """
    fields = RenderedTaskInstanceFields
    rows = session.execute(
        select(fields.task_id, fields.map_index, fields.rendered_fields).where(
            fields.dag_id == dag_id, fields.run_id == run_id, fields.task_id.in_([*task_ids])
        )
    )
    return {
        (task_id, map_index): {name: value for name, value in rendered.items() if isinstance(value, str)}
        for task_id, map_index, rendered in rows
    }


def failed_singles(
    session: Session, dag_id: str, run_id: str, places: Iterable[tuple[str, int]]
) -> dict[tuple[str, int], tuple[dict[str, Any], dict[str, Any]]]:
    """Return the XComs about the submission, and the rendered arguments, of failed tasks with one image each.

    :param places: the task ID and map index of each; all of them are returned, even if nothing is known.
    """
    known: dict[tuple[str, int], tuple[dict[str, Any], dict[str, Any]]] = {
        place: ({}, {}) for place in places
    }
    if not known:
        return {}
    fields = RenderedTaskInstanceFields
    of_failed = [
        TaskInstance.dag_id == dag_id,
        TaskInstance.run_id == run_id,
        TaskInstance.task_id.in_({task_id for task_id, _ in known}),
        TaskInstance.state == "failed",
    ]
    if len(indexes := {index for _, index in known}) == 1:
        of_failed.append(TaskInstance.map_index.in_(indexes))
    xcoms = (
        select(XComModel.task_id, XComModel.map_index, XComModel.key, XComModel.value)
        .join(TaskInstance, _IS_OF_TASK)
        .where(XComModel.key.in_(_SUBMITTED), *of_failed)
    )
    arguments = (
        select(fields.task_id, fields.map_index, fields.rendered_fields)
        .join(
            TaskInstance,
            and_(
                fields.dag_id == TaskInstance.dag_id,
                fields.run_id == TaskInstance.run_id,
                fields.task_id == TaskInstance.task_id,
                fields.map_index == TaskInstance.map_index,
            ),
        )
        .where(*of_failed)
    )
    for task_id, map_index, key, value in session.execute(xcoms):
        if (task_id, map_index) in known:  # it may have failed after its place was read
            known[task_id, map_index][0][key] = value
    for task_id, map_index, rendered in session.execute(arguments):
        if (task_id, map_index) in known:
            known[task_id, map_index][1].update(rendered)
    return known


def text_in(value: Any) -> str | None:
    """Return an XCom's text; None if it has another type or is empty."""
    return value if isinstance(value, str) and value else None


def number_in(value: Any) -> int:
    """Return an XCom's number; 0 if it has another type."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else 0
