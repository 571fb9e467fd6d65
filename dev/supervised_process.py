"""Run a command so that everything it starts ends together with the process that started it.

`airflow standalone` leaves children behind on SIGTERM, and from Airflow 3.3 on each task has a
process group of its own. What they share is the session. So a small keeper leads a new session, starts the
command in it, adopts every orphan, and ends them all as soon as its standard input closes: when the holder
lets go, and also when the holder is killed.

    with SupervisedProcess(["airflow", "standalone"], log=Path("airflow.log")) as airflow:
        ...
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType

import psutil

GRACE = 8.0
"""Seconds between asking the processes to end and ending them by force."""

PR_SET_CHILD_SUBREAPER = 36  # from linux/prctl.h: orphans below us become our children


class SupervisedProcess:
    """A running command and its keeper. Its output goes to the file `log`."""

    def __init__(
        self, command: Sequence[str | Path], *, log: Path, env: Mapping[str, str] | None = None
    ) -> None:
        self.log = log
        with log.open("ab") as output:
            self._keeper = subprocess.Popen(
                [sys.executable, __file__, *map(str, command)],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=env,
                start_new_session=True,
            )

    def __enter__(self) -> SupervisedProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End everything, and return when it has ended."""
        assert self._keeper.stdin is not None
        self._keeper.stdin.close()
        self._keeper.wait(timeout=4 * GRACE)

    @property
    def returncode(self) -> int | None:
        """The command's exit code, or None while it runs."""
        return self._keeper.poll()

    def processes(self) -> list[psutil.Process]:
        """All that runs, without the keeper."""
        return family(self._keeper.pid)

    def tail(self, lines: int = 40) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


def family(keeper: int) -> list[psutil.Process]:
    """All that lives in the keeper's session or descends from it, without the keeper."""
    found = set()
    with suppress(psutil.NoSuchProcess):
        found.update(psutil.Process(keeper).children(recursive=True))
    for process in psutil.process_iter():
        with suppress(OSError):  # it may have ended since it was listed
            if process.pid != keeper and os.getsid(process.pid) == keeper:
                found.add(process)
    return [process for process in found if is_alive(process)]


def is_alive(process: psutil.Process) -> bool:
    """A zombie has ended; only its parent has not asked about it yet."""
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def end_family() -> None:
    """Ask, wait, then force; and force again whatever was born in between."""
    deadline = time.monotonic() + GRACE
    asked: set[int] = set()
    while members := family(os.getpid()):
        forced = time.monotonic() > deadline
        for process in members:
            if forced or process.pid not in asked:
                asked.add(process.pid)
                with suppress(psutil.Error):
                    process.send_signal(signal.SIGKILL if forced else signal.SIGTERM)
        time.sleep(0.1)
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass  # leave no zombie behind: not every container's first process collects them


def keep(command: Sequence[str]) -> int:
    """Run the command until it ends by itself or standard input is closed."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        while (code := process.poll()) is None:
            let_go = select.select([sys.stdin], [], [], 0.2)[0]
            if let_go:
                return 0
        return code
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        end_family()


if __name__ == "__main__":
    sys.exit(keep(sys.argv[1:]))
