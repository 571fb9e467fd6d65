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

    def state(self, limit: int) -> dict[str, Any]:
        directory = f"{self.round.name}-uploads"
        return {
            "tasks": [{"url": f"{self.round.place.source}/{path}"} for path in self.submitted],
            "files": [{"filename": name, "parentFilename": directory} for name in self.stored],
        }

    def outcome(self) -> Outcome:
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
        return self.round.outcome()

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
    """Return what a round leaves in which each of eight images arrived once."""
    source, files = served
    airflow: Any = SimpleNamespace()
    sandbox: Any = SimpleNamespace()
    return Done(Round(Place(airflow, sandbox, files, source, tmp_path), 3, 2))


def test_nothing_is_found_if_each_image_arrived_once(done: Done) -> None:
    assert done.outcome() == Outcome(8, [], [], [], [])
    assert done.outcome().is_good


@pytest.mark.parametrize("way", WAYS)
def test_an_image_without_a_new_url_is_lost(done: Done, way: str) -> None:
    done.new[f"round-3/{way}-1.png"] = None
    assert done.outcome().lost == [f"round-3/{way}-1.png"]


@pytest.mark.parametrize("way", WAYS)
def test_a_url_of_another_image_is_wrong(done: Done, way: str) -> None:
    done.new[f"round-3/{way}-1.png"] = done.new[f"round-3/{way}-0.png"]
    assert done.outcome().wrong == [f"round-3/{way}-1.png"]


@pytest.mark.parametrize("way", WAYS)
def test_an_image_that_was_sent_twice_is_doubled(done: Done, way: str) -> None:
    (done.stored if way == "uploads" else done.submitted).append(
        f"{way}-1.png" if way == "uploads" else f"round-3/{way}-1.png"
    )
    found = done.outcome()
    assert found.doubled == [f"round-3/{way}-1.png"]
    assert not found.is_good


def test_the_report_names_what_is_not_good(done: Done) -> None:
    done.new["round-3/sync-0.png"] = None
    done.run_states["sync"] = "failed"
    lines = report([Row("redis killed", done.outcome(), 3.4, None)], seed=7).splitlines()
    assert lines[0] == "# Faults of a distributed Airflow, seed 7"
    assert lines[4:] == [
        "| redis killed | 8 | 1 | 0 | 0 | 3 s | never |",
        "- redis killed: lost: round-3/sync-0.png",
        "- redis killed: failed: sync: failed",
    ]
