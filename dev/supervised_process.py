"""Run a command so that all its processes end with the process that started it.

`airflow standalone` leaves children behind on SIGTERM, and from Airflow 3.3 on each task has its own process group
(observed). They share the session, however. So a small keeper process leads a new session, starts the command in it,
adopts orphans, and ends all processes of the session when its standard input closes: when the owner closes it, and
also when the owner is killed.

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

GRACE_SECONDS = 8.0  # between SIGTERM and SIGKILL

PR_SET_CHILD_SUBREAPER = 36  # from linux/prctl.h: orphaned descendants become children


class SupervisedProcess:
    """A running command and its keeper.

    :ivar log: the file with the command's output.
    """

    def __init__(
        self, command: Sequence[str | Path], *, log: Path, env: Mapping[str, str] | None = None
    ) -> None:
        """Start the command.

        :param log: the file to append the output to.
        :param env: the environment, by default that of this process.
        """
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
        """Return the running command."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End all processes."""
        self.stop()

    def release(self) -> None:
        """Let all processes end, and return at once."""
        assert self._keeper.stdin is not None
        self._keeper.stdin.close()

    def stop(self) -> None:
        """End all processes, and return when they have ended."""
        self.release()
        self._keeper.wait(timeout=4 * GRACE_SECONDS)

    @property
    def returncode(self) -> int | None:
        """The command's exit code, or None while it runs."""
        return self._keeper.poll()

    def processes(self) -> list[psutil.Process]:
        """Return all running processes but the keeper."""
        return family(self._keeper.pid)

    def tail(self, lines: int = 40) -> str:
        """Return the last lines of the log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


def family(keeper: int) -> list[psutil.Process]:
    """Return the living processes in the keeper's session and its descendants, without the keeper."""
    found = set()
    with suppress(psutil.NoSuchProcess):
        found.update(psutil.Process(keeper).children(recursive=True))
    for process in psutil.process_iter():
        with suppress(OSError):  # the process may have ended since it was listed
            if process.pid != keeper and os.getsid(process.pid) == keeper:
                found.add(process)
    return [process for process in found if is_alive(process)]


def is_alive(process: psutil.Process) -> bool:
    """Return whether a process runs; a zombie has ended."""
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def end_family() -> None:
    """Send SIGTERM to each process, and after the grace period SIGKILL, until none is left."""
    deadline = time.monotonic() + GRACE_SECONDS
    signalled: set[int] = set()
    while members := family(os.getpid()):
        force = time.monotonic() > deadline
        for process in members:
            if force or process.pid not in signalled:
                signalled.add(process.pid)
                with suppress(psutil.Error):
                    process.send_signal(signal.SIGKILL if force else signal.SIGTERM)
        time.sleep(0.1)
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass  # the first process of a container may not collect zombies


def keep(command: Sequence[str]) -> int:
    """Run the command until it ends by itself or standard input is closed."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        while (code := process.poll()) is None:
            closed = select.select([sys.stdin], [], [], 0.2)[0]
            if closed:
                return 0
        return code
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        end_family()


if __name__ == "__main__":
    sys.exit(keep(sys.argv[1:]))
