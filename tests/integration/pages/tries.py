"""Runs tries of a task in processes of their own, each of which can be killed at one of its file operations."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys
import threading
from multiprocessing.connection import Connection
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

from airflow.sdk.execution_time.context import OutletEventAccessors

from airflow_provider_123pan.account import account
from airflow_provider_123pan.account.token import LoginTiming
from airflow_provider_123pan.operators.migrate_pages import Pan123MigratePagesOperator
from tests.support import run

_CONNECTION = "AIRFLOW_CONN_PAN123_DEFAULT"
_CHANGES = frozenset({"os.rename", "os.remove", "os.mkdir", "os.chmod"})
# A process that has imported what a task needs once; each try is a fork of it.
_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload(
    [
        __name__,
        "charset_normalizer",
        *(f"airflow_provider_123pan.{name}" for name in ("pages.migration", "service.client", "sync.run")),
    ]
)


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
        receive, send = _processes.Pipe(duplex=False)
        given = (
            send,
            self._folder,
            self._memory,
            self._timing,
            os.environ[_CONNECTION],
            killed_at,
            arguments,
        )
        process = _processes.Process(target=_try, args=given)
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


class _Store:
    """Airflow's ``task_state_store`` of one task, in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def get(self, key: str) -> Any:
        return self._values().get(key)

    def set(self, key: str, value: Any) -> None:
        self._write(self._values() | {key: value})

    def delete(self, key: str) -> None:
        self._write({name: value for name, value in self._values().items() if name != key})

    def _values(self) -> dict[str, Any]:
        values: dict[str, Any] = json.loads(self._path.read_text()) if self._path.exists() else {}
        return values

    def _write(self, values: dict[str, Any]) -> None:
        unfinished = self._path.with_suffix(".new")
        unfinished.write_text(json.dumps(values))
        unfinished.replace(self._path)


class _Variables:
    """Airflow's Variables; the sandbox has no rate limit."""

    def __init__(self) -> None:
        self._values: dict[str, str] = {}

    def get(self, name: str) -> str | None:
        is_rate = name.startswith("pan123_rate__")
        return '{"rate": 1000.0, "process": "0123abcd"}' if is_rate else self._values.get(name)

    def set(self, name: str, value: str, description: str) -> None:
        self._values[name] = value


def _try(
    send: Connection,
    folder: Path,
    memory: Path,
    timing: Any,
    connection: str,
    killed_at: int | None,
    arguments: dict[str, Any],
) -> None:
    os.environ[_CONNECTION] = connection
    variables = _Variables()
    setattr(account, "AirflowVariables", lambda: variables)  # noqa: B010 (mypy refuses the assignment)
    account.login_timing = LoginTiming(settle_seconds=0.0)
    Pan123MigratePagesOperator.timing = timing
    names = {"dag_id": "dag", "run_id": "run", "task_id": "task", "map_index": -1, "max_tries": 0}
    context = {
        "ti": SimpleNamespace(**names, xcom_push=lambda *_: None),
        "task_state_store": _Store(memory / "store"),
        "outlet_events": OutletEventAccessors(),
    }
    operations = _Operations(folder, killed_at)
    os.fsync = operations.fsync  # type: ignore[assignment]
    sys.addaudithook(operations.audit)
    task = Pan123MigratePagesOperator(task_id="task", deferrable=False, **arguments)
    send.send((run(task, context), operations.count))
