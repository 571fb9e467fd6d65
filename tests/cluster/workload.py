"""Images that are in flight in each of the four ways, and what became of them."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import requests
from PIL import Image

from airflow_provider_123pan.sandbox import Sandbox
from airflow_provider_123pan.sync.results import read_results
from dev.distributed import DistributedCluster

# The part of a round's images that takes each way. Every mapped image is a task, which is started twice.
WAYS = {"mapped": 0.07, "sync": 0.31, "pages": 0.31, "uploads": 0.31}
MAX_LISTED = 1_000_000


class Outcome(NamedTuple):
    """What became of the images of a round in one way.

    :ivar images: how many there were.
    :ivar lost: those without a new URL.
    :ivar doubled: those that were submitted, or stored, more than once.
    :ivar wrong: those whose new URL serves other bytes.
    :ivar retries: how many tries of tasks failed.
    :ivar state: the state of the run.
    """

    images: int
    lost: list[str]
    doubled: list[str]
    wrong: list[str]
    retries: int
    state: str

    @property
    def is_good(self) -> bool:
        """Whether each image arrived, and the run succeeded."""
        return not (self.lost or self.wrong) and self.state == "success"


@dataclass
class Place:
    """Where rounds run.

    :ivar files: what the source serves, by path.
    :ivar source: base URL of the source.
    :ivar folder: the folder for lists, pages and results, on a small disk.
    """

    airflow: DistributedCluster
    sandbox: Sandbox
    files: dict[str, bytes]
    source: str
    folder: Path


class Round:
    """One run of each DAG, with images that no other round has."""

    def __init__(self, place: Place, number: int, size: int) -> None:
        """Make the inputs.

        :param number: the number of the round.
        :param size: its images, in all ways together.
        """
        self.place, self.name = place, f"round-{number}"
        self.folder = place.folder / self.name
        names = [f"{way}-{image}" for way, part in WAYS.items() for image in range(round(part * size))]
        self.contents = {  # by path below the source
            f"{self.name}/{name}.png": _png((number * size + index).to_bytes(3, "big"))
            for index, name in enumerate(names)
        }
        self._run_ids: dict[str, str] = {}
        (self.folder / "pages").mkdir(parents=True)
        (self.folder / "uploads").mkdir()
        place.files |= self.contents
        (self.folder / "images.txt").write_text("\n".join(map(self._url, self._paths("sync"))))
        for path in self._paths("pages"):
            self._page(path).write_text(f"# An image\n\n![]({self._url(path)})\n")
        for path in self._paths("uploads"):
            (self.folder / "uploads" / Path(path).name).write_bytes(self.contents[path])

    def _paths(self, way: str) -> list[str]:
        return [path for path in self.contents if f"/{way}-" in path]

    def _url(self, path: str) -> str:
        return f"{self.place.source}/{path}"

    def _page(self, path: str) -> Path:
        return self.folder / "pages" / f"{Path(path).stem}.md"

    def start(self) -> None:
        """Trigger a run of each DAG."""
        conf = {"folder": f"file://{self.folder}", "name": self.name}
        for way in WAYS:
            given = {"urls": [*map(self._url, self._paths(way))]} if way == "mapped" else conf
            self._run_ids[way] = self.place.airflow.api.trigger(f"pan123_faults_{way}", given)

    def submissions(self) -> Counter[str]:
        """Return how often each path was submitted."""
        tasks = self.place.sandbox.state(MAX_LISTED)["tasks"]
        paths = (task["url"].removeprefix(f"{self.place.source}/") for task in tasks)
        return Counter(path for path in paths if path in self.contents)

    def in_flight(self) -> dict[str, int]:
        """Return how many images of each way have been submitted, and have not ended (uploads: are not stored yet)."""
        state = self.place.sandbox.state(MAX_LISTED)
        running = Counter(task["url"] for task in state["tasks"] if task["state"] == "running")
        uploaded = sum(file["parentFilename"] == f"{self.name}-uploads" for file in state["files"])
        found = {way: sum(running[self._url(path)] > 0 for path in self._paths(way)) for way in WAYS}
        return found | {"uploads": len(self._paths("uploads")) - uploaded}

    def states(self) -> dict[str, str]:
        """Return the state of each run; a run is "unknown" while Airflow does not answer."""
        found = {}
        for way, run_id in self._run_ids.items():
            try:
                found[way] = self.place.airflow.api.run_state(f"pan123_faults_{way}", run_id)
            except requests.RequestException:
                found[way] = "unknown"
        return found

    def outcomes(self) -> dict[str, Outcome]:
        """Return what became of the images in each way; the runs have ended."""
        find: dict[str, Callable[[], dict[str, str | None]]] = {
            "mapped": self._mapped,
            "sync": lambda: self._listed("sync"),
            "pages": self._shown,
            "uploads": lambda: self._listed("uploads"),
        }
        submitted, states = self.submissions(), self.states()
        files = self.place.sandbox.state(MAX_LISTED)["files"]
        directory = f"{self.name}-uploads"
        stored = Counter(file["filename"] for file in files if file["parentFilename"] == directory)
        found = {}
        for way in WAYS:
            new: dict[str, str | None] = dict.fromkeys(self._paths(way)) | find[way]()
            served = {path: requests.get(url, timeout=30).content for path, url in new.items() if url}
            found[way] = Outcome(
                len(self._paths(way)),
                [path for path, url in new.items() if not url],
                [path for path in new if submitted[path] > 1 or stored[Path(path).name] > 1],
                [path for path, content in served.items() if content != self.contents.get(path)],
                self._retries(way),
                states[way],
            )
        return found

    def remove(self) -> None:
        """Remove the folder, and what the source serves."""
        shutil.rmtree(self.folder)
        for path in self.contents:
            del self.place.files[path]

    def _retries(self, way: str) -> int:
        found = self.place.airflow.api.task_instances(f"pan123_faults_{way}", self._run_ids[way])
        return sum(max(0, instance["try_number"] - 1) for instance in found)

    def _mapped(self) -> dict[str, str | None]:
        api, paths = self.place.airflow.api, self._paths("mapped")
        dag_id, run_id = "pan123_faults_mapped", self._run_ids["mapped"]
        xcoms = [api.xcom(dag_id, run_id, "migrate", map_index=index) for index in range(len(paths))]
        return {path: (found or {}).get("download_url") for path, found in zip(paths, xcoms, strict=True)}

    def _listed(self, way: str) -> dict[str, str | None]:
        """Return the new URLs in a results file."""
        results = self.folder / f"{way}.jsonl"
        records = read_results(f"file://{results}") if results.exists() else iter(())
        return {f"{self.name}/{Path(record.url).name}": record.new_url for record in records}

    def _shown(self) -> dict[str, str | None]:
        """Return the URLs that the pages show, if they are new."""
        found: dict[str, str | None] = {}
        for path in self._paths("pages"):
            url = self._page(path).read_text().partition("![](")[2].rpartition(")")[0]
            found[path] = None if url == self._url(path) else url
        return found


def _png(colour: bytes) -> bytes:
    file = BytesIO()
    Image.new("RGB", (8, 8), (colour[0], colour[1], colour[2])).save(file, "PNG")
    return file.getvalue()
