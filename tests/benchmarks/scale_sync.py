"""Simulate one sync of many images in virtual time, with the package's own code and a service that answers at once.

    python -m tests.benchmarks.scale_sync 100000 60

The arguments are the number of images, and the seconds that 123pan takes for a download. The service accepts ten
requests per second, which the sync uses up: each request takes a tenth of a second of virtual time.
"""

from __future__ import annotations

import json
import logging
import sys
import tempfile
import time
from array import array
from bisect import bisect_left
from collections import Counter
from datetime import datetime, timezone
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from unittest import mock

from tests.fuzz.virtual_time import START, VIRTUAL

cpu_time = time.process_time
VIRTUAL.install()  # before the package is imported

from airflow_provider_123pan.service.models import BEIJING  # noqa: E402
from airflow_provider_123pan.service.protocol import PAGE, Answer, Call  # noqa: E402
from airflow_provider_123pan.sync import progress_poller, submitter  # noqa: E402
from airflow_provider_123pan.sync.checkpoint import Checkpoint  # noqa: E402
from airflow_provider_123pan.sync.inventory import Inventory  # noqa: E402
from airflow_provider_123pan.sync.manifest import read_manifest  # noqa: E402
from airflow_provider_123pan.sync.options import FetchOptions, SyncOptions  # noqa: E402
from airflow_provider_123pan.sync.run import SyncRun  # noqa: E402
from airflow_provider_123pan.sync.timing import SyncTiming  # noqa: E402
from tests.benchmarks import listing  # noqa: E402
from tests.benchmarks.sync_worker import megabytes  # noqa: E402
from tests.benchmarks.variables import Memory  # noqa: E402
from tests.fuzz.truth_syncs import Serial, surroundings  # noqa: E402
from tests.fuzz.truth_waits import Client  # noqa: E402

RATE = 10.0  # requests per second that the service accepts, as observed
DIRECTORY = "the-directory"


class Service:
    """The service: every download succeeds after the same time.

    :ivar calls: the number of calls by their names.
    """

    def __init__(self, seconds: float) -> None:
        self.calls = Counter[str]()
        self._seconds = seconds
        self._ends = array("d")  # by number of the submission, in their order
        self._names: list[str] = []

    def answer(self, call: Call[Any]) -> Answer:
        """Answer a call."""
        VIRTUAL.now += 1 / RATE
        self.calls[call.name] += 1
        body = {"code": 0, "message": "ok", "data": self._data(call), "x-traceID": "trace"}
        date = format_datetime(datetime.fromtimestamp(VIRTUAL.now, timezone.utc), usegmt=True)
        return Answer(200, {"Date": date}, json.dumps(body).encode())

    def ended(self, taskID: int) -> bool:
        """Return whether an offline task has ended."""
        return self._ends[taskID - 1] <= VIRTUAL.now

    def _data(self, call: Call[Any]) -> Any:
        body, params = call.body or {}, call.params or {}
        if call.name == "create_offline_download":
            self._ends.append(VIRTUAL.now + self._seconds)
            self._names.append(body["fileName"])
            return {"taskID": len(self._names)}
        if call.name == "get_offline_download":
            done = self.ended(int(params["taskID"]))
            return {"process": 100 if done else 0, "status": 2 if done else 0}
        assert call.name == "list_images", call
        first = bisect_left(self._ends, body.get("startTime", 0))
        end = int(body.get("lastFileId") or bisect_left(self._ends, VIRTUAL.now) - 1) + 1
        start = max(first, end - PAGE)  # newest first
        items = [self._item(number) for number in range(end - 1, start - 1, -1)]
        return {"fileList": items, "lastFileId": str(start - 1) if start > first else "-1"}

    def _item(self, number: int) -> dict[str, Any]:
        date = datetime.fromtimestamp(self._ends[number], BEIJING).strftime("%Y-%m-%d %H:%M:%S")
        changes = {
            "filename": self._names[number],
            "parentFileId": DIRECTORY,
            "createAt": date,
            "updateAt": date,
        }
        return listing.item(number, "") | changes


class Store:
    """Airflow's ``task_state_store``.

    :ivar writes: the number of writes.
    :ivar largest: the characters of the largest value.
    """

    def __init__(self) -> None:
        self.writes = self.largest = 0

    def get(self, key: str) -> None:
        """Return nothing: the sync begins."""

    def set(self, key: str, value: Any) -> None:
        """Take a value."""
        self.writes += 1
        if self.writes % 100 == 1:  # measuring takes longer than the sync
            self.largest = max(self.largest, len(json.dumps(value)))

    def delete(self, key: str) -> None:
        """Do nothing."""


def simulate(images: int, seconds: float, folder: Path) -> dict[str, Any]:
    """Run one sync, and return its figures."""
    manifest, results = folder / "list.txt", folder / "results.jsonl"
    manifest.write_text("".join(f"{listing.url(number)}\n" for number in range(images)))
    service, store = Service(seconds), Store()
    client = Client(service)  # type: ignore[arg-type]
    client.throttle.rate = RATE
    hook, context = surroundings(client, store)
    fetching = FetchOptions.of("service", None, None, (), 1)
    options = SyncOptions(
        DIRECTORY, (), str(results), False, None, True, VIRTUAL.time() + 1e9, fetching, allow_equal=True
    )
    timing = SyncTiming()
    deferrals = largest = 0
    loading = 0.0
    checkpoint: dict[str, Any] | None = None
    ended: list[str] = []
    began, used = VIRTUAL.now, cpu_time()
    while True:
        inventory, before = Inventory(), cpu_time()
        inventory.load(read_manifest(str(manifest)))
        loading += cpu_time() - before
        if checkpoint is None:
            run = SyncRun.begin(hook, inventory, options, None, context, timing)
        else:
            stored = Checkpoint.load(checkpoint)
            run = SyncRun.resume(hook, inventory, options, None, context, timing, stored, ended)
        if (deferral := run.run()) is None:
            break
        deferrals += 1
        checkpoint = deferral.checkpoint.dump()
        largest = max(largest, len(json.dumps(checkpoint)))
        ended = wait(service, deferral.trigger)
    assert inventory.count_ended() == images
    with results.open() as file:
        assert sum(1 for _ in file) == images
    return {
        "images": images,
        "download_seconds": seconds,
        "hours": round((VIRTUAL.now - began) / 3600, 2),
        "images_per_second": round(images / (VIRTUAL.now - began), 2),
        **{f"{name}_per_image": round(count / images, 4) for name, count in service.calls.items()},
        "cpu_ms_per_image": round((cpu_time() - used) / images * 1000, 2),
        "list_cpu_s": round(loading, 1),
        "peak_mb": round(megabytes("VmHWM")),
        "temporary_mb": round(temporary(inventory) / 1e6, 1),
        "deferrals": deferrals,
        "checkpoint_kb": round(largest / 1000, 1),
        "state_store_writes": store.writes,
        "state_store_kb": round(store.largest / 1000, 1),
        "results_mb": round(results.stat().st_size / 1e6, 1),
    }


def temporary(inventory: Inventory) -> int:
    """Return the bytes of a list's temporary database."""
    pages, size = (
        inventory._database.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size")
    )
    return int(pages * size)


def wait(service: Service, trigger: dict[str, Any]) -> list[str]:
    """Wait as the trigger does, and return the keys of the images that have ended."""
    while True:
        VIRTUAL.sleep(10.0)
        ended = [key for key, (taskID, *_) in trigger["active"].items() if taskID and service.ended(taskID)]
        if len(ended) >= trigger["want"] or VIRTUAL.time() >= trigger["until"]:
            return ended


def main() -> None:
    """Simulate the sync that the command line names, and print its figures as JSON."""
    assert VIRTUAL.now == START
    with (
        tempfile.TemporaryDirectory(prefix="pan123-bench-") as folder,
        mock.patch.object(submitter, "ThreadPoolExecutor", Serial),
        mock.patch.object(submitter, "TICK_SECONDS", 0.5),
        mock.patch.object(progress_poller, "ThreadPoolExecutor", Serial),
        mock.patch("airflow_provider_123pan.account.account.AirflowVariables", Memory),
    ):
        logging.disable(logging.INFO)
        found = simulate(int(sys.argv[1]), float(sys.argv[2]), Path(folder))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
