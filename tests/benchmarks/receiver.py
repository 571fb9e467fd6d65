"""Measure deliveries stored per second, beside a bare FastAPI route that commits once per request.

    python -m tests.benchmarks.receiver                 # or one part: --only mounted

standalone: on SQLite and PostgreSQL, each delivery with its own callback URL.
mounted: in Airflow's API server, beside two empty routes.

Everything runs on one machine: the server in one process, the load in another, PostgreSQL in several more. Both
sides wait for fsync.
"""

from __future__ import annotations

import base64
import json
import tempfile
from argparse import Namespace
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from functools import partial
from typing import TypeVar

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
from tests.benchmarks.plot import Panel, Plot
from tests.benchmarks.report import Arguments, Side, Table, beside, finish, take_turns
from tests.benchmarks.servers import SPAWN, api_server, serving
from tests.integration import databases

CONN_ID = "pan123_default"
SECRET = "a-client-secret-of-some-length"
KEYS = secret_keys(SECRET, None)
TOKEN_START = base64.urlsafe_b64encode(CONN_ID.encode()).decode().rstrip("=")
BODY = json.dumps(
    {"url": "http://dc.com/resource.jpg", "status": 0, "failReason": "", "fileID": 100}
).encode()
OURS = "this receiver"
APPS = {
    OURS: "receiver",
    "a bare route with one commit per request": "bare",
}  # in the plot, the first is this package
SPEED = "deliveries per second"
CONNECTIONS = (1, 8, 64, 256)
USUAL_CONNECTIONS = 64
Found = TypeVar("Found")


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


def serve(port: int, name: str, uri: str) -> None:
    """Serve the app `bare` or `receiver` until the process ends."""
    app = {"bare": bare, "receiver": receiver}[name](uri)
    uvicorn.run(app, port=port, log_level="warning", access_log=False)


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


# --- standalone --------------------------------------------------------------------------------------------


def cpu_seconds(pids: Iterable[int]) -> float:
    """Return the CPU-seconds that processes have used."""
    times = [psutil.Process(pid).cpu_times() for pid in pids]
    return float(sum(each.user + each.system for each in times))


def measure(
    pids: list[int], port: int, count: int, connections: int, path: str | None = None
) -> dict[str, float]:
    """Measure a round of `count` requests to a server."""
    before = cpu_seconds(pids)
    rate = measured(port, count, connections, path)
    return {SPEED: rate, "CPU-ms each": 1000 * (cpu_seconds(pids) - before) / (count + count // 10)}


def standalone(database: str, uri: str, options: Namespace) -> tuple[Table, Panel]:
    """Compare the standalone receiver with the bare route."""

    def side(name: str, count: int, connections: int) -> dict[str, float]:
        with serving(serve, name, uri) as (pid, port):
            return measure([pid], port, count, connections)

    def sides(count: int, connections: int) -> dict[str, Side]:
        return {name: partial(side, app, count, connections) for name, app in APPS.items()}

    found = take_turns(sides(options.count, options.connections), options.rounds)
    by_connections = [take_turns(sides(options.count // 4, number), 1) for number in CONNECTIONS]
    series = {name: ([*CONNECTIONS], [side[name][SPEED].median for side in by_connections]) for name in APPS}
    return (
        beside(
            found, *APPS.keys() - {OURS}, what="Route", title=f"Standalone, on {database}", ratio_of=[SPEED]
        ),
        Panel(f"Standalone, on {database}", "connections", "/s", series),
    )


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


def mounted(database: str, uri: str, options: Namespace) -> Table:
    """Compare the receiver in Airflow's API server with empty routes."""
    environment = {
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": uri,
        "AIRFLOW_CONN_PAN123_DEFAULT": json.dumps({"conn_type": "pan123", "password": SECRET}),
    }
    paths = {"an empty route": "/empty/x", "a route that reads the body": "/empty/body/x", OURS: None}
    with api_server(environment, EMPTY_PLUGIN) as airflow:
        port = int(airflow.url.rpartition(":")[2])
        pids = [process.pid for process in airflow.processes("api-server")]
        sides = {
            name: partial(measure, pids, port, options.count, options.connections, path)
            for name, path in paths.items()
        }
        found = take_turns(sides, options.rounds)
        written = airflow.log.read_text()
    assert "/pan123/callbacks/***" in written
    assert f"/pan123/callbacks/{TOKEN_START}" not in written, "a callback URL is in the access log"
    peers = [name for name in paths if name != OURS]
    title = f"In the API server, on {database}"
    return beside(found, *peers, what="Route", title=title, ratio_of=[SPEED])


def main() -> None:
    """Run the benchmark."""
    parser = Arguments(__doc__)
    parser.add_argument("--only", choices=("standalone", "mounted"))
    parser.add_argument("--count", type=int, default=8000, help="requests per measurement")
    parser.add_argument("--connections", type=int, default=USUAL_CONNECTIONS, help="requests at once")
    options = parser.parse_args()
    if options.only != "mounted":
        found = on_each_database(standalone, options)
        panels = [panel for _, panel in found]
        plots = [Plot("receiver", "Deliveries per second, by the number of connections", panels)]
        finish("receiver-standalone", *(table for table, _ in found), plots=plots)
    if options.only != "standalone":
        finish("receiver-mounted", *on_each_database(mounted, options))


def on_each_database(function: Callable[[str, str, Namespace], Found], options: Namespace) -> list[Found]:
    """Measure on SQLite, and on PostgreSQL if it is installed."""
    with tempfile.TemporaryDirectory(prefix="pan123-bench-") as folder:
        found = [function("SQLite", f"sqlite:///{folder}/inbox.db", options)]
    with suppress(Unavailable), databases.postgresql() as uri:
        found.append(function("PostgreSQL", uri, options))
    return found


if __name__ == "__main__":
    main()
