"""Copies files from the cloud drive into the image host: submits once, waits, and lists what was not copied."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_123pan.exceptions import Pan123InputError
from airflow_provider_123pan.service.copies import CopyStatus, CopyTask
from airflow_provider_123pan.service.file_calls import get_copy, in_groups
from airflow_provider_123pan.service.flow import Flow, Sleep
from airflow_provider_123pan.service.protocol import MakeCall
from airflow_provider_123pan.sync.directory import ensure_directory, retry_reads
from airflow_provider_123pan.sync.timing import SyncTiming

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_123pan.hooks.pan123 import Pan123Hook

log = logging.getLogger(__name__)

STORE_KEY = "pan123_copy"
MAX_FAILURES_SHOWN = 20  # failures in the XCom
NOT_COPIED = "123pan did not copy it"
NOT_LISTED = "123pan says that it did not copy all files, and does not list this one"


@dataclass(frozen=True, slots=True)
class DriveCopy:
    """What was submitted: a task of the service for each 100 files.

    :ivar groups: the ids of the files of each task.
    """

    directory_id: str
    task_ids: tuple[str, ...]
    groups: tuple[tuple[str, ...], ...]

    @classmethod
    def submit_once(
        cls,
        hook: Pan123Hook,
        file_ids: Any,
        directory_id: str | None,
        names: Sequence[str],
        context: Context,
    ) -> DriveCopy:
        """Submit the files; a retry continues with what an earlier try of this task submitted (Airflow 3.3).

        :param names: the path to the directory, if it has no id; missing directories are made.
        """
        groups = in_groups(file_ids)
        target = directory_id or hook.run(ensure_directory(tuple(names)))
        store: Any = context.get("task_state_store")  # Airflow 3.3
        request = repr((hook.settings.account, target, groups))
        # Grows with a Clear only, after which the files are copied again.
        max_tries: Any = context["ti"].max_tries
        identity = {"digest": hashlib.sha256(request.encode()).hexdigest(), "max_tries": max_tries}
        task_ids = _submitted(store.get(STORE_KEY), identity) if store is not None else []
        if task_ids:
            log.info("An earlier try has submitted these tasks: %s", ", ".join(task_ids))
        for group in groups[len(task_ids) :]:
            submitted = hook.copy_from_drive(group, target)
            log.info(
                "Submitted task %s with %d of %d file_ids",
                ", ".join(submitted),
                len(group),
                sum(map(len, groups)),
            )
            task_ids += submitted
            if store is not None:
                store.set(STORE_KEY, {**identity, "task_ids": task_ids})
        return cls(target, tuple(task_ids), tuple(map(tuple, groups)))

    @classmethod
    def load(cls, dumped: Mapping[str, Any], file_ids: Any) -> DriveCopy:
        """Return what :meth:`dump` kept, with the ids of the files, which are the same."""
        groups = in_groups(file_ids)
        task_ids = dumped["task_ids"]
        if len(groups) != len(task_ids):
            raise Pan123InputError(
                "file_ids: the list has changed while its files were copied; run the task again"
            )
        return cls(dumped["directory_id"], tuple(task_ids), tuple(map(tuple, groups)))

    def dump(self) -> dict[str, Any]:
        """Return what the next worker needs in addition to the ids of the files."""
        return {"directory_id": self.directory_id, "task_ids": [*self.task_ids]}

    def conclude(self, hook: Pan123Hook) -> dict[str, Any]:
        """Return what the operator returns, after all tasks have ended."""
        failed = 0
        failures: list[dict[str, Any]] = []
        found: Iterable[tuple[str | None, str | None, str]]
        for task_id, group in zip(self.task_ids, self.groups, strict=True):
            task = hook.get_copy(task_id)
            if task.status is CopyStatus.FAILED:
                why = f"task {task_id} failed: {task.reason or 'the service does not say why'}"
                found = [(file_id, None, why) for file_id in group]
            else:
                listed = hook.list_copy_failures(task_id)
                found = (
                    (
                        failure.file_id,
                        failure.file_name,
                        NOT_LISTED if failure.file_id is None else NOT_COPIED,
                    )
                    for failure in listed
                )
            for file_id, file_name, reason in found:
                failed += 1
                log.warning("%s: %s", _shown(file_id, file_name, task_id), reason)
                if len(failures) < MAX_FAILURES_SHOWN:
                    failures.append({"file_id": file_id, "file_name": file_name, "reason": reason})
        log.info("All tasks have ended; files that were not copied: %d", failed)
        return {
            "files": sum(map(len, self.groups)),
            "failed": failed,
            "failures": failures,
            "task_ids": [*self.task_ids],
            "directory_id": self.directory_id,
        }


def _shown(file_id: str | None, file_name: str | None, task_id: str) -> str:
    if file_id is None:
        return f"a file of task {task_id}"
    return f"{file_name} (file_id {file_id})" if file_name else f"file_id {file_id}"


def wait_for_copies(
    task_ids: Sequence[str],
    deadline: float,
    poke_interval: float,
    clock: Callable[[], float] = time.time,
) -> Flow[bool]:
    """Wait until all tasks have ended; return False at the deadline.

    :param deadline: Unix seconds.
    :param poke_interval: seconds between two polls.
    """
    waiting = [*task_ids]
    while True:
        while waiting:
            task: CopyTask = yield from retry_reads(_poll(waiting[0]), SyncTiming().read_retry_pauses)
            if task.status in (CopyStatus.RUNNING, CopyStatus.WAITING):
                break
            waiting.pop(0)
        if not waiting:
            return True
        if (left := deadline - clock()) <= 0:
            return False
        yield Sleep(min(poke_interval, left))


def _poll(task_id: str) -> Flow[CopyTask]:
    task: CopyTask = yield MakeCall(get_copy(task_id))
    return task


def _submitted(record: Any, identity: dict[str, Any]) -> list[str]:
    """Return the ids of the tasks that an earlier try submitted."""
    if not isinstance(record, dict) or {key: record.get(key) for key in identity} != identity:
        return []
    task_ids = record.get("task_ids")
    if not isinstance(task_ids, list) or not all(isinstance(task_id, str) for task_id in task_ids):
        log.warning("The record %s in the task's state store has a wrong shape, and is ignored", STORE_KEY)
        return []
    return [*task_ids]
