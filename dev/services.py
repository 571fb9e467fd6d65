"""Commands that are started again whenever they end, as systemd or Kubernetes would.

with Services(folder) as services:
    services.add("scheduler", ["airflow", "scheduler"])
    services["scheduler"].kill()  # it runs again within seconds
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType

import psutil

from dev.supervised_process import SupervisedProcess, is_alive
from dev.waiting import wait_for

WATCH_SECONDS = 0.5
LONG_LIFE_SECONDS = 60.0  # a service that ran this long had no trouble to start


class Service:
    """A command, and its running process with all descendants.

    :ivar name: its name among the services.
    :ivar log: the file with its output.
    :ivar starts: how many times in a row it was started without a long life.
    """

    def __init__(
        self, name: str, command: Sequence[str | Path], *, log: Path, env: Mapping[str, str] | None
    ) -> None:
        """Store what `start` runs."""
        self.name, self.log, self.starts = name, log, 0
        self._command, self._env = command, env
        self._process: SupervisedProcess | None = None
        self._started_at = 0.0
        self._wanted = False
        self._lock = threading.Lock()

    def start(self) -> None:
        """Start the command, and keep it running from now on."""
        with self._lock:
            self._wanted = True
            self._run()

    def restart_if_ended(self) -> None:
        """Start the command again if it has ended, unless it is held down."""
        with self._lock:
            if self._wanted and self._process is not None and self._process.returncode is not None:
                self._run()

    def _run(self) -> None:
        if self._process is not None:
            self._process.stop()
        now = time.monotonic()
        self.starts = 1 if now - self._started_at > LONG_LIFE_SECONDS else self.starts + 1
        self._started_at = now
        self._process = SupervisedProcess(self._command, log=self.log, env=self._env)

    def release(self) -> None:
        """Let the processes end for good, and return at once."""
        with self._lock:
            self._wanted = False
            if self._process is not None:
                self._process.release()

    def stop(self) -> None:
        """End the processes for good, and return when they have ended."""
        self.release()
        if self._process is not None:
            self._process.stop()

    def processes(self) -> list[psutil.Process]:
        """Return the command's process and its descendants."""
        return self._process.processes() if self._process is not None else []

    def kill(self) -> None:
        """Send SIGKILL to all processes, and wait until they have ended; the service is then started again."""
        wait_for(self.processes, what=self.name, timeout=60, every=0.05)
        killed = self._signal(signal.SIGKILL)
        wait_for(
            lambda: not any(map(is_alive, killed)), what=f"the end of {self.name}", timeout=60, every=0.05
        )

    def hold(self) -> None:
        """Kill the service, and keep it down until `start`."""
        with self._lock:
            self._wanted = False
        self.kill()

    def pause(self) -> None:
        """Stop all processes until `resume`; their connections stay open."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let stopped processes run again."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> list[psutil.Process]:
        processes = self.processes()
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)
        return processes

    def tail(self, lines: int = 40) -> str:
        """Return the last lines of the log."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])


class Services:
    """Services that end together, and the thread that starts them again."""

    def __init__(self, logs: Path) -> None:
        """Write the logs to this folder."""
        self._logs = logs
        self._services: dict[str, Service] = {}
        self._ended = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="services", daemon=True)

    def __enter__(self) -> Services:
        """Begin to watch."""
        self._logs.mkdir(parents=True, exist_ok=True)
        self._watcher.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End all services at the same time."""
        self._ended.set()
        self._watcher.join()
        for service in self:
            service.release()
        for service in self:
            service.stop()

    def add(self, name: str, command: Sequence[str | Path], env: Mapping[str, str] | None = None) -> Service:
        """Start a service."""
        service = Service(name, command, log=self._logs / f"{name}.log", env=env)
        self._services = {**self._services, name: service}
        service.start()
        return service

    def __getitem__(self, name: str) -> Service:
        """Return a service by its name."""
        return self._services[name]

    def __iter__(self) -> Iterator[Service]:
        """Iterate over the services in the order of their start."""
        return iter(self._services.values())

    def _watch(self) -> None:
        while not self._ended.wait(WATCH_SECONDS):
            for service in self:
                service.restart_if_ended()
