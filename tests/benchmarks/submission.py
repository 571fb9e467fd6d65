"""What one submission costs the client: side by side with requests and, where it is installed, ``HttpHook``.

python -m tests.benchmarks.submission
"""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import requests

from airflow_provider_123pan.account import account
from airflow_provider_123pan.hooks.pan123 import Pan123Hook
from airflow_provider_123pan.service.endpoint import HEADERS
from airflow_provider_123pan.service.throttle import Throttle

CALLS = 500
ROUNDS = 7
PATH = "/api/v1/oss/offline/download"


@contextlib.contextmanager
def sandbox() -> Iterator[tuple[str, str, str]]:
    """A sandbox in a process of its own: address, client ID, client secret."""
    command = [sys.executable, "-m", "airflow_provider_123pan.sandbox", "--no-fetch", "--delay", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        words = process.stdout.readline().split()
        try:
            yield words[3], words[7], words[-1]
        finally:
            process.terminate()


class NoLimit(Throttle):
    """Reserves and counts like every throttle, but the sandbox has no limit that it could find in time."""

    def reserve(self) -> float:
        super().reserve()
        return 0.0


class NoVariables:
    """Outside of Airflow there are none; the token is the connection's."""

    def get(self, name: str) -> None:
        return None

    def set(self, name: str, value: str, description: str) -> None:
        """The rate is found, but kept nowhere."""


def our_hook(base_url: str, token: str) -> Pan123Hook:
    """As a task uses it, but for the pace."""
    connection = {"conn_type": "pan123", "host": base_url, "extra": {"access_token": token}}
    os.environ["AIRFLOW_CONN_PAN123_DEFAULT"] = json.dumps(connection)
    account.AirflowVariables = NoVariables  # type: ignore[assignment,attr-defined]
    hook = Pan123Hook()
    hook.client.throttle = NoLimit()
    return hook


def per_second(call: Callable[[int], object]) -> float:
    start = time.perf_counter()
    for number in range(CALLS):
        call(number)
    return CALLS / (time.perf_counter() - start)


def ways(base_url: str, client_id: str, client_secret: str) -> dict[str, Callable[[int], object]]:
    answer = requests.post(
        base_url + "/api/v1/access_token",
        json={"clientID": client_id, "clientSecret": client_secret},
        headers=HEADERS,
        timeout=10,
    )
    token = answer.json()["data"]["accessToken"]
    headers = HEADERS | {"Authorization": f"Bearer {token}"}
    session = requests.Session()
    session.headers.update(headers)
    ours = our_hook(base_url, token)

    def body(number: int) -> dict[str, object]:
        return {"url": f"https://example.com/{number}.jpg", "fileName": f"{number}.jpg", "type": 1}

    found: dict[str, Callable[[int], object]] = {
        "requests.post": lambda n: requests.post(
            base_url + PATH, json=body(n), headers=headers, timeout=10
        ).json(),
        "requests.Session": lambda n: session.post(base_url + PATH, json=body(n), timeout=10).json(),
        "this provider": lambda n: ours.create_offline_download(f"https://example.com/{n}.jpg", f"{n}.jpg"),
    }
    with contextlib.suppress(ImportError):
        from airflow.providers.http.hooks.http import HttpHook

        os.environ["AIRFLOW_CONN_BENCHMARK"] = json.dumps({"conn_type": "http", "host": base_url})
        hook = HttpHook("POST", "benchmark")
        found["HttpHook.run"] = lambda n: hook.run(PATH, json=body(n), headers=headers).json()
    return found


def main() -> None:
    with sandbox() as where:
        candidates = ways(*where)
        figures: dict[str, list[float]] = {name: [] for name in candidates}
        for _ in range(ROUNDS):  # in turns, so that what else the machine does meets all of them
            for name, call in candidates.items():
                figures[name].append(per_second(call))
    base = statistics.median(figures["requests.Session"])
    print(f"{os.cpu_count()} cores, median of {ROUNDS} rounds of {CALLS} calls")
    for name, values in figures.items():
        median = statistics.median(values)
        print(f"{name:17} {median:6.0f} a second, {median / base:.2f} of requests.Session")


if __name__ == "__main__":
    main()
