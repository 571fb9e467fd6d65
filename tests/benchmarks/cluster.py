"""Measure receiver, waits and sync in a distributed Airflow, and for comparison in a small one on SQLite.

    python -m tests.benchmarks.cluster --inbox mariadb

Both Airflows are too large to run at the same time, so they follow each other. A local 123pan sends the callbacks.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import get_args

import psutil

from airflow_provider_123pan.sandbox import Sandbox
from dev.cluster import Cluster
from dev.distributed import DistributedCluster, Inbox
from dev.waiting import wait_for
from tests.benchmarks import receiver, sync
from tests.benchmarks.report import (
    ROOT,
    Arguments,
    Figure,
    Measured,
    Table,
    beside,
    finish,
    progress,
    take_turns,
)
from tests.benchmarks.waiters import Place, provider_triggers, submit
from tests.benchmarks.waiting import CPU, SETTLING_SECONDS

DAGS = ("benchmark_sync", "benchmark_waits")
SMALL = "one API server, triggerer and SQLite"
MEASURED_SECONDS = 60.0
FIRST_CALLBACK_SECONDS = 180.0  # after the submission; by then the waits' cost is measured
CALLBACKS_PER_SECOND = 5.0


Start = Callable[[Path, Path], Cluster]  # with the folders of the DAGs and of Airflow


def _dags(folder: Path) -> Path:
    """Return a folder without the DAG that needs the HTTP provider."""
    dags = folder / "dags"
    dags.mkdir()
    for dag_id in DAGS:
        (dags / f"pan123_{dag_id}.py").symlink_to(Path(__file__).parent / "dags" / f"pan123_{dag_id}.py")
    return dags


def triggerers(airflow: Cluster) -> list[psutil.Process]:
    """Return the processes of all triggerers."""
    if not isinstance(airflow, DistributedCluster):
        return airflow.processes("triggerer")
    services = [airflow.components[name] for name in ("triggerer-1", "triggerer-2")]
    return [process for service in services for process in service.processes()]


def used(airflow: Cluster) -> tuple[float, float]:
    """Return the CPU-seconds per minute and the MB of memory that the triggerers use."""
    before = receiver.cpu_seconds(process.pid for process in triggerers(airflow))
    time.sleep(MEASURED_SECONDS)
    after = receiver.cpu_seconds(process.pid for process in triggerers(airflow))
    memory = sum(process.memory_info().rss for process in triggerers(airflow)) / 1e6
    return (after - before) * 60 / MEASURED_SECONDS, memory


def waits(airflow: Cluster, sandbox: Sandbox, count: int) -> tuple[dict[str, float], list[float]]:
    """Let offline tasks end one after the other, and measure the triggerers before.

    :returns: what waits cost, and the seconds from each callback's POST to the end of its wait, in order.
    """
    last = FIRST_CALLBACK_SECONDS + count / CALLBACKS_PER_SECOND
    sandbox.configure(delay=(FIRST_CALLBACK_SECONDS, last))
    run = airflow.api.call("POST", "/dags/benchmark_waits/dagRuns", json={"logical_date": None})
    cpu, memory = used(airflow)
    place = Place(sandbox.base_url, sandbox.client_id, sandbox.client_secret, airflow.callback_base_url)
    submissions = submit(place, count, with_callbacks=True)
    triggers = [(*trigger.serialize(), None) for trigger in provider_triggers(submissions)]
    given = {
        "dag_id": "benchmark_waits",
        "run_id": run["dag_run_id"],
        "task_id": "wait",
        "triggers": triggers,
    }
    _run(airflow, "tests.cluster.deferral", given=json.dumps(given))
    time.sleep(SETTLING_SECONDS)
    cpu_now, memory_now = used(airflow)
    ended: dict[str, float] = {}

    def have_ended() -> bool:
        nonlocal ended
        ended = json.loads(
            _run(airflow, "tests.benchmarks.cluster_waits", "benchmark_waits").splitlines()[-1]
        )
        return len(ended) == count

    wait_for(have_ended, what="the ends of the waits", timeout=2 * last, every=30)
    sent = {task["taskID"]: task["delivered_at"] for task in sandbox.state(limit=count)["tasks"]}
    seconds = [ended[str(n)] - sent[submission["taskID"]] for n, submission in enumerate(submissions)]
    cost = {CPU: 1000 * (cpu_now - cpu) / count, "MB of the triggerers": memory, "with all waits": memory_now}
    return cost, sorted(seconds)


def _run(airflow: Cluster, module: str, *arguments: str, given: str = "") -> str:
    """Run a module in the environment of an Airflow, and return what it prints."""
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(
        command, env=airflow.env, cwd=ROOT, input=given, stdout=subprocess.PIPE, text=True, check=True
    )
    return done.stdout


def measure(name: str, start: Start, options: Namespace) -> tuple[dict[str, Measured], list[float]]:
    """Measure all parts in one Airflow.

    :returns: the figures by part, and the sorted seconds from a callback to the end of its wait.
    """
    with (
        tempfile.TemporaryDirectory(prefix="pan123-bench-") as folder,
        Sandbox(accounts={"benchmark": receiver.SECRET}, delay=0.2, fetch=False) as sandbox,
        start(_dags(Path(folder)), Path(folder) / "airflow") as airflow,
    ):
        airflow.connect(sandbox)
        airflow.wait_for_dag(*DAGS)
        port = int(airflow.callback_base_url.rpartition(":")[2])
        directories = iter(range(options.rounds + 1))

        def deliveries() -> dict[str, float]:
            return {receiver.SPEED: receiver.measured(port, options.count, receiver.USUAL_CONNECTIONS)}

        def images(count: int) -> dict[str, float]:
            return {
                sync.SPEED: count / sync.one_task(airflow, Path(folder), count, f"sync-{next(directories)}")
            }

        images(100)  # finds the rate, and logs in
        found = {
            "receiver": take_turns({name: deliveries}, options.rounds),
            "sync": take_turns({name: partial(images, options.images)}, options.rounds),
        }
        cost, seconds = waits(airflow, sandbox, options.waits)
        progress(f"{name}: {cost}")
        return found | {"waiting": {name: {what: Figure([value]) for what, value in cost.items()}}}, seconds


def main() -> None:
    """Run the benchmark."""
    parser = Arguments(__doc__)
    parser.add_argument(
        "--inbox", choices=get_args(Inbox), default="postgresql", help="what stores callbacks"
    )
    parser.add_argument("--count", type=int, default=4000, help="callbacks per measurement")
    parser.add_argument("--images", type=int, default=10_000, help="images of a sync")
    parser.add_argument("--waits", type=int, default=1000, help="waits, at most 1,000")
    options = parser.parse_args()
    os.environ.setdefault("NO_PROXY", "127.0.0.1,localhost")
    large = f"two API servers behind nginx, two triggerers, {options.inbox}"
    found: dict[str, Measured] = {"receiver": {}, "sync": {}, "waiting": {}}
    rows: list[list[str | Figure]] = []
    starts: dict[str, Start] = {
        SMALL: lambda dags, home: Cluster(home=home, dags=dags),
        large: lambda dags, home: DistributedCluster(home=home, dags=dags, inbox=options.inbox),
    }
    for name, start in starts.items():
        measured, seconds = measure(name, start, options)
        for part, figures in measured.items():
            found[part] |= figures
        cuts = statistics.quantiles(seconds, n=100)
        rows.append([name, f"{cuts[49]:.2f}", f"{cuts[98]:.2f}"])
    compared = (receiver.SPEED, sync.SPEED, CPU)
    finish(
        "cluster",
        *(
            beside(figures, SMALL, what="Airflow", title=part.capitalize(), ratio_of=compared)
            for part, figures in found.items()
        ),
        Table(
            f"From a callback's POST to the end of its wait, at {CALLBACKS_PER_SECOND:g} callbacks per second",
            ["Airflow", "median, seconds", "99th percentile"],
            rows,
        ),
    )


if __name__ == "__main__":
    main()
