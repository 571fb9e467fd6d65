"""Runs a sync in a worker's process, which a test can kill, and which reports its peak memory."""

from __future__ import annotations

import re
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

from airflow_provider_123pan.operators.sync_images import Pan123SyncImagesOperator
from airflow_provider_123pan.service import upload as uploads
from tests.support import run
from tests.worker_process import connections, enter, processes

#: Bytes of a worker's peak memory above that at its start.
MAX_GROWTH = 64 * 2**20

_TIMING = uploads.UploadTiming(verifying=0.01, first_poll=0.01, last_poll=0.01)


class Ended(NamedTuple):
    """A task that has ended.

    :ivar growth: bytes of its peak memory above that at its start; 0 but on Linux.
    """

    result: dict[str, Any]
    growth: int


class Worker:
    """A process with one try of a sync.

    :param memory: a folder for what Airflow keeps between two tries.
    :param arguments: those of the operator.
    """

    def __init__(
        self,
        memory: Path,
        operator: type[Pan123SyncImagesOperator] = Pan123SyncImagesOperator,
        **arguments: Any,
    ) -> None:
        memory.mkdir(exist_ok=True)
        self._ended, send = processes.Pipe(duplex=False)
        given = (send, connections(), memory, operator, arguments)
        self._process = processes.Process(target=_work, args=given)
        self._process.start()
        send.close()

    def kill(self) -> None:
        """Kill the process with SIGKILL."""
        self._process.kill()
        self._process.join()

    def end(self) -> Ended:
        """Wait until the task has ended.

        :raises EOFError: it failed; its standard error says why.
        """
        try:
            ended: Ended = self._ended.recv()
            return ended
        finally:
            self._process.join()


def _work(
    send: Connection,
    defined: dict[str, str],
    memory: Path,
    operator: type[Pan123SyncImagesOperator],
    arguments: dict[str, Any],
) -> None:
    context = enter(defined, memory)
    setattr(uploads, "upload", partial(uploads.upload, timing=_TIMING))  # noqa: B010 (mypy refuses the assignment)
    start = _peak()
    task = operator(task_id="sync", deferrable=False, timeout=60, **arguments)
    result = run(task, context)
    send.send(Ended(result, _peak() - start))


def _peak() -> int:
    status = Path("/proc/self/status")
    if not status.exists():
        return 0
    found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
    assert found
    return int(found[1]) * 1024
