"""Measure what limits the number of images: what is stored for each, and how long that takes to read and to delete.

    python -m tests.benchmarks.scale                     # or one part: --only simulation

simulation: syncs in virtual time, at ten requests per second and with downloads of a minute; see `scale_sync`.
checkpoint: the size of what Airflow stores when a sync defers.
results: the size of a results file, and the CPU time that writing and reading it takes.
inbox: the size of the callbacks' table, and the time that storing, reading and deleting takes.
metadata: the rows that ten mapped images, and one sync of 10,000, add to Airflow's database.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, text

from airflow_provider_123pan.callbacks.address import new_callback_id
from airflow_provider_123pan.callbacks.delivery import Delivery, DeliveryStatus
from airflow_provider_123pan.receiver.inbox import Inbox
from airflow_provider_123pan.sandbox import Sandbox
from airflow_provider_123pan.source.naming import digest
from airflow_provider_123pan.sync.checkpoint import Checkpoint
from airflow_provider_123pan.sync.entries import image_key
from airflow_provider_123pan.sync.image_state import ImageState
from airflow_provider_123pan.sync.in_flight import InFlight, InFlightImage, Watched
from airflow_provider_123pan.sync.inventory import Inventory
from airflow_provider_123pan.sync.result_record import ResultRecord
from airflow_provider_123pan.sync.results import Results, read_results
from airflow_provider_123pan.sync.submitter import MAX_IN_FLIGHT
from airflow_provider_123pan.triggers.sync_images import Pan123SyncImagesTrigger
from dev.servers import Unavailable
from tests.benchmarks import listing, sync
from tests.benchmarks.sync_worker import megabytes
from tests.integration import databases

BATCH = 100  # deliveries in one transaction, and callback ids in one look-up


def timed(function: Callable[[], Any], clock: Callable[[], float] = time.perf_counter) -> tuple[float, Any]:
    """Return the seconds that a function takes, and its result."""
    began = clock()
    found = function()
    return clock() - began, found


# --- simulation -------------------------------------------------------------------------------------


def simulation(images: list[int], seconds: list[float]) -> None:
    """Simulate syncs of these numbers of images, with downloads that take so many seconds."""
    for count in images:
        for each in seconds:
            command = [sys.executable, "-m", "tests.benchmarks.scale_sync", str(count), str(each)]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            print(f"simulation: {done.stdout.splitlines()[-1]}", flush=True)


# --- checkpoint ---------------------------------------------------------------------------------------


def _in_flight(count: int) -> InFlight:
    in_flight, now = InFlight(new_callback_id()), time.time()
    for number in range(count):
        key, canonical = image_key(str(number)), digest(listing.url(number))
        in_flight.add(InFlightImage(number, key, canonical, 0, 403_316_000 + number, now, now))
    return in_flight


def checkpoint(images: list[int]) -> None:
    """Print the sizes of a checkpoint, of what `task_state_store` holds, and of the trigger's arguments."""
    from airflow.sdk.serde import serialize

    in_flight = _in_flight(MAX_IN_FLIGHT)
    stored = len(json.dumps(in_flight.dump()))
    active = {image.key: list(Watched(image.taskID, 0, False)) for image in in_flight}
    trigger = Pan123SyncImagesTrigger(
        pan123_conn_id="pan123_default",
        directory_id="yk6baz03t0l000d7w33fbyq51l4izkne",
        active=active,
        seed=in_flight.seed,
        since="2026-11-26T12:00:00+00:00",
        want=500,
        until=time.time(),
    )
    arguments = len(json.dumps(serialize(trigger.serialize()[1])))
    print(
        f"checkpoint: {MAX_IN_FLIGHT} in flight: {stored / 1000:.1f} kB in task_state_store, "
        f"{arguments / 1000:.1f} kB of the trigger"
    )
    chance = random.Random(1)
    done, missing, failed = (
        bytes([state]) for state in (ImageState.MIGRATED, ImageState.MISSING, ImageState.FAILED)
    )
    for count in images:
        for kind, states in {
            "half done, from the front": done * (count // 2) + missing * (count - count // 2),
            "done, 5% failed": b"".join(chance.choices((done, failed), (95, 5), k=count)),
            "every second one, at random": b"".join(chance.choices((done, missing), k=count)),
        }.items():
            inventory = Inventory()
            inventory._states = bytearray(states)
            dumped = Checkpoint(
                inventory.dump(), in_flight.dump(), "id", [], MAX_IN_FLIGHT, None, 1, [], 0.0, {}, {}
            ).dump()
            states_kb = len(dumped["ledger"]["states"]) / 1000
            size = len(json.dumps(serialize(dumped)))
            print(
                f"checkpoint: {count} images, {kind}: {size / 1000:.1f} kB, {states_kb:.1f} of them for the states",
                flush=True,
            )


# --- results ----------------------------------------------------------------------------------------


def _record(number: int) -> ResultRecord:
    image = listing.item(number, f"{number}-k3v7w2m5q6ta.jpg")
    return ResultRecord(
        listing.url(number),
        image["filename"],
        "migrated",
        403_316_000 + number,
        image["fileId"],
        image["downloadURL"],
        None,
        image["etag"],
        image["size"],
        None,
    )


def results(folder: Path, count: int) -> None:
    """Write and read results files."""
    for ending in ("jsonl", "csv"):
        path = str(folder / f"results.{ending}")
        written, _ = timed(
            partial(Results(path, "owner").write, map(_record, range(count))), time.process_time
        )
        read, found = timed(partial(_count, path), time.process_time)
        assert found == count
        print(
            f"results: {count} lines of .{ending}: {os.path.getsize(path) / 1e6:.0f} MB, "
            f"written in {written:.1f} CPU-s, read in {read:.1f} CPU-s, {megabytes('VmHWM'):.0f} MB of memory at most",
            flush=True,
        )


def _count(path: str) -> int:
    return sum(1 for _ in read_results(path))


# --- inbox -------------------------------------------------------------------------------------------


def inbox(folder: Path, count: int) -> None:
    """Store deliveries, read some of them, and delete half of them."""
    with contextlib.ExitStack() as stack:
        uris = {"SQLite": f"sqlite:///{folder}/inbox.db"}
        try:
            uris["PostgreSQL"] = stack.enter_context(databases.postgresql())
        except Unavailable as error:
            print(f"inbox: no PostgreSQL: {error}")
        for name, uri in uris.items():
            _inbox(name, uri, count)


def _inbox(name: str, uri: str, count: int) -> None:
    engine, now = create_engine(uri), [0.0]
    table = Inbox(lambda: engine, clock=lambda: now[0])
    table.create()
    ids = [new_callback_id() for _ in range(count)]
    started = time.time() - 40 * 86_400

    def fill() -> None:
        for first in range(0, count, BATCH):
            now[0] = started + first / count * 20 * 86_400
            batch = [
                Delivery(
                    callback_id, DeliveryStatus.SUCCEEDED, None, f"yk6baz03t0l000d7w33fbyq51l4izkne{number}"
                )
                for number, callback_id in enumerate(ids[first : first + BATCH], first)
            ]
            table.store([("pan123_default", delivery) for delivery in batch])

    stored, _ = timed(fill)
    size = "SELECT pg_total_relation_size('pan123_inbox_v1')"
    if name == "SQLite":
        size = "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"
    with engine.connect() as connection:
        total = connection.scalar(text(size)) or 0
    read, _ = timed(lambda: table.lookup("pan123_default", ids[:: count // BATCH]))
    after, _ = timed(lambda: table.after("pan123_default", count // 2, BATCH))
    pruned, deleted = timed(lambda: table.prune(started + 10 * 86_400, time.time()))
    table.close()
    print(
        f"inbox: {name}, {count} deliveries: {total / count:.0f} bytes each, {count / stored:.0f} stored per second, "
        f"look-up of {BATCH} in {read * 1000:.0f} ms, the next {BATCH} in {after * 1000:.0f} ms, "
        f"{deleted} deleted at {deleted / pruned:.0f} per second",
        flush=True,
    )


# --- metadata ------------------------------------------------------------------------------------------


def _rows(path: Path) -> dict[str, tuple[int, int]]:
    """Return the number of rows of each table of Airflow's database, and the length of what they hold."""
    with contextlib.closing(sqlite3.connect(path)) as database:
        names = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        found = {}
        for name in names:
            columns = [row[1] for row in database.execute(f'PRAGMA table_info("{name}")')]
            length = " + ".join(f'coalesce(length("{column}"), 0)' for column in columns)
            found[name] = database.execute(
                f'SELECT count(*), coalesce(sum({length}), 0) FROM "{name}"'
            ).fetchone()
    return found


def metadata(folder: Path) -> None:
    """Run a mapped pair of tasks for each of ten images, and one sync of 10,000, without a scheduler."""
    with Sandbox(delay=0.2, fetch=False) as sandbox:
        connection = {
            "conn_type": "pan123",
            "host": sandbox.base_url,
            "login": sandbox.client_id,
            "password": sandbox.client_secret,
        }
        environment = os.environ | {
            "AIRFLOW_HOME": str(folder),
            "AIRFLOW__CORE__DAGS_FOLDER": str(Path(__file__).parent / "dags"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW_CONN_PAN123_DEFAULT": json.dumps(connection),
        }

        def airflow(*arguments: str) -> None:
            command = [Path(sys.executable).parent / "airflow", *arguments]
            subprocess.run(command, env=environment, check=True, capture_output=True)

        airflow("db", "migrate")
        airflow("dags", "reserialize")
        paths = {"manifest": str(sync.manifest(folder, 10_000)), "results": str(folder / "results.jsonl")}
        conf = json.dumps({"directory": "scale", **paths})
        for dag_id, more in (("benchmark_mapped", ()), ("benchmark_sync", ("--conf", conf))):
            before = _rows(folder / "airflow.db")
            airflow("dags", "test", dag_id, *more)
            grown = {
                name: (rows - before[name][0], length - before[name][1])
                for name, (rows, length) in _rows(folder / "airflow.db").items()
                if rows > before[name][0]
            }
            rows, length = map(sum, zip(*grown.values(), strict=True))
            shown = ", ".join(f"{name} {figures[0]}" for name, figures in sorted(grown.items()))
            print(f"metadata: {dag_id}: {rows} rows with {length} characters ({shown})", flush=True)


def main() -> None:
    """Run the benchmark."""
    options = argparse.ArgumentParser(description="What limits the number of images")
    options.add_argument("--only", choices=("simulation", "checkpoint", "results", "inbox", "metadata"))
    options.add_argument("--images", type=int, nargs="+", default=[10_000, 100_000], help="of a simulation")
    options.add_argument("--seconds", type=float, nargs="+", default=[10, 60, 600], help="of a download")
    options.add_argument("--rows", type=int, default=1_000_000, help="records of the results, and callbacks")
    arguments = options.parse_args()
    print(f"{os.cpu_count()} cores", flush=True)
    with tempfile.TemporaryDirectory(prefix="pan123-bench-") as name:
        folder = Path(name)
        parts: dict[str, Callable[[], None]] = {
            "simulation": partial(simulation, arguments.images, arguments.seconds),
            "checkpoint": partial(checkpoint, [100_000, 1_000_000]),
            "results": partial(results, folder, arguments.rows),
            "inbox": partial(inbox, folder, arguments.rows),
            "metadata": partial(metadata, folder),
        }
        for part in [arguments.only] if arguments.only else parts:
            try:
                parts[part]()
            except Unavailable as error:
                print(f"{part}: {error}")


if __name__ == "__main__":
    main()
