"""Break a distributed Airflow while images are in flight, and report what became of each: `make faults-cluster`.

Each round starts one run of each of four DAGs (an image per task, a sync, pages, uploads), all with callbacks, and
strikes when a third of the images are submitted. The faults come in an order that depends on the seed.

The report has a line for each fault and each way: how many images were submitted and had not ended when the fault began
(uploads: had not been stored), how many were lost, doubled or wrong in the end, and how many tries of tasks failed.
"""

from __future__ import annotations

import argparse
import ctypes
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import datetime, timezone
from pathlib import Path
from typing import NamedTuple

import requests

from dev import images
from dev.airflow_api import FINISHED
from dev.distributed import DistributedCluster
from dev.services import Services
from dev.signals import Ended, end_on
from dev.waiting import Timeout, wait_for
from tests.cluster.fault_kinds import FAULTS, Fault, Nothing, Target
from tests.cluster.sandbox_service import SandboxService
from tests.cluster.workload import WAYS, Outcome, Place, Round

DAGS = Path(__file__).parent / "dags"
ROUND_SECONDS = 900.0
CLONE_NEWNS = 0x20000  # from linux/sched.h
DISK_SIZE = "64m"
HEADINGS = (
    "fault",
    "way",
    "images",
    "in flight",
    "lost",
    "doubled",
    "wrong",
    "failed tries",
    "heartbeats after",
    "ended after",
)


class Row(NamedTuple):
    """A line of the report: what became of the images of one way in a round.

    :ivar in_flight: how many images had been submitted, and had not ended, when the fault began.
    :ivar beating: seconds from the beginning of the fault until all components have sent a heartbeat after its end.
    :ivar ended: seconds from the beginning of the fault until the run has ended, or None if it did not.
    """

    fault: Fault
    way: str
    in_flight: int
    outcome: Outcome
    beating: float
    ended: float | None

    @property
    def is_good(self) -> bool:
        """Whether images were in flight, each arrived, and only those are doubled that the fault explains."""
        may_double = self.in_flight if self.fault.may_double else 0
        return self.in_flight > 0 and self.outcome.is_good and len(self.outcome.doubled) <= may_double


class Faults:
    """A distributed Airflow, and the rounds in it."""

    def __init__(self, stack: ExitStack, home: Path, chance: random.Random, size: int) -> None:
        """Start everything; the stack ends it.

        :param size: images of a round.
        """
        self.chance, self.size = chance, size
        disk = _small_disk(home / "disk", stack)
        files: dict[str, bytes] = {}
        source = stack.enter_context(images.serve(files))
        services = stack.enter_context(Services(home / "airflow" / "services"))
        front = Path(tempfile.mkdtemp(prefix="pan123-front-"))
        stack.callback(shutil.rmtree, front, ignore_errors=True)
        front.chmod(0o711)  # nginx's user enters its own folder below
        sandbox = stack.enter_context(
            SandboxService(services, front=front / "nginx", rate=20, delay="5,30", visible_after=1)
        )
        self.airflow = stack.enter_context(DistributedCluster(home=home / "airflow", dags=DAGS))
        self.airflow.connect(sandbox)
        self.airflow.wait_for_dag(*(f"pan123_faults_{way}" for way in WAYS))
        self.place = Place(self.airflow, sandbox, files, source, disk or home)
        self.target = Target({service.name: service for service in services} | self.airflow.services(), disk)

    def round(self, number: int, fault: Fault) -> list[Row]:
        """Let a fault strike while images are in flight, and wait for all of them."""
        work = Round(self.place, number, self.size)
        work.start()
        offline = self.size * (1 - WAYS["uploads"])
        wait_for(
            lambda: sum(work.submissions().values()) >= offline / 3,
            what="submissions",
            timeout=ROUND_SECONDS,
        )
        in_flight = work.in_flight()
        began = time.monotonic()
        fault.strike(self.target, self.chance)
        since = datetime.now(timezone.utc)
        wait_for(lambda: self._all_beat(since), what="Airflow's heartbeats", timeout=ROUND_SECONDS)
        beating = time.monotonic() - began
        ended: dict[str, float] = {}

        def have_ended() -> bool:
            for way, state in work.states().items():
                if state in FINISHED:
                    ended.setdefault(way, time.monotonic() - began)
            return len(ended) == len(WAYS)

        try:
            wait_for(have_ended, what="the runs", timeout=ROUND_SECONDS, every=1)
        except Timeout:
            print(f"{fault.name}: not ended: {work.states()}", flush=True)
        rows = [
            Row(fault, way, in_flight[way], outcome, beating, ended.get(way))
            for way, outcome in work.outcomes().items()
        ]
        if all(row.is_good for row in rows):
            work.remove()
        return rows

    def _all_beat(self, since: datetime) -> bool:
        """Return whether scheduler, DAG processor and a triggerer have sent a heartbeat since."""
        try:
            health = self.airflow.api.call("GET", "/monitor/health")
        except requests.RequestException:
            return False
        beats = [
            beat for part in health.values() for name, beat in part.items() if name.startswith("latest_")
        ]
        return all(beat and datetime.fromisoformat(beat.replace("Z", "+00:00")) > since for beat in beats)


def _small_disk(path: Path, stack: ExitStack) -> Path | None:
    """Mount a small disk that only this process and its children see, and that ends with them.

    :returns: the folder, or None if this process may not mount one.
    """
    path.mkdir(parents=True)
    if ctypes.CDLL(None).unshare(CLONE_NEWNS):
        return None
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_SIZE},mode=700", "tmpfs", str(path)]
    for command in (["mount", "--make-rprivate", "/"], mount):
        if subprocess.run(command, capture_output=True, check=False).returncode:
            return None
    stack.callback(subprocess.run, ["umount", "--lazy", str(path)], check=False)
    return path


def report(rows: Sequence[Row], seed: int) -> str:
    """Return the report as Markdown."""
    lines = [f"# Faults of a distributed Airflow, seed {seed}", "", _line(HEADINGS)]
    lines.append(_line(["---"] * 2 + ["---:"] * (len(HEADINGS) - 2)))
    for row in rows:
        outcome = row.outcome
        counts = (
            outcome.images,
            row.in_flight,
            len(outcome.lost),
            len(outcome.doubled),
            len(outcome.wrong),
            outcome.retries,
        )
        cells = [row.fault.name, row.way, *map(str, counts), _seconds(row.beating), _seconds(row.ended)]
        lines.append(_line(cells))
    for row in rows:
        for what in ("lost", "doubled", "wrong"):
            lines += [f"- {row.fault.name}: {what}: {name}" for name in getattr(row.outcome, what)]
        if row.outcome.state != "success":
            lines.append(f"- {row.fault.name}: {row.way}: the run is {row.outcome.state}")
    return "\n".join(lines) + "\n"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _seconds(value: float | None) -> str:
    return "never" if value is None else f"{value:.0f} s"


def main() -> int:
    """Run the rounds, write the report, and return the exit code: 0 only if each image arrived."""
    parser = argparse.ArgumentParser("python -m tests.cluster.faults", description=__doc__)
    parser.add_argument(
        "--seed", type=int, default=random.randrange(10**6), help="of the order and the choices"
    )
    parser.add_argument("--images", type=int, default=1000, help="of a round, in the four ways together")
    parser.add_argument("--only", nargs="+", default=[""], help="parts of the names of the faults to run")
    parser.add_argument(
        "--report", type=Path, default=Path("build/faults.md"), help="the Markdown file to write"
    )
    given = parser.parse_args()
    end_on(signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    chance = random.Random(given.seed)
    faults = [fault for fault in FAULTS if any(part in fault.name for part in given.only)]
    if not faults:
        parser.error(f"--only: no fault of {', '.join(fault.name for fault in FAULTS)}")
    chance.shuffle(faults)
    home = Path(tempfile.mkdtemp(prefix="pan123-faults-"))
    rows: list[Row] = []
    is_good = False
    try:
        with ExitStack() as stack:
            running = Faults(stack, home, chance, given.images)
            for number, fault in enumerate([Nothing(), *faults]):
                if not fault.is_possible(running.target):
                    print(f"{fault.name}: not possible here: it takes root to mount a small disk")
                    continue
                found = running.round(number, fault)
                rows += found
                print(*report(found, given.seed).splitlines()[4:], sep="\n", flush=True)
            is_good = all(row.is_good for row in rows)
    except Ended as ended:
        return ended.code
    finally:
        given.report.parent.mkdir(parents=True, exist_ok=True)
        given.report.write_text(report(rows, given.seed))
        if is_good:
            shutil.rmtree(home, ignore_errors=True)
        else:
            print(f"The logs are in {home}")
    print(f"The report is {given.report}")
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
