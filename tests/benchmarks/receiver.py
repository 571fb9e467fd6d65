"""Measure deliveries stored per second, beside a bare FastAPI route that commits once per request.

    python -m tests.benchmarks.receiver                 # standalone, on SQLite and PostgreSQL
    python -m tests.benchmarks.receiver --mounted       # in Airflow's API server, beside two empty routes

Everything runs on one machine: the server in one process, the load in another, PostgreSQL in several more. Both
sides wait for fsync.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import json
import multiprocessing
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import psutil
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from sqlalchemy import Text
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from airflow_provider_123pan.callbacks.address import make_callback_url, new_callback_id, secret_keys
from airflow_provider_123pan.receiver.app import create_app
from airflow_provider_123pan.receiver.database import create_inbox_engine
from dev.servers import Unavailable
from tests.benchmarks.load import post, send
from tests.integration import databases

CONN_ID = "pan123_default"
SECRET = "a client secret of some length"
KEYS = secret_keys(SECRET, None)
TOKEN_START = base64.urlsafe_b64encode(CONN_ID.encode()).decode().rstrip("=")
BODY = json.dumps(
    {"url": "http://dc.com/resource.jpg", "status": 0, "failReason": "", "fileID": 100}
).encode()
SPAWN = multiprocessing.get_context("spawn")


# --- what is measured ---------------------------------------------------------------------------------


class _Keys:
    def names(self) -> list[str]:
        return [CONN_ID]

    def keys(self, conn_id: str) -> tuple[bytes, ...]:
        return KEYS if conn_id == CONN_ID else ()


class Base(DeclarativeBase):
    """Base class of the bare route's table."""


class RawEntry(Base):
    """A delivery as the bare route stores it."""

    __tablename__ = "bare"
    id: Mapped[int] = mapped_column(primary_key=True)
    token: Mapped[str] = mapped_column(Text)
    content: Mapped[str] = mapped_column(Text)


class Body(BaseModel):
    """The body of a delivery."""

    url: str
    status: int
    failReason: str = ""
    fileID: int | str | None = None


def bare(uri: str) -> FastAPI:
    """Return the simplest app that stores deliveries: one commit per request, and no checks."""
    engine = create_inbox_engine(uri)
    Base.metadata.create_all(engine)
    app = FastAPI()

    @app.post("/pan123/callbacks/{token}")
    def deliver(token: str, body: Body) -> dict[str, bool]:
        with Session(engine) as session:
            session.add(RawEntry(token=token, content=body.model_dump_json()))
            session.commit()
        return {"ok": True}

    return app


def receiver(uri: str) -> FastAPI:
    """Return the provider's receiver with this database."""
    return create_app(lambda: create_inbox_engine(uri), _Keys(), 30 * 86400.0, mounted=False)


def serve(name: str, uri: str, port: int) -> None:
    """Serve the app `bare` or `receiver` until the process ends."""
    app = {"bare": bare, "receiver": receiver}[name](uri)
    uvicorn.run(app, port=port, log_level="warning", access_log=False)


@contextlib.contextmanager
def served(name: str, uri: str) -> Iterator[tuple[int, int]]:
    """Serve an app in its own process, and yield the process ID and the port."""
    port = free_port()
    server = SPAWN.Process(target=serve, args=(name, uri, port), daemon=True)
    server.start()
    try:
        answers(port, "/")
        assert server.pid
        yield server.pid, port
    finally:
        server.terminate()
        server.join()


# --- the load -----------------------------------------------------------------------------------------


def load(port: int, count: int, connections: int, path: str | None) -> float:
    """Send deliveries, to a new callback URL each or all to `path`, and return the requests per second."""
    base = f"http://127.0.0.1:{port}"

    def request() -> bytes:
        return post(
            path or make_callback_url(base, CONN_ID, new_callback_id(), KEYS).removeprefix(base), BODY
        )

    def answered(_: bytes, status: int, *__: bytes) -> None:
        assert status == 200

    for size in (count // 10, count):  # the first round warms up the server
        seconds = send(port, [request() for _ in range(size)], connections, answered)
    return count / seconds


def measured(port: int, count: int, connections: int, path: str | None = None) -> float:
    """Return the requests per second that the server answers to a client in its own process."""
    with ProcessPoolExecutor(1, SPAWN) as client:
        return client.submit(load, port, count, connections, path).result()


def free_port() -> int:
    """Return a port that no process listens on."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def answers(port: int, path: str, seconds: float = 120) -> None:
    """Wait until the server answers, with any status below 500."""
    end = time.monotonic() + seconds
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while time.monotonic() < end:
        try:
            opener.open(f"http://127.0.0.1:{port}{path}", timeout=5)
            return
        except urllib.error.HTTPError as error:
            if error.code < 500:
                return
        except OSError:
            pass
        time.sleep(0.2)
    raise TimeoutError(path)


# --- standalone --------------------------------------------------------------------------------------------


class Side:
    """The measurements of one app.

    :ivar rates: requests per second, by round.
    :ivar costs: CPU-seconds of the server per request, by round.
    """

    def __init__(self, name: str) -> None:
        """Start without a measurement."""
        self.name = name
        self.rates: list[float] = []
        self.costs: list[float] = []

    def measure(self, pid: int, port: int, count: int, connections: int, path: str | None = None) -> None:
        """Measure a round of `count` requests."""
        before = self._cpu(pid)
        self.rates.append(measured(port, count, connections, path))
        self.costs.append((self._cpu(pid) - before) / (count + count // 10))

    @staticmethod
    def _cpu(pid: int) -> float:
        times = psutil.Process(pid).cpu_times()
        return float(times.user + times.system)

    def __str__(self) -> str:
        """Return the medians in words."""
        rate = f"{statistics.median(self.rates):.0f}/s ({min(self.rates):.0f} to {max(self.rates):.0f})"
        return f"{self.name} {rate}, {statistics.median(self.costs) * 1000:.2f} ms CPU per request"


def report(where: str, one: Side, other: Side, goal: str) -> None:
    """Print both sides and the ratio of their rates."""
    ratio = statistics.median(b / a for a, b in zip(one.rates, other.rates, strict=True))
    print(f"{where}: {one}; {other}; median ratio of the rounds: {ratio:.2f} (goal {goal})", flush=True)


def standalone(database: str, uri: str, count: int, connections: int, rounds: int) -> None:
    """Compare the standalone receiver with the bare route."""
    sides = Side("bare route"), Side("receiver")
    for _ in range(rounds):  # in turns, so that other load on the machine affects both
        for side, name in zip(sides, ("bare", "receiver"), strict=True):
            with served(name, uri) as (pid, port):
                side.measure(pid, port, count, connections)
    report(database, *sides, goal="2")


# --- in Airflow's API server --------------------------------------------------------------------------

EMPTY_PLUGIN = """
from airflow.plugins_manager import AirflowPlugin
from fastapi import FastAPI, Request

app = FastAPI()

@app.post("/{token}")
async def nothing(token: str) -> dict[str, bool]:
    return {"ok": True}

@app.post("/body/{token}")
async def body(token: str, request: Request) -> dict[str, bool]:
    await request.body()
    return {"ok": True}

class Empty(AirflowPlugin):
    name = "empty"
    fastapi_apps = [{"name": "empty", "app": app, "url_prefix": "/empty"}]
"""


def mounted(database: str, uri: str, count: int, connections: int, rounds: int) -> None:
    """Compare the receiver in Airflow's API server with empty routes."""
    with tempfile.TemporaryDirectory(prefix="pan123-bench-") as folder:
        home = Path(folder)
        (home / "plugins").mkdir()
        (home / "plugins" / "empty.py").write_text(EMPTY_PLUGIN)
        environment = {
            **os.environ,
            "AIRFLOW_HOME": folder,
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": uri,
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__API_AUTH__JWT_SECRET": "benchmark",
            "AIRFLOW_CONN_PAN123_DEFAULT": json.dumps({"conn_type": "pan123", "password": SECRET}),
        }
        airflow = [sys.executable, "-m", "airflow"]
        port = free_port()
        with (home / "log").open("w") as log:
            subprocess.run([*airflow, "db", "migrate"], env=environment, stdout=log, stderr=log, check=True)
            server = subprocess.Popen(
                [*airflow, "api-server", "--port", str(port), "--host", "127.0.0.1", "--workers", "1"],
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
            try:
                answers(port, "/pan123/health")
                empty, reading, ours = (
                    Side("empty route"),
                    Side("empty route that reads the body"),
                    Side("receiver"),
                )
                for _ in range(rounds):
                    for side, path in ((empty, "/empty/x"), (reading, "/empty/body/x"), (ours, None)):
                        side.measure(server.pid, port, count, connections, path)
            finally:
                os.killpg(server.pid, signal.SIGTERM)
                server.wait(30)
        written = (home / "log").read_text()
    report(f"mounted, {database}", empty, ours, goal="0.9")
    report(f"mounted, {database}", reading, ours, goal="0.9")
    assert "/pan123/callbacks/***" in written
    assert f"/pan123/callbacks/{TOKEN_START}" not in written, "a callback URL is in the access log"


def main() -> None:
    """Run the benchmark."""
    options = argparse.ArgumentParser(description="Deliveries stored per second")
    options.add_argument("--mounted", action="store_true", help="in Airflow's API server")
    options.add_argument("--count", type=int, help="requests per measurement")
    options.add_argument("--connections", type=int, default=64, help="requests at once")
    arguments = options.parse_args()
    measure, count, rounds = (mounted, 12_000, 5) if arguments.mounted else (standalone, 8_000, 3)
    count = arguments.count or count
    print(
        f"{os.cpu_count()} cores, {arguments.connections} connections, {count} requests, {rounds} rounds",
        flush=True,
    )
    with tempfile.TemporaryDirectory(prefix="pan123-bench-") as folder:
        measure("SQLite", f"sqlite:///{folder}/inbox.db", count, arguments.connections, rounds)
    try:
        with databases.postgresql() as uri:
            measure("PostgreSQL", uri, count, arguments.connections, rounds)
    except Unavailable as error:
        print(f"no PostgreSQL: {error}")


if __name__ == "__main__":
    main()
