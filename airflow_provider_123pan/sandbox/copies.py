"""Tasks that copy files from the cloud drive; three of an account run at a time, and the others wait."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass, field

from airflow_provider_123pan.sandbox.drive import DriveFile
from airflow_provider_123pan.sandbox.envelope import Refusal
from airflow_provider_123pan.sandbox.images import extension_of, tiny
from airflow_provider_123pan.sandbox.options import Options
from airflow_provider_123pan.sandbox.saving import save_picture
from airflow_provider_123pan.sandbox.store import Directory, Store

RUNNING, ENDED, FAILED, WAITING = 1, 2, 3, 4
_MAX_RUNNING = 3


@dataclass(eq=False, slots=True)
class CopyTask:
    """One copy task.

    :ivar client_id: The clientID of the account.
    :ivar file_ids: Ids on the cloud drive.
    :ivar status: `RUNNING`, `ENDED`, `FAILED` or `WAITING`.
    :ivar reason: Why the task failed, or an empty string.
    :ivar failures: The files that were not copied, though they are images.
    """

    client_id: str
    file_ids: list[str]
    directory: Directory
    status: int = WAITING
    reason: str = ""
    failures: list[DriveFile] = field(default_factory=list)


class Copies:
    """All copy tasks."""

    def __init__(self, options: Options, store: Store) -> None:
        """Start without tasks.

        :param options: The sandbox's options; a change takes effect at once.
        :param store: Where images are stored.
        """
        self._options = options
        self._store = store
        self._ids = itertools.count(1)
        self._tasks: dict[str, CopyTask] = {}
        self._timers: dict[CopyTask, asyncio.TimerHandle] = {}

    def submit(self, client_id: str, file_ids: list[str], directory: Directory) -> str:
        """Create a task and return its taskID."""
        task_id = str(next(self._ids))
        self._tasks[task_id] = CopyTask(client_id, file_ids, directory)
        self._start_waiting(client_id)
        return task_id

    def get(self, client_id: str, task_id: str) -> CopyTask:
        """Return a task of an account.

        :raises Refusal: There is none of this taskID.
        """
        task = self._tasks.get(task_id)
        if task is None or task.client_id != client_id:
            raise Refusal(f"copy task {task_id} does not exist")
        return task

    def clear(self) -> None:
        """Cancel all tasks."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._tasks.clear()

    def _start_waiting(self, client_id: str) -> None:
        own = [task for task in self._tasks.values() if task.client_id == client_id]
        free = _MAX_RUNNING - sum(task.status == RUNNING for task in own)
        for task in [task for task in own if task.status == WAITING][: max(0, free)]:
            task.status = RUNNING
            loop = asyncio.get_running_loop()
            self._timers[task] = loop.call_later(self._options.copy_delay, self._end, task)

    def _end(self, task: CopyTask) -> None:
        del self._timers[task]
        self._copy(task)
        self._start_waiting(task.client_id)

    def _copy(self, task: CopyTask) -> None:
        files = {file.file_id: file for file in self._options.drive_files}
        missing = [file_id for file_id in task.file_ids if file_id not in files]
        if missing:
            task.status, task.reason = FAILED, f"file {missing[0]} does not exist"
            return
        tree = self._store.tree(task.client_id)
        for file in map(files.__getitem__, task.file_ids):
            if not extension_of(file.filename):
                continue  # the service does not report files of another format (official)
            if file.fails:
                task.failures.append(file)
            else:
                picture = tiny(f"drive:{file.file_id}")
                save_picture(self._options, self._store, tree, picture, file.filename, task.directory)
        task.status = ENDED
