"""Measure how much of an unknown limit is used, and how many calls are rejected, over HTTP with real processes.

    python -m tests.benchmarks.limit

Each scenario has its own sandbox, which answers 429 above R requests per second, or above 600 per minute, after 30 to
120 ms. The client does not know the limit. All scenarios of a round run at the same time.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from airflow_provider_123pan.account import account
from airflow_provider_123pan.hooks.pan123 import Pan123Hook
from airflow_provider_123pan.sandbox import Sandbox
from airflow_provider_123pan.sandbox.limits import RateKind
from tests.benchmarks.report import Arguments, Measured, beside, finish, take_turns, together
from tests.benchmarks.variables import FileVariables

SECONDS = 60.0  # of each scenario
MINUTE_SECONDS = 300.0  # of the limit per minute
THREADS = 16


@dataclass(frozen=True)
class Target:
    """The sandbox of a scenario, its account, and the folder of the shared Variables.

    :ivar ceiling: the connection's `requests_per_second`, or None.
    """

    base_url: str
    client_id: str
    client_secret: str
    folder: Path
    ceiling: float | None = None

    def hook(self) -> Pan123Hook:
        """Return a hook as a task has it, after the login."""
        connection = {
            "conn_type": "pan123",
            "host": self.base_url,
            "login": self.client_id,
            "password": self.client_secret,
            "extra": {"requests_per_second": self.ceiling},
        }
        os.environ["AIRFLOW_CONN_PAN123_DEFAULT"] = json.dumps(connection)
        account.AirflowVariables = partial(FileVariables, self.folder)  # type: ignore[assignment,attr-defined]
        made = Pan123Hook()
        made.client.token()
        return made


@contextlib.contextmanager
def target(rate: float, kind: RateKind, ceiling: float | None = None) -> Iterator[tuple[Sandbox, Target]]:
    """Run a sandbox with this limit.

    :param rate: requests per second.
    :param kind: the sandbox's `rate_kind`.
    """
    with (
        Sandbox(rate=rate, rate_kind=kind, latency=(0.03, 0.12), fetch=False, delay=0) as sandbox,
        tempfile.TemporaryDirectory() as folder,
    ):
        yield (
            sandbox,
            Target(sandbox.base_url, sandbox.client_id, sandbox.client_secret, Path(folder), ceiling),
        )


def submit_for(where: Target, seconds: float, name: str) -> int:
    """Submit as fast as the throttle allows, and return how many submissions were accepted in time."""
    hook = where.hook()
    end = time.monotonic() + seconds

    def submit(thread: int) -> int:
        accepted = 0
        while time.monotonic() < end:
            hook.create_offline_download(f"https://example.com/{name}-{thread}-{accepted}.jpg")
            accepted += time.monotonic() < end
        return accepted

    with ThreadPoolExecutor(THREADS) as threads:
        return sum(threads.map(submit, range(THREADS)))


def short(where: Target, number: int) -> bool:
    """Do what a mapped task does: one submission and two polls."""
    hook = where.hook()
    offline_task = hook.create_offline_download(f"https://example.com/{number}.jpg")
    for _ in range(2):
        hook.get_offline_download(offline_task.taskID)
    hook.keep_rate()
    return True


def scenario(
    processes: int, rate: float, kind: RateKind, ceiling: float | None = None, seconds: float = SECONDS
) -> dict[str, float]:
    """Return the figures of a limit for this number of processes, in percent."""
    spawn = multiprocessing.get_context("spawn")
    with target(rate, kind, ceiling) as (sandbox, where), ProcessPoolExecutor(processes, spawn) as pool:
        for ready in [pool.submit(os.getpid) for _ in range(processes)]:
            ready.result()
        accepted = list(
            pool.map(submit_for, [where] * processes, [seconds] * processes, map(str, range(processes)))
        )
        rejected = sandbox.state(limit=0)["counts"]["refused_429"]
    found = {
        "% of the limit used": 100 * sum(accepted) / (rate * seconds),
        "% refused": 100 * rejected / (rejected + sum(accepted)),
    }
    smaller = 100 * min(accepted) / sum(accepted)
    return found if processes == 1 else found | {"% of the slower process": smaller}


def short_processes(count: int = 300, at_once: int = 16) -> dict[str, float]:
    """Return the figures of many processes that make few calls each, at 2 per second."""
    spawn = multiprocessing.get_context("spawn")
    with (
        target(2, "bucket") as (sandbox, where),
        ProcessPoolExecutor(at_once, spawn, max_tasks_per_child=1) as pool,
    ):
        start = time.monotonic()
        done = sum(pool.map(short, [where] * count, range(count)))
        counts: Any = sandbox.state(limit=0)["counts"]
    return {
        "processes": count,
        "succeeded": done,
        "logins": counts["logins"],
        "refused": counts["refused_429"],
        "seconds": time.monotonic() - start,
    }


def main() -> None:
    """Run the benchmark."""
    rounds = Arguments(__doc__, rounds=1).parse_args().rounds
    windows: tuple[RateKind, ...] = ("bucket", "window")
    kinds = [(rate, kind) for rate in (2.0, 10.0, 50.0) for kind in windows]
    found: Measured = {}
    for processes in (1, 2):
        sides = {_name(processes, *kind): partial(scenario, processes, *kind) for kind in kinds}
        found |= together(sides, rounds)
    minute: RateKind = "minute"
    quotas = {
        _name(count, 10, minute): partial(scenario, count, 10, minute, seconds=MINUTE_SECONDS)
        for count in (1, 2)
    }
    found |= together(quotas, rounds)
    bounded = "1 process, 10/s (bucket), of which the connection allows 4/s"
    found |= take_turns({bounded: partial(scenario, 1, 10, "bucket", 4)}, rounds)
    many = take_turns({"three calls each, at 2/s": short_processes}, rounds)
    finish("limit", beside(found, what="Limit"), beside(many, what="Calls", title="Many short processes"))


def _name(processes: int, rate: float, kind: RateKind) -> str:
    return f"{processes} process{'es' if processes > 1 else ''}, {rate:g}/s ({kind})"


if __name__ == "__main__":
    main()
