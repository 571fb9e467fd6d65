"""A round of the faults finds what was lost, doubled or wrong, and the report shows it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_123pan.sync.result_record import ResultRecord
from dev import images
from tests.cluster.fault_kinds import Killed
from tests.cluster.faults import Row, report
from tests.cluster.workload import WAYS, Outcome, Place, Round


class Done:
    """An Airflow whose runs have ended, and a service that has what `new` says.

    :ivar new: the new URL of each image by its path below the source, or None.
    :ivar submitted: the paths that were submitted.
    :ivar stored: the names of the uploaded images.
    """

    def __init__(self, round_: Round) -> None:
        self.round, place = round_, round_.place
        self.new: dict[str, str | None] = {path: f"{place.source}/{path}?new" for path in round_.contents}
        self.submitted = [path for path in self.new if "/uploads-" not in path]
        self.stored = [path.rpartition("/")[2] for path in self.new if "/uploads-" in path]
        self.run_states = dict.fromkeys(WAYS, "success")
        self.tries, self.running = [1, 1], 0
        place.airflow.api = self  # type: ignore[assignment]
        place.sandbox.state = self.state  # type: ignore[assignment,method-assign]
        round_.start()

    def trigger(self, dag_id: str, conf: dict[str, Any]) -> str:
        return "run"

    def run_state(self, dag_id: str, run_id: str) -> str:
        return self.run_states[dag_id.rpartition("_")[2]]

    def xcom(self, dag_id: str, run_id: str, task_id: str, *, map_index: int) -> dict[str, Any] | None:
        url = self.new[f"{self.round.name}/mapped-{map_index}.png"]
        return {"download_url": url} if url else None

    def task_instances(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        return [{"try_number": tries} for tries in self.tries]

    def state(self, limit: int) -> dict[str, Any]:
        directory = f"{self.round.name}-uploads"
        return {
            "tasks": [
                {
                    "url": f"{self.round.place.source}/{path}",
                    "state": "running" if number < self.running else "succeeded",
                }
                for number, path in enumerate(self.submitted)
            ],
            "files": [{"filename": name, "parentFilename": directory} for name in self.stored],
        }

    def outcomes(self) -> dict[str, Outcome]:
        """Write what the runs leave, and return what the round finds."""
        folder = self.round.folder
        for way in ("sync", "uploads"):
            paths = [path for path in self.new if f"/{way}-" in path]
            (folder / f"{way}.jsonl").write_text(
                "".join(f"{json.dumps(self._record(path))}\n" for path in paths)
            )
        for path, url in self.new.items():
            if "/pages-" in path and url:
                page = folder / "pages" / f"{Path(path).stem}.md"
                page.write_text(f"# An image\n\n![]({url})\n")
        return self.round.outcomes()

    def _record(self, path: str) -> dict[str, Any]:
        record: dict[str, Any] = dict.fromkeys(ResultRecord._fields)
        status = "migrated" if self.new[path] else "failed"
        return record | {
            "url": f"https://example.com/{path}",
            "status": status,
            "download_url": self.new[path],
        }


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[str, dict[str, bytes]]]:
    """Serve files, and yield the base URL and the files by path."""
    files: dict[str, bytes] = {}
    with images.serve(files) as source:
        yield source, files


@pytest.fixture
def done(tmp_path: Path, served: tuple[str, dict[str, bytes]]) -> Done:
    """Return what a round leaves in which each of 29 images arrived once."""
    source, files = served
    airflow: Any = SimpleNamespace()
    sandbox: Any = SimpleNamespace()
    return Done(Round(Place(airflow, sandbox, files, source, tmp_path), 3, 29))


IMAGES = {"mapped": 2, "sync": 9, "pages": 9, "uploads": 9}


def test_nothing_is_found_if_each_image_arrived_once(done: Done) -> None:
    found = done.outcomes()
    assert found == {way: Outcome(images, [], [], [], 0, "success") for way, images in IMAGES.items()}
    assert all(outcome.is_good for outcome in found.values())


@pytest.mark.parametrize("way", WAYS)
def test_an_image_without_a_new_url_is_lost(done: Done, way: str) -> None:
    done.new[f"round-3/{way}-1.png"] = None
    found = done.outcomes()
    assert found[way].lost == [f"round-3/{way}-1.png"]
    assert [kind for kind, outcome in found.items() if not outcome.is_good] == [way]


@pytest.mark.parametrize("way", WAYS)
def test_a_url_of_another_image_is_wrong(done: Done, way: str) -> None:
    done.new[f"round-3/{way}-1.png"] = done.new[f"round-3/{way}-0.png"]
    found = done.outcomes()[way]
    assert found.wrong == [f"round-3/{way}-1.png"]
    assert not found.is_good


@pytest.mark.parametrize("way", WAYS)
def test_an_image_that_was_sent_twice_is_doubled(done: Done, way: str) -> None:
    (done.stored if way == "uploads" else done.submitted).append(
        f"{way}-1.png" if way == "uploads" else f"round-3/{way}-1.png"
    )
    assert done.outcomes()[way].doubled == [f"round-3/{way}-1.png"]


@pytest.mark.parametrize(
    ("may_double", "in_flight", "good"), [(True, 1, True), (True, 0, False), (False, 1, False)]
)
def test_a_doubled_image_needs_a_fault_that_explains_it(
    done: Done, may_double: bool, in_flight: int, good: bool
) -> None:
    done.submitted.append("round-3/sync-1.png")
    fault = Killed("redis", may_double=may_double)
    assert Row(fault, "sync", in_flight, done.outcomes()["sync"], 3.4, 5).is_good is good


def test_a_fault_that_met_no_image_proves_nothing(done: Done) -> None:
    outcome = done.outcomes()["sync"]
    assert [Row(Killed("redis"), "sync", images, outcome, 3.4, 5).is_good for images in (0, 1)] == [
        False,
        True,
    ]


def test_failed_tries_are_counted(done: Done) -> None:
    done.tries = [0, 1, 3]
    assert done.outcomes()["mapped"].retries == 2


def test_images_are_in_flight_until_they_have_ended_or_are_stored(done: Done) -> None:
    done.running = 4
    done.stored.pop()
    assert done.round.in_flight() == {"mapped": 2, "sync": 2, "pages": 0, "uploads": 1}


def test_a_round_leaves_no_files(done: Done) -> None:
    done.outcomes()
    done.round.remove()
    assert not done.round.folder.exists()
    assert not done.round.place.files


def test_the_report_names_what_is_not_good(done: Done) -> None:
    done.new["round-3/sync-0.png"] = None
    done.run_states["sync"] = "failed"
    found = done.outcomes()["sync"]
    lines = report([Row(Killed("redis"), "sync", 4, found, 3.4, None)], seed=7).splitlines()
    assert lines[0] == "# Faults of a distributed Airflow, seed 7"
    assert lines[4:] == [
        "| redis killed | sync | 9 | 4 | 1 | 0 | 0 | 0 | 3 s | never |",
        "- redis killed: lost: round-3/sync-0.png",
        "- redis killed: sync: the run is failed",
    ]
