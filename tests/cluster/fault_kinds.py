"""What can happen to a distributed Airflow, each as a small class."""

from __future__ import annotations

import random
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from dev.services import Service

BLOCK_BYTES = 4096


class Target(NamedTuple):
    """What faults strike.

    :ivar services: the services of Airflow, `sandbox` and `sandbox-front`, by name.
    :ivar disk: the folder where the small disk is mounted, or None.
    """

    services: Mapping[str, Service]
    disk: Path | None


class Fault(ABC):
    """Something that breaks, for a while.

    :ivar name: how the report calls it.
    :ivar may_double: whether the answer to a submission can be lost, so that the image may be submitted again.
    """

    name: str
    may_double = False

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

    def __init__(self, name: str, *services: str, may_double: bool = False) -> None:
        """Choose among services of these names, or take the one of the fault's name."""
        self.name, self.may_double = f"{name} killed", may_double
        self._services = services or (name,)

    def strike(self, target: Target, chance: random.Random) -> None:
        """Kill one of the services."""
        target.services[chance.choice(self._services)].kill()


class Down(Fault):
    """A service that is gone for some seconds."""

    def __init__(self, service: str, seconds: float, *, may_double: bool = False) -> None:
        """Take a service down for so many seconds."""
        self.name, self.may_double = f"{service} down for {seconds:.0f} s", may_double
        self._service, self._seconds = service, seconds

    def strike(self, target: Target, chance: random.Random) -> None:
        """Kill the service, and start it later."""
        service = target.services[self._service]
        service.hold()
        time.sleep(self._seconds)
        service.start()


class SandboxPaused(Fault):
    """A sandbox that answers no request for some seconds."""

    may_double = True

    def __init__(self, seconds: float) -> None:
        """Pause it for so many seconds."""
        self.name, self._seconds = f"sandbox paused for {seconds:.0f} s", seconds

    def strike(self, target: Target, chance: random.Random) -> None:
        """Pause the sandbox, and resume it later."""
        target.services["sandbox"].pause()
        try:
            time.sleep(self._seconds)
        finally:
            target.services["sandbox"].resume()


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
    Killed("worker", "worker-1", "worker-2", may_double=True),
    Killed("triggerer", "triggerer-1", "triggerer-2"),
    Killed("api-server", "api-server-1", "api-server-2"),
    Killed("scheduler"),
    Killed("dag-processor"),
    Killed("redis"),
    Killed("postgresql"),
    Down("nginx", 8),
    Down("sandbox-front", 8, may_double=True),
    SandboxPaused(15),
    DiskFull(120),
)
