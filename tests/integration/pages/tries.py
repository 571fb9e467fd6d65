"""Runs tries of a task in processes of their own, each of which can be killed at one of its file operations."""

from __future__ import annotations

import os
import signal
import sys
import threading
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

from airflow_provider_123pan.operators.migrate_pages import Pan123MigratePagesOperator
from tests.support import run
from tests.worker_process import connections, enter, processes

_CHANGES = frozenset({"os.rename", "os.remove", "os.mkdir", "os.chmod"})


class Try(NamedTuple):
    """How a try of a task ended.

    :ivar result: what the task returned; None if it was killed.
    :ivar operations: the file operations of the whole try.
    """

    result: dict[str, Any] | None
    operations: int


class Tries:
    """The tries of one task.

    :param folder: below it, file operations count.
    :param memory: a folder for what Airflow keeps between two tries, outside of ``folder``.
    :ivar timing: as of the operator.
    """

    def __init__(self, folder: Path, memory: Path, timing: Any) -> None:
        self._folder = folder
        self._memory = memory
        self._timing = timing
        memory.mkdir()

    def run(self, killed_at: int | None = None, **arguments: Any) -> Try:
        """Run a try.

        :param killed_at: the number of the file operation at which it is killed.
        :param arguments: those of the operator.
        """
        receive, send = processes.Pipe(duplex=False)
        given = (
            send,
            self._folder,
            self._memory,
            self._timing,
            connections(),
            killed_at,
            arguments,
        )
        process = processes.Process(target=_try, args=given)
        process.start()
        send.close()
        try:
            result, operations = receive.recv()
        except EOFError:
            result, operations = None, killed_at
        process.join()
        assert process.exitcode == (0 if killed_at is None or result else -signal.SIGKILL)
        return Try(result, operations)


class _Operations:
    """Counts file operations below a folder, and kills the process at one of them."""

    def __init__(self, folder: Path, killed_at: int | None) -> None:
        self._folder = f"{folder}/"
        self._killed_at = killed_at
        self._sync = os.fsync
        self._lock = threading.Lock()  # several threads write
        self.count = 0

    def audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Count an event of Python's auditing, which comes before the operation."""
        if event == "open":
            is_change = bool(arguments[2] & (os.O_WRONLY | os.O_RDWR))
        else:
            is_change = event in _CHANGES
        if not is_change or isinstance(arguments[0], int):
            return
        target = os.fsdecode(arguments[1] if event == "os.rename" else arguments[0])
        if target.startswith(self._folder) and self._is_last():
            os.kill(os.getpid(), signal.SIGKILL)

    def fsync(self, file: int) -> None:
        """Flush a file; a process that is killed here has written half of it."""
        if self._is_last():
            os.ftruncate(file, os.fstat(file).st_size // 2)
            os.kill(os.getpid(), signal.SIGKILL)
        self._sync(file)

    def _is_last(self) -> bool:
        with self._lock:
            self.count += 1
            return self.count - 1 == self._killed_at


def _try(
    send: Connection,
    folder: Path,
    memory: Path,
    timing: Any,
    defined: dict[str, str],
    killed_at: int | None,
    arguments: dict[str, Any],
) -> None:
    context = enter(defined, memory)
    Pan123MigratePagesOperator.timing = timing
    operations = _Operations(folder, killed_at)
    os.fsync = operations.fsync  # type: ignore[assignment]
    sys.addaudithook(operations.audit)
    task = Pan123MigratePagesOperator(task_id="task", deferrable=False, **arguments)
    send.send((run(task, context), operations.count))
