"""Services run again when they end, stay down when they are held, and leave no process behind."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from dev.services import Service, Services
from dev.supervised_process import is_alive
from dev.waiting import wait_for
from tests.cluster.sandbox_service import SandboxService

# A command with a child that has a process group of its own, as Airflow's tasks have.
PARENT = "import os, subprocess; subprocess.Popen(['sleep', '600'], preexec_fn=os.setpgrp).wait()"
COMMAND = [sys.executable, "-c", PARENT]
OWNER = f"""
import sys, time
from pathlib import Path
from dev.services import Services
with Services(Path(sys.argv[1])) as services:
    service = services.add("sleeper", {COMMAND!r})
    while len(found := service.processes()) < 2:
        time.sleep(0.05)
    print(*(process.pid for process in found), flush=True)
    time.sleep(600)
"""


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[Service]:
    """Run a service of two processes."""
    with Services(tmp_path / "logs") as services:
        yield services.add("sleeper", COMMAND)


def both(service: Service, *, but: list[psutil.Process] | None = None) -> list[psutil.Process]:
    """Wait for the command and its child, other processes than these, and return them."""

    def running() -> list[psutil.Process] | None:
        found = [process for process in service.processes() if process not in (but or [])]
        return found if len(found) == 2 else None

    return wait_for(running, what="the command and its child", timeout=60, every=0.05)


def wait_for_the_end(processes: list[psutil.Process]) -> None:
    wait_for(lambda: not any(map(is_alive, processes)), what="their end", timeout=60, every=0.05)


def test_a_killed_service_runs_again(sleeper: Service) -> None:
    first = both(sleeper)
    sleeper.kill()
    assert not any(map(is_alive, first))
    both(sleeper, but=first)
    assert sleeper.starts == 2


def test_a_service_whose_command_ends_runs_again_without_the_old_child(sleeper: Service) -> None:
    first = both(sleeper)
    next(process for process in first if process.name() != "sleep").kill()
    wait_for_the_end(first)
    both(sleeper, but=first)


def test_a_held_service_stays_down_until_it_is_started(tmp_path: Path) -> None:
    with Services(tmp_path / "logs") as services:
        held, other = services.add("held", COMMAND), services.add("other", COMMAND)
        both(held)
        held.hold()
        before = both(other)
        other.kill()
        both(other, but=before)  # the services have been watched since
        assert held.processes() == []
        held.start()
        both(held)


def test_a_paused_service_is_the_same_when_it_is_resumed(sleeper: Service) -> None:
    first = both(sleeper)

    def stopped() -> list[bool]:
        return [process.status() == psutil.STATUS_STOPPED for process in first]

    sleeper.pause()
    wait_for(lambda: all(stopped()), what="the pause", timeout=60, every=0.05)
    sleeper.resume()
    wait_for(lambda: not any(stopped()), what="the end of the pause", timeout=60, every=0.05)
    assert both(sleeper) == first


def test_nothing_is_left_when_the_owner_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", OWNER, str(tmp_path / "logs")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        processes = [psutil.Process(int(pid)) for pid in owner.stdout.readline().split()]
        assert all(map(is_alive, processes))
        owner.kill()
    wait_for_the_end(processes)


def test_a_sandbox_runs_as_a_service_with_its_options(tmp_path: Path) -> None:
    with (
        Services(tmp_path / "logs") as services,
        SandboxService(services, delay="4,15", visible_after=1) as sandbox,
    ):
        options = sandbox.configure()
        assert (options["delay"], options["visible_after"]) == ([4, 15], 1)
