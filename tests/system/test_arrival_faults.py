"""The triggerer is killed while images arrive: each image becomes an event, and repeated events are counted."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_123pan.arrivals.cursor import Cursor, key_of
from airflow_provider_123pan.sandbox import Sandbox
from airflow_provider_123pan.service.models import Image
from dev.cluster import Cluster
from dev.waiting import wait_for
from tests.support import arrival
from tests.system.arrivals import cursors, submit
from tests.system.canaries import log_in, make_directory

DAG_ID = "pan123_arrivals"
WAVE = 200
IMAGES = 5 * WAVE

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1400)]


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """Run a sandbox whose offline tasks end at once."""
    with Sandbox(delay=0, fetch=False) as sandbox:
        yield sandbox


@pytest.fixture
def airflow(tmp_path: Path, sandbox: Sandbox) -> Iterator[Cluster]:
    """Run an Airflow with the watch; a triggerer takes over from a dead one after ten seconds, instead of thirty."""
    dags = tmp_path / "dags"
    dags.mkdir()
    (dags / f"{DAG_ID}.py").symlink_to(Path(__file__).parent / "dags" / f"{DAG_ID}.py")
    env = {"AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "10"}
    with Cluster(home=tmp_path / "airflow", dags=dags, env=env) as airflow:
        airflow.connect(sandbox, callbacks=False)
        airflow.wait_for_dag(DAG_ID)
        yield airflow


class Watched:
    """The directory that the watch is for, and the events of its images.

    :ivar submitted: number of images that have arrived.
    :ivar kills: number of triggerers that were killed.
    :ivar repeatable: how many events of an image may be repetitions: one for each kill at which Airflow had stored an
        event that the kept cursor did not cover.
    """

    def __init__(self, airflow: Cluster, sandbox: Sandbox) -> None:
        """Make the directory, and wait until the triggerer watches."""
        self.airflow, self.sandbox = airflow, sandbox
        self.directory_id = make_directory(sandbox, "arrivals")
        self._token = log_in(sandbox, sandbox.client_id, sandbox.client_secret)
        self.submitted = self.kills = 0
        self.repeatable: Counter[str] = Counter()
        airflow.api.call("PATCH", f"/dags/{DAG_ID}", json={"is_paused": False})
        wait_for(lambda: cursors(airflow), what="the cursor of the watch", timeout=300)

    def submit(self, count: int = WAVE) -> None:
        """Let images arrive."""
        first, self.submitted = self.submitted, self.submitted + count
        urls = [f"https://example.com/{number}.png" for number in range(first, self.submitted)]
        submit(self.sandbox, self._token, self.directory_id, urls)

    def files(self) -> dict[str, dict[str, Any]]:
        """Return what the sandbox knows about the images, by fileID."""
        return {file["fileId"]: file for file in self.sandbox.state(100_000)["files"]}

    def count(self) -> int:
        """Return the number of events."""
        answer = self.airflow.api.call("GET", "/assets/events", params={"limit": 1})
        return int(answer["total_entries"])

    def payloads(self) -> list[dict[str, Any]]:
        """Return the payloads of all events."""
        found: list[dict[str, Any]] = []
        while True:
            params = {"limit": 100, "offset": len(found), "order_by": "timestamp"}
            page = self.airflow.api.call("GET", "/assets/events", params=params)
            found += [event["extra"]["payload"] for event in page["asset_events"]]
            if len(found) >= page["total_entries"]:
                return found

    def reported(self) -> set[str]:
        """Return the fileIDs of the images that have events."""
        return {payload["fileID"] for payload in self.payloads()}

    def covered(self) -> set[str]:
        """Return the fileIDs of the images that the kept cursor remembers."""
        (stored,) = cursors(self.airflow).values()
        cursor = Cursor.load(stored)
        return {file_id for file_id, file in self.files().items() if cursor.knows(key_of(Image.parse(file)))}

    def wait_until(self, images: Callable[[], set[str]], what: str) -> None:
        """Wait until all images that were submitted are among these."""
        wait_for(lambda: len(images()) == self.submitted, what=what, timeout=300, every=2)

    def kill_after(self, events: int) -> None:
        """Kill the triggerer once Airflow has stored some more events, while others are on the way."""
        before = self.count()
        wait_for(lambda: self.count() >= before + events, what=f"{events} events", timeout=180, every=0.05)
        self._kill()

    def submit_until_kept(self) -> None:
        """Let images arrive a few at a time, and the rest after a kill.

        The triggerer is killed as soon as the kept cursor covers some of them, so others are on the way.
        """
        before, end = self.submitted, self.submitted + WAVE

        def kept() -> bool:
            if self.submitted < end:
                self.submit(2)
            return len(self.covered()) > before

        wait_for(kept, what="a cursor that covers some of these images", timeout=180, every=0.8)
        self._kill()
        self.submit(end - self.submitted)

    def _kill(self) -> None:
        self.airflow.kill("triggerer")
        reported, covered = self.reported(), self.covered()
        print(f"killed: {self.submitted} images, {len(reported)} with events, {len(covered)} in the cursor")
        assert covered <= reported
        assert self.submitted - len(reported) > 1  # the watch may hold one image back
        self.repeatable.update(reported - covered)
        self.kills += 1

    def start(self) -> None:
        """Start the triggerer."""
        self.airflow.start("triggerer")


def test_a_triggerer_killed_while_images_arrive_loses_none(
    airflow: Cluster, sandbox: Sandbox, record_property: Callable[[str, object], None]
) -> None:
    seed = random.randrange(10**6)
    random.seed(seed)
    watched, started = Watched(airflow, sandbox), time.monotonic()

    def some() -> int:
        return random.randrange(WAVE // 20, WAVE // 4)

    watched.submit()
    watched.kill_after(some())
    watched.start()
    watched.wait_until(watched.covered, "a cursor that covers the first images")
    watched.submit()
    watched.kill_after(some())
    watched.submit()  # while no triggerer runs
    watched.start()
    watched.kill_after(some())
    watched.start()
    watched.wait_until(watched.reported, "events of the images that arrived meanwhile")
    watched.submit_until_kept()
    watched.start()
    watched.submit()
    watched.kill_after(some())
    watched.start()
    watched.wait_until(watched.covered, "a cursor that covers all images")

    payloads, files = watched.payloads(), watched.files()
    events = Counter(payload["fileID"] for payload in payloads)
    repeated = events - Counter(files.keys())
    figures = {
        "airflow": version("apache-airflow"),
        "seed": seed,
        "images": len(files),
        "events": events.total(),
        "lost": len(files.keys() - events.keys()),
        "repeated": repeated.total(),
        "repeatable": watched.repeatable.total(),
        "kills": watched.kills,
        "seconds": round(time.monotonic() - started),
    }
    print(figures)
    for name, figure in figures.items():
        record_property(name, figure)
    assert len(files) == IMAGES
    assert events.keys() == files.keys()
    assert [payload for payload in payloads if payload != arrival(files[payload["fileID"]])] == []
    assert repeated <= watched.repeatable
