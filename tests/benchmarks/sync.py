"""What a batch of images costs: its speed with and without a limit of the service, and its memory.

    python -m tests.benchmarks.sync                     # or a part: --only speed

speed: one task for 10,000 images, and mapped HttpOperators for 100, in one Airflow on PostgreSQL and LocalExecutor.
limit: the operator in a process of its own, without an Airflow, against a sandbox that answers 429 above R per second.
memory: the same for lists whose images are all there already, against a stand-in that has a million of them.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import requests

from airflow_provider_123pan.sandbox import Sandbox
from airflow_provider_123pan.service.endpoint import HEADERS
from dev.cluster import Cluster
from tests.benchmarks import listing
from tests.benchmarks.receiver import answers, free_port
from tests.integration import databases

HERE = Path(__file__).parent
RATES = (10, 50)  # images a second that the service takes


def manifest(folder: Path, count: int) -> Path:
    path = folder / f"{count}.txt"
    with path.open("w") as file:
        file.writelines(f"{listing.url(number)}\n" for number in range(count))
    return path


# --- speed --------------------------------------------------------------------------------------------


@contextlib.contextmanager
def airflow(home: Path, sandbox: Sandbox) -> Iterator[Cluster]:
    """On PostgreSQL, with as many tasks at once as suit the mapped ones best (2, 4, 8 and 16 were tried)."""
    with databases.postgresql() as uri:
        environment = {
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": uri,
            "AIRFLOW__CORE__PARALLELISM": str(4 * (os.cpu_count() or 1)),
        }
        with Cluster(home=home / "airflow", dags=HERE / "dags", env=environment) as running:
            account = {"clientID": sandbox.client_id, "clientSecret": sandbox.client_secret}
            login = f"{sandbox.base_url}/api/v1/access_token"
            answer = requests.post(login, json=account, headers=HEADERS, timeout=10).json()
            token = {"Authorization": f"Bearer {answer['data']['accessToken']}"}
            api = running.api
            api.set_connection(
                "benchmark_http", conn_type="http", host=sandbox.base_url, extra=HEADERS | token
            )
            api.set_connection(
                "pan123_default",
                conn_type="pan123",
                host=sandbox.base_url,
                login=sandbox.client_id,
                password=sandbox.client_secret,
            )
            running.wait_for_dag("benchmark_sync", "benchmark_http")
            yield running


def run(running: Cluster, dag_id: str, conf: dict[str, str] | None = None) -> tuple[int, float]:
    """How many tasks there were, and the seconds from the first one's start to the last one's end."""
    run_id = running.api.trigger(dag_id, conf)
    state = running.api.wait_for_run(dag_id, run_id, timeout=1800)
    tasks = running.api.task_instances(dag_id, run_id)
    assert state == "success", [(task["task_id"], task["map_index"], task["state"]) for task in tasks]
    starts, ends = (
        [datetime.fromisoformat(task[key]).timestamp() for task in tasks]
        for key in ("start_date", "end_date")
    )
    return len(tasks), max(ends) - min(starts)


def told(what: str, images: int, seconds: float) -> float:
    print(f"speed: {what}, {images} images: {seconds:.1f} s, {images / seconds:.1f} a second", flush=True)
    return images / seconds


def speed(folder: Path, images: int) -> None:
    with Sandbox(delay=0.2, fetch=False) as sandbox, airflow(folder, sandbox) as running:

        def submissions() -> int:
            return int(sandbox.state(limit=0)["counts"]["submissions"])

        def mapped() -> float:
            before = submissions()
            count, seconds = run(running, "benchmark_http")
            assert submissions() == before + count
            return told("mapped HttpOperator", count, seconds)

        def sync(count: int) -> float:
            before = submissions()
            results = folder / "results.jsonl"
            paths = {"manifest": str(manifest(folder, count)), "results": str(results)}
            _, seconds = run(running, "benchmark_sync", {"directory": str(count), **paths})
            with results.open() as file:
                migrated = sum(json.loads(line)["status"] == "migrated" for line in file)
            assert submissions() == before + count == before + migrated
            return told("one task", count, seconds)

        sync(100)  # logs in: what follows finds the token, as the other side does
        others = [mapped()]
        reached = sync(images)
        others.append(mapped())  # the machine's mood may have changed
    print(f"speed: ratio {reached / max(others):.0f} (goal 30)", flush=True)


# --- in a process of its own --------------------------------------------------------------------------


def worker(folder: Path, connection: dict[str, Any], **arguments: Any) -> dict[str, Any]:
    """What the operator returned, with figures of its process."""
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(folder),
        "AIRFLOW_CONN_PAN123_DEFAULT": json.dumps({"conn_type": "pan123", **connection}),
    }
    command = [sys.executable, "-m", "tests.benchmarks.sync_worker", json.dumps(arguments)]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def limit(folder: Path, seconds: float) -> None:
    def scenario(rate: int) -> str:
        count = round(rate * seconds)
        with Sandbox(rate=rate, latency=(0.03, 0.12), delay=0.2, fetch=False) as sandbox:
            account = {
                "host": sandbox.base_url,
                "login": sandbox.client_id,
                "password": sandbox.client_secret,
            }
            found = worker(folder, account, manifest=str(manifest(folder, count)), directory="benchmark")
            counts = sandbox.state(limit=0)["counts"]
        assert found["migrated"] == count == counts["submissions"], found
        return (
            f"limit: R={rate}, {count} images: {found['seconds']:.1f} s, "
            f"{count / found['seconds'] / rate:.0%} of R (goal 90%), {counts['refused_429']} refused"
        )

    with ThreadPoolExecutor(len(RATES)) as side_by_side:
        for line in side_by_side.map(scenario, RATES):
            print(line, flush=True)


@contextlib.contextmanager
def directory(count: int) -> Iterator[str]:
    port = free_port()
    server = multiprocessing.get_context("spawn").Process(
        target=listing.serve, args=(port, count), daemon=True
    )
    server.start()
    try:
        answers(port, "/")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.join()


def memory(folder: Path, lines: list[int]) -> None:
    seconds = []
    for count in lines:
        with directory(count) as base_url:
            found = worker(
                folder,
                {"host": base_url, "login": "benchmark", "password": "benchmark"},
                manifest=str(manifest(folder, count)),
                directory_id="benchmark",
                results=str(folder / "results.jsonl"),
            )
        assert found["present"] == found["total"] == count, found
        seconds.append(found["seconds"])
        print(
            f"memory: {count} lines: {found['peak']:.0f} MB at the most ({found['before']:.0f} before), "
            f"{found['seconds']:.1f} s, {found['cpu']:.1f} of them CPU",
            flush=True,
        )
    if len(lines) > 1:
        slope, start = statistics.linear_regression(lines, seconds)
        off = [second / (start + slope * count) - 1 for count, second in zip(lines, seconds, strict=True)]
        print(
            f"memory: {slope * 1e3:.3f} s for each 1,000 lines and {start:.1f} s for all; off that line: "
            + ", ".join(f"{each:+.1%}" for each in off)
        )


def main() -> None:
    options = argparse.ArgumentParser(description="What a batch of images costs")
    options.add_argument("--only", choices=("speed", "limit", "memory"))
    options.add_argument("--images", type=int, default=10_000, help="of the one task (speed)")
    options.add_argument("--seconds", type=float, default=200, help="for which the limit lets images through")
    options.add_argument(
        "--lines",
        type=int,
        nargs="+",
        default=[10_000, 100_000, 300_000, 1_000_000],
        help="of the manifests (memory)",
    )
    given = options.parse_args()
    print(f"{os.cpu_count()} cores", flush=True)
    with tempfile.TemporaryDirectory(prefix="pan123-bench-") as name:
        folder = Path(name)
        parts = {
            "speed": partial(speed, folder, given.images),
            "limit": partial(limit, folder, given.seconds),
            "memory": partial(memory, folder, given.lines),
        }
        for part in [given.only] if given.only else parts:
            try:
                parts[part]()
            except databases.Unavailable as error:
                print(f"{part}: no PostgreSQL: {error}")


if __name__ == "__main__":
    main()
