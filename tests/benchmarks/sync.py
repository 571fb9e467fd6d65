"""Measure a sync: its speed with and without a limit of the service, and its memory.

    python -m tests.benchmarks.sync                     # or one part: --only speed

speed: one task for 10,000 images, and mapped HttpOperators for 100, in one Airflow on PostgreSQL and LocalExecutor.
limit: the operator in its own process, without Airflow, against a sandbox that answers 429 above R requests per second.
upload: the operator whose worker fetches and uploads, in its own process, beside plain `requests` with the same calls.
equal: the same for URLs with the same bytes.
memory: the same for manifests whose images are all stored already, against a stand-in with up to a million images.
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
from tests.benchmarks import listing, sync_equal, sync_upload
from tests.benchmarks.receiver import answers, free_port
from tests.integration import databases

HERE = Path(__file__).parent
RATES = (10, 50)  # requests per second that the service accepts


def manifest(folder: Path, count: int) -> Path:
    """Write a manifest of `count` images, and return its path."""
    path = folder / f"{count}.txt"
    with path.open("w") as file:
        file.writelines(f"{listing.url(number)}\n" for number in range(count))
    return path


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


def report(what: str, images: int, seconds: float) -> float:
    """Print a speed, and return it as images per second."""
    print(f"speed: {what}, {images} images: {seconds:.1f} s, {images / seconds:.1f} per second", flush=True)
    return images / seconds


def speed(folder: Path, images: int) -> None:
    """Compare one sync of `images` images with mapped HttpOperators."""
    with Sandbox(delay=0.2, fetch=False) as sandbox, airflow(folder, sandbox) as running:

        def submissions() -> int:
            return int(sandbox.state(limit=0)["counts"]["submissions"])

        def mapped() -> float:
            before = submissions()
            count, seconds = run(running, "benchmark_http")
            assert submissions() == before + count
            return report("mapped HttpOperator", count, seconds)

        def sync(count: int) -> float:
            before = submissions()
            results = folder / "results.jsonl"
            paths = {"manifest": str(manifest(folder, count)), "results": str(results)}
            _, seconds = run(running, "benchmark_sync", {"directory": str(count), **paths})
            with results.open() as file:
                migrated = sum(json.loads(line)["status"] == "migrated" for line in file)
            assert submissions() == before + count == before + migrated
            return report("one task", count, seconds)

        sync(100)  # logs in, so that the measured sync finds a token, as the other side does
        others = [mapped()]
        reached = sync(images)
        others.append(mapped())  # before and after the sync: the machine's load may change
    print(f"speed: ratio {reached / max(others):.0f} (goal 30)", flush=True)


# --- in its own process --------------------------------------------------------------------------


def worker(folder: Path, connection: dict[str, Any], **arguments: Any) -> dict[str, Any]:
    """Run the operator in its own process.

    :param connection: the fields of the connection.
    :param arguments: the operator's arguments.
    :returns: what the operator returned, with `seconds`, `cpu`, `before` and `peak` of `sync_worker`.
    """
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
    """Sync as many images as the limits let through in this time."""

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
            f"{count / found['seconds'] / rate:.0%} of R (goal 90%), {counts['refused_429']} rejected"
        )

    with ThreadPoolExecutor(len(RATES)) as threads:
        for line in threads.map(scenario, RATES):
            print(line, flush=True)


def upload(folder: Path, images: int) -> None:
    """Compare uploads of a sync with those of plain `requests`, with as many threads.

    An earlier task has found the rate of the sandbox, which has no limit.
    """
    threads = 4
    with (
        Sandbox(fetch=False, reuse=False, upload_end="at-once") as sandbox,
        sync_upload.source() as source,
    ):
        account = {"clientID": sandbox.client_id, "clientSecret": sandbox.client_secret}
        given = {"base_url": sandbox.base_url, "account": account, "source": source, "threads": threads}

        def peer() -> float:
            command = [
                sys.executable,
                "-m",
                "tests.benchmarks.sync_upload",
                json.dumps(given | {"images": images}),
            ]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            seconds = float(json.loads(done.stdout)["seconds"])
            print(f"upload: plain requests: {images / seconds:.1f} per second", flush=True)
            return images / seconds

        def ours(fetch: str) -> float:
            found = worker(
                folder,
                {"host": sandbox.base_url, "login": sandbox.client_id, "password": sandbox.client_secret},
                images=[f"{source}/{number}.png" for number in range(images)],
                directory=fetch,
                fetch=fetch,
                max_uploads=threads,
                found_rate=5000.0,
                private_hosts=["127.0.0.1"],
            )
            assert found["migrated"] == images, found
            print(
                f"upload: one task, fetched by the {fetch}: {images / found['seconds']:.1f} per second, "
                f"{found['peak']:.0f} MB at most ({found['before']:.0f} before)",
                flush=True,
            )
            return images / float(found["seconds"])

        before = peer()
        reached = ours("worker")
        after = peer()
        sandbox.configure(fetch=True)
        offline = ours("service")
    print(
        f"upload: {reached / max(before, after):.2f} of plain requests (goal 0.9), "
        f"{reached / offline:.2f} of the service",
        flush=True,
    )


@contextlib.contextmanager
def directory(count: int) -> Iterator[str]:
    """Serve a directory of `count` images in its own process, and yield the base URL."""
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
    """Sync manifests of these numbers of lines whose images are all present."""
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
            f"memory: {count} lines: {found['peak']:.0f} MB at most ({found['before']:.0f} before), "
            f"{found['seconds']:.1f} s, {found['cpu']:.1f} of them CPU",
            flush=True,
        )
    if len(lines) > 1:
        slope, start = statistics.linear_regression(lines, seconds)
        off = [second / (start + slope * count) - 1 for count, second in zip(lines, seconds, strict=True)]
        print(
            f"memory: {slope * 1e3:.3f} s per 1,000 lines plus {start:.1f} s; deviations from that line: "
            + ", ".join(f"{share:+.1%}" for share in off)
        )


def main() -> None:
    """Run the benchmark."""
    options = argparse.ArgumentParser(description="Speed and memory of a sync")
    options.add_argument("--only", choices=("speed", "limit", "upload", "equal", "memory"))
    options.add_argument("--images", type=int, default=10_000, help="images of the sync (speed)")
    options.add_argument(
        "--seconds", type=float, default=200, help="seconds that the sync takes at the limit (limit)"
    )
    options.add_argument("--uploads", type=int, default=1000, help="images that are uploaded (upload)")
    options.add_argument("--rounds", type=int, default=3, help="syncs of each number of URLs (equal)")
    options.add_argument(
        "--lines",
        type=int,
        nargs="+",
        default=[10_000, 100_000, 300_000, 1_000_000],
        help="lines of the manifests (memory)",
    )
    arguments = options.parse_args()
    print(f"{os.cpu_count()} cores", flush=True)
    with tempfile.TemporaryDirectory(prefix="pan123-bench-") as name:
        folder = Path(name)
        parts = {
            "speed": partial(speed, folder, arguments.images),
            "limit": partial(limit, folder, arguments.seconds),
            "upload": partial(upload, folder, arguments.uploads),
            "equal": partial(sync_equal.measure, folder, worker, arguments.rounds),
            "memory": partial(memory, folder, arguments.lines),
        }
        for part in [arguments.only] if arguments.only else parts:
            try:
                parts[part]()
            except databases.Unavailable as error:
                print(f"{part}: no PostgreSQL: {error}")


if __name__ == "__main__":
    main()
