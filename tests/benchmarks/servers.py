"""Servers that benchmarks need, each in processes of its own."""

from __future__ import annotations

import multiprocessing
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import requests

from airflow_provider_123pan.service.endpoint import HEADERS
from dev.cluster import Cluster, free_ports
from dev.waiting import wait_for

START_SECONDS = 120.0
SPAWN = multiprocessing.get_context("spawn")


@contextmanager
def serving(serve: Callable[..., None], *arguments: Any) -> Iterator[tuple[int, int]]:
    """Call `serve` with a port and the arguments in a process, and yield its ID and the port once it listens."""
    (port,) = free_ports(1)
    server = SPAWN.Process(target=serve, args=(port, *arguments), daemon=True)
    server.start()

    def listens() -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5):
            return True
        return False

    try:
        wait_for(listens, what=f"port {port}", timeout=START_SECONDS, every=0.1)
        assert server.pid
        yield server.pid, port
    finally:
        server.terminate()
        server.join()


@contextmanager
def sandbox(*options: str) -> Iterator[tuple[str, str, str]]:
    """Run a sandbox without delays, and yield its base URL, client ID and client secret."""
    command = [sys.executable, "-m", "airflow_provider_123pan.sandbox", "--no-fetch", "--delay=0", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        words = process.stdout.readline().split()
        try:
            yield words[3], words[7], words[-1]
        finally:
            process.terminate()


@contextmanager
def api_server(env: Mapping[str, str] | None = None, plugin: str = "") -> Iterator[Cluster]:
    """Run Airflow's API server without the other components.

    :param plugin: the source code of a plugin.
    """
    with tempfile.TemporaryDirectory(prefix="pan123-bench-") as name, ExitStack() as stack:
        home = Path(name)
        (home / "plugins").mkdir()
        (home / "plugins" / "benchmark.py").write_text(plugin)
        cluster = Cluster(home=home, env=env)
        cluster.cli("db", "migrate")
        stack.push(cluster)
        cluster.start("api-server")
        cluster.wait_until_healthy("api-server")
        yield cluster


def log_in(base_url: str, client_id: str, client_secret: str) -> dict[str, str]:
    """Return the headers of a client that has logged in."""
    body = {"clientID": client_id, "clientSecret": client_secret}
    answer = requests.post(f"{base_url}/api/v1/access_token", json=body, headers=HEADERS, timeout=30).json()
    return HEADERS | {"Authorization": f"Bearer {answer['data']['accessToken']}"}
