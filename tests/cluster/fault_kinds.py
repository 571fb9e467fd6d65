"""What can happen to a distributed Airflow, each as a small class."""

from __future__ import annotations

import random
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import NamedTuple

from dev.distributed import DistributedCluster
from dev.services import Service

BLOCK_BYTES = 4096


class Target(NamedTuple):
    """What faults strike.

    :ivar sandbox: the service of the sandbox.
    :ivar disk: the folder where the small disk is mounted, or None.
    """

    airflow: DistributedCluster
    sandbox: Service
    disk: Path | None


class Fault(ABC):
    """Something that breaks, for a while.

    :ivar name: how the report calls it.
    """

    name: str

    def is_possible(self, target: Target) -> bool:
        """Return whether this machine allows it."""
        return True

    @abstractmethod
    def strike(self, target: Target, chance: random.Random) -> None:
        """Break it, and return when what broke is allowed to come back."""


class Nothing(Fault):
    """The round that the others are compared with."""

    name = "nothing"

    def strike(self, target: Target, chance: random.Random) -> None:
        """Break nothing."""


class Killed(Fault):
    """SIGKILL for one of the services of a kind, which is started again at once."""

    def __init__(self, name: str, *services: str) -> None:
        """Choose among services of these names, or take the one of the fault's name."""
        self.name = f"{name} killed"
        self._services = services or (name,)

    def strike(self, target: Target, chance: random.Random) -> None:
        """Kill one of the services."""
        target.airflow.services()[chance.choice(self._services)].kill()


class Down(Fault):
    """A service that is gone for some seconds."""

    def __init__(self, service: str, seconds: float) -> None:
        """Take a service down for so many seconds."""
        self.name, self._service, self._seconds = f"{service} down for {seconds:.0f} s", service, seconds

    def strike(self, target: Target, chance: random.Random) -> None:
        """Kill the service, and start it later."""
        service = target.airflow.services()[self._service]
        service.hold()
        time.sleep(self._seconds)
        service.start()


class SandboxPaused(Fault):
    """A sandbox that accepts connections and answers none; it would lose its state if it were killed."""

    def __init__(self, seconds: float) -> None:
        """Pause it for so many seconds."""
        self.name, self._seconds = f"sandbox paused for {seconds:.0f} s", seconds

    def strike(self, target: Target, chance: random.Random) -> None:
        """Pause the sandbox, and resume it later."""
        target.sandbox.pause()
        try:
            time.sleep(self._seconds)
        finally:
            target.sandbox.resume()


class DiskFull(Fault):
    """No space for results, journals and pages for some seconds."""

    def __init__(self, seconds: float) -> None:
        """Fill the disk for so many seconds."""
        self.name, self._seconds = f"disk full for {seconds:.0f} s", seconds

    def is_possible(self, target: Target) -> bool:
        """Return whether there is a small disk."""
        return target.disk is not None

    def strike(self, target: Target, chance: random.Random) -> None:
        """Fill the disk, again and again because other files leave it, and free it later."""
        assert target.disk is not None
        ballast = target.disk / "ballast"
        until = time.monotonic() + self._seconds
        try:
            while time.monotonic() < until:
                _fill(ballast)
                time.sleep(0.1)
        finally:
            ballast.unlink()


def _fill(path: Path) -> None:
    with path.open("ab", buffering=0) as file:
        try:
            while file.write(bytes(BLOCK_BYTES)):
                pass
        except OSError:  # no space is left
            return


FAULTS: tuple[Fault, ...] = (
    Killed("worker", "worker-1", "worker-2"),
    Killed("triggerer", "triggerer-1", "triggerer-2"),
    Killed("api-server", "api-server-1", "api-server-2"),
    Killed("scheduler"),
    Killed("dag-processor"),
    Killed("redis"),
    Killed("postgresql"),
    Down("nginx", 8),
    SandboxPaused(15),
    DiskFull(20),
)
