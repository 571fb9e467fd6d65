"""Measure a sync: its speed with and without a limit of the service, and its memory.

    python -m tests.benchmarks.sync                     # or one part: --only speed

speed: one task for 10,000 images, and mapped HttpOperators for 100, in one Airflow on PostgreSQL and LocalExecutor.
limit: the operator in its own process, without Airflow, against a sandbox that answers 429 above R requests per second.
upload: the operator whose worker fetches and uploads, in its own process, beside plain `requests` with the same calls.
equal: the same for URLs with the same bytes.
memory: the same for manifests whose images are all stored already, against a stand-in with up to a million images.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from airflow_provider_123pan.sandbox import Sandbox
from dev.cluster import Cluster
from dev.servers import Unavailable
from tests.benchmarks import listing, sync_equal, sync_upload
from tests.benchmarks.plot import Panel, Plot
from tests.benchmarks.report import (
    Arguments,
    Side,
    beside,
    finish,
    progress,
    straight_line,
    take_turns,
    together,
)
from tests.benchmarks.servers import log_in, serving
from tests.integration import databases

HERE = Path(__file__).parent
RATES = (10, 50)  # requests per second that the service accepts
SPEED = "images per second"


def manifest(folder: Path, images: int) -> Path:
    """Write a manifest of so many images, and return its path."""
    path = folder / f"{images}.txt"
    with path.open("w") as file:
        file.writelines(f"{listing.url(number)}\n" for number in range(images))
    return path


def connection(sandbox: Sandbox) -> dict[str, str]:
    """Return the fields of a connection to the sandbox."""
    return {"host": sandbox.base_url, "login": sandbox.client_id, "password": sandbox.client_secret}


# --- speed --------------------------------------------------------------------------------------------


@contextlib.contextmanager
def airflow(home: Path, sandbox: Sandbox) -> Iterator[Cluster]:
    """Run an Airflow on PostgreSQL.

    Its parallelism is the best for the mapped tasks: on 2 cores 2, 4, 8 and 16 were tried.
    """
    with databases.postgresql() as uri:
        environment = {
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": uri,
            "AIRFLOW__CORE__PARALLELISM": str(4 * (os.cpu_count() or 1)),
        }
        with Cluster(home=home / "airflow", dags=HERE / "dags", env=environment) as running:
            headers = log_in(sandbox.base_url, sandbox.client_id, sandbox.client_secret)
            running.api.set_connection(
                "benchmark_http", conn_type="http", host=sandbox.base_url, extra=headers
            )
            running.connect(sandbox, callbacks=False)
            running.wait_for_dag("benchmark_sync", "benchmark_http")
            yield running


def run(running: Cluster, dag_id: str, conf: dict[str, str] | None = None) -> tuple[int, float]:
    """Run a DAG.

    :returns: the number of tasks, and the seconds from the start of the first to the end of the last.
    """
    run_id = running.api.trigger(dag_id, conf)
    state = running.api.wait_for_run(dag_id, run_id, timeout=1800)
    tasks = running.api.task_instances(dag_id, run_id)
    assert state == "success", [(task["task_id"], task["map_index"], task["state"]) for task in tasks]
    starts, ends = (
        [datetime.fromisoformat(task[key]).timestamp() for task in tasks]
        for key in ("start_date", "end_date")
    )
    return len(tasks), max(ends) - min(starts)


def one_task(running: Cluster, folder: Path, images: int, directory: str) -> float:
    """Sync so many images in one task, and return the seconds."""
    results = folder / "results.jsonl"
    paths = {"manifest": str(manifest(folder, images)), "results": str(results)}
    _, seconds = run(running, "benchmark_sync", {"directory": directory, **paths})
    with results.open() as file:
        assert sum(json.loads(line)["status"] == "migrated" for line in file) == images
    return seconds


def speed(folder: Path, images: int, rounds: int) -> None:
    """Compare one sync of `images` images with mapped HttpOperators."""
    with Sandbox(delay=0.2, fetch=False) as sandbox, airflow(folder, sandbox) as running:
        directories = count()

        def submissions() -> int:
            return int(sandbox.state(limit=0)["counts"]["submissions"])

        def mapped() -> dict[str, float]:
            before = submissions()
            tasks, seconds = run(running, "benchmark_http")
            assert submissions() == before + tasks
            return {SPEED: tasks / seconds}

        def sync(images: int) -> dict[str, float]:
            before = submissions()
            seconds = one_task(running, folder, images, f"sync-{next(directories)}")
            assert submissions() == before + images
            return {SPEED: images / seconds}

        sync(100)  # logs in, so that the measured sync finds a token, as the other side does
        peer = "a mapped `HttpOperator` for each image"
        found = take_turns({f"{images:,} in one task": partial(sync, images), peer: mapped}, rounds)
    finish("sync-speed", beside(found, peer, what="Images"))


# --- in its own process --------------------------------------------------------------------------


def worker(folder: Path, account: dict[str, Any], **arguments: Any) -> dict[str, Any]:
    """Run the operator in its own process.

    :param account: the fields of the connection.
    :param arguments: the operator's arguments.
    :returns: what the operator returned, with `seconds`, `cpu`, `before` and `peak` of `sync_worker`.
    """
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(folder),
        "AIRFLOW_CONN_PAN123_DEFAULT": json.dumps({"conn_type": "pan123", **account}),
    }
    command = [sys.executable, "-m", "tests.benchmarks.sync_worker", json.dumps(arguments)]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def limit(folder: Path, seconds: float, rounds: int) -> None:
    """Sync as many images as the limits let through in this time."""

    def scenario(rate: int) -> dict[str, float]:
        images = round(rate * seconds)
        with Sandbox(rate=rate, latency=(0.03, 0.12), delay=0.2, fetch=False) as sandbox:
            found = worker(
                folder, connection(sandbox), manifest=str(manifest(folder, images)), directory="benchmark"
            )
            counts = sandbox.state(limit=0)["counts"]
        assert found["migrated"] == images == counts["submissions"], found
        calls = sum(counts["requests"].values())
        return {
            "submissions, % of the limit": 100 * images / found["seconds"] / rate,
            "% of all calls refused": 100 * counts["refused_429"] / calls,
        }

    finish(
        "sync-limit",
        beside(
            together({f"{rate} requests per second": partial(scenario, rate) for rate in RATES}, rounds),
            what=f"Limit, for {seconds:.0f} s",
        ),
    )


def upload(folder: Path, images: int, rounds: int) -> None:
    """Compare uploads of a sync with those of plain `requests`, with as many threads.

    An earlier task has found the rate of the sandbox, which has no limit.
    """
    threads = 4
    with (
        Sandbox(fetch=False, reuse=False, upload_end="at-once") as sandbox,
        serving(sync_upload.serve_images) as (_, port),
    ):
        source = f"http://127.0.0.1:{port}"
        directories = count()
        account = [sandbox.client_id, sandbox.client_secret]
        given = {"base_url": sandbox.base_url, "account": account, "source": source, "threads": threads}

        def peer() -> dict[str, float]:
            arguments = json.dumps(given | {"images": images})
            command = [sys.executable, "-m", "tests.benchmarks.sync_upload", arguments]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            return {SPEED: images / float(json.loads(done.stdout)["seconds"])}

        def ours(fetch: str) -> dict[str, float]:
            sandbox.configure(fetch=fetch == "service")
            found = worker(
                folder,
                connection(sandbox),
                images=[f"{source}/{number}.png" for number in range(images)],
                directory=f"{fetch}-{next(directories)}",
                fetch=fetch,
                max_uploads=threads,
                found_rate=5000.0,
                private_hosts=["127.0.0.1"],
            )
            assert found["migrated"] == images, found
            return {SPEED: images / found["seconds"], "MB above the start": found["peak"] - found["before"]}

        plain = f"plain `requests`, the same calls in {threads} threads"
        sides: dict[str, Side] = {
            'one task, `fetch="worker"`': partial(ours, "worker"),
            plain: peer,
            'one task, `fetch="service"`': partial(ours, "service"),
        }
        found = take_turns(sides, rounds)
    finish("sync-upload", beside(found, plain, what=f"{images:,} images of 200 kB", ratio_of=[SPEED]))


def memory(folder: Path, lines: list[int], rounds: int) -> None:
    """Sync manifests of these numbers of lines whose images are all present."""

    def side(images: int) -> dict[str, float]:
        with serving(listing.serve, images) as (_, port):
            found = worker(
                folder,
                {"host": f"http://127.0.0.1:{port}", "login": "benchmark", "password": "benchmark"},
                manifest=str(manifest(folder, images)),
                directory_id="benchmark",
                results=str(folder / "results.jsonl"),
            )
        assert found["present"] == found["total"] == images, found
        return {"seconds": found["seconds"], "CPU-seconds": found["cpu"], "MB at most": found["peak"]}

    found = take_turns({f"{images:,}": partial(side, images) for images in lines}, rounds)
    sizes = [float(images) for images in lines]
    medians = {
        what: [measured[what].median for measured in found.values()] for what in ("CPU-seconds", "MB at most")
    }
    finish(
        "sync-memory",
        beside(found, what="Lines, all present"),
        straight_line("The line through the CPU times", "lines", sizes, medians["CPU-seconds"]),
        plots=[
            Plot(
                "sync",
                "A sync of images that are all present, by the number of lines",
                [
                    Panel("CPU time", "lines", " s", {"one sync": (sizes, medians["CPU-seconds"])}),
                    Panel("Peak memory", "lines", " MB", {"one sync": (sizes, medians["MB at most"])}),
                ],
            )
        ],
    )


PARTS = {"speed": 5, "limit": 1, "upload": 5, "equal": 3, "memory": 1}  # and their usual rounds


def main() -> None:
    """Run the benchmark."""
    parser = Arguments(__doc__, rounds=0)
    parser.add_argument("--only", choices=PARTS)
    parser.add_argument("--images", type=int, default=10_000, help="images of the sync (speed)")
    parser.add_argument(
        "--seconds", type=float, default=200, help="seconds that the sync takes at the limit (limit)"
    )
    parser.add_argument("--uploads", type=int, default=1000, help="images that are uploaded (upload)")
    parser.add_argument(
        "--lines",
        type=int,
        nargs="+",
        default=[10_000, 100_000, 300_000, 1_000_000],
        help="lines of the manifests (memory)",
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pan123-bench-") as name:
        folder = Path(name)
        parts: dict[str, Callable[[int], None]] = {
            "speed": partial(speed, folder, options.images),
            "limit": partial(limit, folder, options.seconds),
            "upload": partial(upload, folder, options.uploads),
            "equal": partial(sync_equal.measure, folder, worker),
            "memory": partial(memory, folder, options.lines),
        }
        for part in [options.only] if options.only else PARTS:
            try:
                parts[part](options.rounds or PARTS[part])
            except Unavailable as error:
                progress(f"{part}: no PostgreSQL: {error}")


if __name__ == "__main__":
    main()
