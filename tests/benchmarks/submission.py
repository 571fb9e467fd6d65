"""Measure what a submission costs the client, beside requests and, if installed, ``HttpHook``.

python -m tests.benchmarks.submission
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable
from functools import partial

import requests

from airflow_provider_123pan.account import account
from airflow_provider_123pan.hooks.pan123 import Pan123Hook
from airflow_provider_123pan.service.throttle import Throttle
from tests.benchmarks.report import Arguments, beside, finish, take_turns
from tests.benchmarks.servers import log_in, sandbox
from tests.benchmarks.variables import Memory

CALLS = 500
PEER = "requests.Session"
PATH = "/api/v1/oss/offline/download"


class NoLimit(Throttle):
    """A throttle that does its usual work but never waits: the sandbox has no limit to find."""

    def reserve(self) -> float:
        """Reserve a call, and return 0 seconds."""
        super().reserve()
        return 0.0


def our_hook(base_url: str, token: str) -> Pan123Hook:
    """Return a hook as a task has it, but without a throttle's waits."""
    connection = {"conn_type": "pan123", "host": base_url, "extra": {"access_token": token}}
    os.environ["AIRFLOW_CONN_PAN123_DEFAULT"] = json.dumps(connection)
    account.AirflowVariables = Memory  # type: ignore[assignment,attr-defined]
    hook = Pan123Hook()
    hook.client.throttle = NoLimit()
    return hook


def per_second(call: Callable[[int], object]) -> dict[str, float]:
    """Return how many calls per second succeed one after the other, and what each costs this process."""
    start, cpu_before = time.perf_counter(), time.process_time()
    for number in range(CALLS):
        call(number)
    cpu = time.process_time() - cpu_before
    return {
        "submissions per second": CALLS / (time.perf_counter() - start),
        "CPU-ms each": 1000 * cpu / CALLS,
    }


def ways(base_url: str, client_id: str, client_secret: str) -> dict[str, Callable[[int], object]]:
    """Return the candidates by name; each takes a number and submits an image."""
    headers = log_in(base_url, client_id, client_secret)
    session = requests.Session()
    session.headers.update(headers)
    ours = our_hook(base_url, headers["Authorization"].partition(" ")[2])

    def body(number: int) -> dict[str, object]:
        return {"url": f"https://example.com/{number}.jpg", "fileName": f"{number}.jpg", "type": 1}

    found: dict[str, Callable[[int], object]] = {
        "requests.post": lambda n: requests.post(
            base_url + PATH, json=body(n), headers=headers, timeout=10
        ).json(),
        PEER: lambda n: session.post(base_url + PATH, json=body(n), timeout=10).json(),
        "this provider": lambda n: ours.create_offline_download(f"https://example.com/{n}.jpg", f"{n}.jpg"),
    }
    with contextlib.suppress(ImportError):
        from airflow.providers.http.hooks.http import HttpHook

        os.environ["AIRFLOW_CONN_BENCHMARK"] = json.dumps({"conn_type": "http", "host": base_url})
        hook = HttpHook("POST", "benchmark")
        found["HttpHook.run"] = lambda n: hook.run(PATH, json=body(n), headers=headers).json()
    return found


def main() -> None:
    """Run the benchmark."""
    rounds = Arguments(__doc__).parse_args().rounds
    with sandbox() as credentials:
        sides = {name: partial(per_second, call) for name, call in ways(*credentials).items()}
        finish("submission", beside(take_turns(sides, rounds), PEER, what="Client"))


if __name__ == "__main__":
    main()
