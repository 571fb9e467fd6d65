"""Samples of what the processes of services use."""

from __future__ import annotations

import os
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from types import TracebackType

import psutil

from dev.services import Service
from tests.cluster.trends import Sample

EVERY_SECONDS = 5.0
SUPERVISOR = (
    ", supervisor"  # suffix for a process that has children, such as a triggerer's, which runs no triggers
)
# File descriptors of database connections count as connections only: a pool that takes up another one is no leak.
MEASURES = ("memory, MB", "other file descriptors", "threads", "database connections")


class Watch:
    """A thread that samples services.

    :ivar series: pairs of Unix seconds and a value, by service and measure. A supervisor has series of its own,
        apart from those of its descendants: a triggerer's supervisor runs no triggers.
    :ivar load: pairs of Unix seconds and the machine's load average over a minute.
    :ivar services_by_pid: the names of the services of all processes that were seen.
    :ivar restarted: the services whose first process changed.
    """

    def __init__(
        self, services: Mapping[str, Service], database_port: int, client_ports: Callable[[], set[int]]
    ) -> None:
        """Watch services.

        :param database_port: the port of PostgreSQL.
        :param client_ports: returns the ports from which PostgreSQL has connections.
        """
        self.series: dict[tuple[str, str], list[Sample]] = defaultdict(list)
        self.load: list[Sample] = []
        self.services_by_pid: dict[int, str] = {}
        self.restarted: set[str] = set()
        self._services, self._database_port, self._client_ports = services, database_port, client_ports
        self._first: dict[str, int] = {}
        self._ended = threading.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="watch")
        self._sampling: Future[None] | None = None

    def __enter__(self) -> Watch:
        """Begin to sample."""
        self._sampling = self._thread.submit(self._run)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End sampling; raise what it raised."""
        self._ended.set()
        self._thread.shutdown()
        if error is None and self._sampling is not None:
            self._sampling.result()

    def _run(self) -> None:
        while not self._ended.wait(EVERY_SECONDS):
            at = time.time()
            self.load.append((at, os.getloadavg()[0]))
            ports = self._client_ports()
            for name, service in self._services.items():
                self._sample(at, name, service.processes(), ports)

    def _sample(self, at: float, name: str, processes: list[psutil.Process], ports: set[int]) -> None:
        if not processes:
            return
        oldest = min(processes, key=lambda process: process.pid)
        if self._first.setdefault(name, oldest.pid) != oldest.pid:
            self.restarted.add(name)
        self._sample_processes(
            at, name, [process for process in processes if process != oldest] or [oldest], ports
        )
        if len(processes) > 1:
            self._sample_processes(at, f"{name}{SUPERVISOR}", [oldest], ports)

    def _sample_processes(
        self, at: float, name: str, processes: list[psutil.Process], ports: set[int]
    ) -> None:
        totals = dict.fromkeys(MEASURES, 0.0)
        for process in processes:
            with suppress(psutil.Error):  # it may have ended since it was listed
                values = self._values(process, ports)
                totals = {measure: totals[measure] + values[measure] for measure in MEASURES}
                self.services_by_pid[process.pid] = name
        for measure, value in totals.items():
            self.series[name, measure].append((at, value))

    def _values(self, process: psutil.Process, ports: set[int]) -> dict[str, float]:
        connections = [
            connection
            for connection in process.net_connections("tcp")
            if getattr(connection.raddr, "port", None) == self._database_port
            and connection.laddr.port in ports
        ]
        values = (
            process.memory_full_info().uss / 1e6,  # what would be free if the process ended
            process.num_fds() - len(connections),
            process.num_threads(),
            len(connections),
        )
        return dict(zip(MEASURES, map(float, values), strict=True))
