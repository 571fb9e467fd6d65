"""Measure what limits the number of images: what is stored for each, and how long that takes to read and to delete.

    python -m tests.benchmarks.scale                     # or one part: --only simulation

simulation: syncs in virtual time, at ten requests per second and with downloads of a minute; see `scale_sync`.
checkpoint: the size of what Airflow stores when a sync defers.
results: the size of a results file, and the CPU time that writing and reading it takes.
inbox: the size of the callbacks' table, and the time that storing, reading and deleting takes.
metadata: the rows that ten mapped images, and one sync of 10,000, add to Airflow's database.
"""

from __future__ import annotations

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
from tests.benchmarks.report import Arguments, Figure, Table, finish, progress
from tests.integration import databases

BATCH = 100  # deliveries in one transaction, and callback ids in one look-up
SIMULATED = [  # images, and seconds of a download
    *((10_000, 10), (10_000, 60), (10_000, 600), (30_000, 600)),
    *((100_000, 10), (100_000, 60), (300_000, 10)),
]


def timed(function: Callable[[], Any], clock: Callable[[], float] = time.perf_counter) -> tuple[float, Any]:
    """Return the seconds that a function takes, and its result."""
    began = clock()
    found = function()
    return clock() - began, found


# --- simulation -------------------------------------------------------------------------------------


def simulation(pairs: list[tuple[int, int]]) -> None:
    """Simulate syncs of these numbers of images, with downloads that take so many seconds."""
    heading = [
        "images",
        "seconds of a download",
        "images per second",
        "listings per image",
        "polls per image",
    ]
    heading += [
        "CPU time per image",
        "of it the list",
        "memory at most",
        "temporary disk space",
        "deferrals",
        "writes per image",
        "results",
    ]
    rows: list[list[str | Figure]] = []
    for images, seconds in pairs:
        command = [sys.executable, "-m", "tests.benchmarks.scale_sync", str(images), str(seconds)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        found = json.loads(done.stdout.splitlines()[-1])
        progress(f"{images} images, {seconds} s: {found}")
        row = [(images, ""), (seconds, ""), (found["images_per_second"], "")]
        row += [(found["list_images_per_image"], ""), (found["get_offline_download_per_image"], "")]
        row += [(found["cpu_ms_per_image"], " ms"), (1000 * found["list_cpu_s"] / images, " ms")]
        row += [(found["peak_mb"], " MB"), (found["temporary_mb"], " MB"), (found["deferrals"], "")]
        row += [(found["state_store_writes"] / images, ""), (found["results_mb"], " MB")]
        rows.append([Figure([value], unit) for value, unit in row])
    finish("scale-simulation", Table("", heading, rows))


# --- checkpoint ---------------------------------------------------------------------------------------


def _in_flight(count: int) -> InFlight:
    in_flight, now = InFlight(new_callback_id()), time.time()
    for number in range(count):
        key, canonical = image_key(str(number)), digest(listing.url(number))
        in_flight.add(InFlightImage(number, key, canonical, 0, 403_316_000 + number, now, now))
    return in_flight


def checkpoint(images: int) -> None:
    """Measure a checkpoint, what `task_state_store` holds, and the trigger's arguments."""
    from airflow.sdk.serde import serialize

    in_flight = _in_flight(MAX_IN_FLIGHT)
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
    sizes = {
        "record in `task_state_store`": len(json.dumps(in_flight.dump())),
        "arguments of the trigger": len(json.dumps(serialize(trigger.serialize()[1]))),
    }
    chance = random.Random(1)
    done, missing, failed = (
        bytes([state]) for state in (ImageState.MIGRATED, ImageState.MISSING, ImageState.FAILED)
    )
    for kind, states in {
        "the first half done": done * (images // 2) + missing * (images - images // 2),
        "5% failed, at random": b"".join(chance.choices((done, failed), (95, 5), k=images)),
        "every second one missing, at random": b"".join(chance.choices((done, missing), k=images)),
    }.items():
        inventory = Inventory()
        inventory._states = bytearray(states)
        dumped = Checkpoint(
            inventory.dump(), in_flight.dump(), "id", [], MAX_IN_FLIGHT, None, 1, [], 0.0, {}, {}
        ).dump()
        sizes[f"checkpoint of {images:,} images, {kind}"] = len(json.dumps(serialize(dumped)))
    rows: list[list[str | Figure]] = [[what, Figure([size])] for what, size in sizes.items()]
    finish("scale-checkpoint", Table("", [f"With {MAX_IN_FLIGHT:,} images in flight", "characters"], rows))


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
    rows: list[list[str | Figure]] = []
    for name, ending in (("JSON lines", "jsonl"), ("CSV", "csv")):
        path = str(folder / f"results.{ending}")
        write = partial(Results(path, "owner").write, map(_record, range(count)))
        written, _ = timed(write, time.process_time)
        read, found = timed(partial(_count, path), time.process_time)
        assert found == count
        cells = ((os.path.getsize(path) / 1e6, " MB"), (written, " s"), (read, " s"))
        rows.append([name, *(Figure([value], unit) for value, unit in cells)])
    heading = [f"Results of {count:,} images", "size", "CPU time of writing", "of reading"]
    finish("scale-results", Table("", heading, rows))


def _count(path: str) -> int:
    return sum(1 for _ in read_results(path))


# --- inbox -------------------------------------------------------------------------------------------


def inbox(folder: Path, count: int) -> None:
    """Store deliveries, read some of them, and delete half of them."""
    with contextlib.ExitStack() as stack:
        uris = {
            "SQLite": f"sqlite:///{folder}/inbox.db",
            "PostgreSQL": stack.enter_context(databases.postgresql()),
        }
        rows = [_inbox(name, uri, count) for name, uri in uris.items()]
    heading = [f"{count:,} callbacks", "bytes each, with indexes", "stored per second"]
    heading += ["deleted per second", f"look-up of {BATCH}", f"the next {BATCH}"]
    finish("scale-inbox", Table("", heading, rows))


def _inbox(name: str, uri: str, count: int) -> list[str | Figure]:
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
    speeds = [Figure([total / count]), Figure([count / stored]), Figure([deleted / pruned])]
    return [name, *speeds, Figure([1000 * read], " ms"), Figure([1000 * after], " ms")]


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
        rows: list[list[str | Figure]] = []
        for dag_id, what, more in (
            ("benchmark_mapped", "a mapped pair of tasks for each of ten images", ()),
            ("benchmark_sync", "one sync of 10,000 images", ("--conf", conf)),
        ):
            before = _rows(folder / "airflow.db")
            airflow("dags", "test", dag_id, *more)
            grown = {
                name: (rows - before[name][0], length - before[name][1])
                for name, (rows, length) in _rows(folder / "airflow.db").items()
                if rows > before[name][0]
            }
            count, length = map(sum, zip(*grown.values(), strict=True))
            rows.append([what, Figure([count]), Figure([length])])
    heading = ["Rows in Airflow's database, on SQLite", "rows", "characters, without indexes"]
    finish("scale-metadata", Table("", heading, rows))


def main() -> None:
    """Run the benchmark."""
    parser = Arguments(__doc__, rounds=None)
    parser.add_argument("--only", choices=("simulation", "checkpoint", "results", "inbox", "metadata"))
    parser.add_argument(
        "--simulate", type=int, nargs=2, action="append", metavar=("IMAGES", "SECONDS"), help="another sync"
    )
    parser.add_argument("--rows", type=int, default=1_000_000, help="records of the results, and callbacks")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pan123-bench-") as name:
        folder = Path(name)
        parts: dict[str, Callable[[], None]] = {
            "simulation": partial(simulation, options.simulate or SIMULATED),
            "checkpoint": partial(checkpoint, 1_000_000),
            "results": partial(results, folder, options.rows),
            "inbox": partial(inbox, folder, options.rows),
            "metadata": partial(metadata, folder),
        }
        for part in [options.only] if options.only else parts:
            try:
                parts[part]()
            except Unavailable as error:
                progress(f"{part}: {error}")


if __name__ == "__main__":
    main()
