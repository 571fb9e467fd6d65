"""Images that are on their way in each of the four ways, and what became of them."""

from __future__ import annotations

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
from dev.airflow_api import FINISHED
from dev.distributed import DistributedCluster

WAYS = ("mapped", "sync", "pages", "uploads")
MAX_LISTED = 100_000


class Outcome(NamedTuple):
    """What became of the images of one round, or of all.

    :ivar images: how many there were.
    :ivar lost: those without a new URL.
    :ivar doubled: those that were submitted, or stored, more than once.
    :ivar wrong: those whose new URL serves other bytes.
    :ivar failed: the runs that did not succeed.
    """

    images: int
    lost: list[str]
    doubled: list[str]
    wrong: list[str]
    failed: list[str]

    @property
    def is_good(self) -> bool:
        """Whether each image arrived once."""
        return not (self.lost or self.doubled or self.wrong or self.failed)


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
        :param size: images in each way.
        """
        self.place, self.name = place, f"round-{number}"
        self.folder = place.folder / self.name
        self.contents: dict[str, bytes] = {}  # by path below the source
        for index, way in enumerate(WAYS):
            for image in range(size):
                colour = ((number * len(WAYS) + index) * size + image).to_bytes(3, "big")
                self.contents[f"{self.name}/{way}-{image}.png"] = _png(colour)
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

    def states(self) -> dict[str, str]:
        """Return the state of each run; a run is "unknown" while Airflow does not answer."""
        found = {}
        for way, run_id in self._run_ids.items():
            try:
                found[way] = self.place.airflow.api.run_state(f"pan123_faults_{way}", run_id)
            except requests.RequestException:
                found[way] = "unknown"
        return found

    def has_ended(self) -> bool:
        """Return whether all runs have ended."""
        return set(self.states().values()) <= FINISHED

    def outcome(self) -> Outcome:
        """Return what became of the images of the runs, which have ended."""
        find: dict[str, Callable[[], dict[str, str | None]]] = {
            "mapped": self._mapped,
            "sync": lambda: self._listed("sync"),
            "pages": self._shown,
            "uploads": lambda: self._listed("uploads"),
        }
        new: dict[str, str | None] = {}
        for way in WAYS:
            new |= dict.fromkeys(self._paths(way)) | find[way]()
        served = {path: requests.get(url, timeout=30).content for path, url in new.items() if url}
        submitted = self.submissions()
        files = self.place.sandbox.state(MAX_LISTED)["files"]
        directory = f"{self.name}-uploads"
        stored = Counter(file["filename"] for file in files if file["parentFilename"] == directory)
        return Outcome(
            len(self.contents),
            [path for path, url in new.items() if not url],
            [path for path in self.contents if submitted[path] > 1 or stored[Path(path).name] > 1],
            [path for path, content in served.items() if content != self.contents[path]],
            [f"{way}: {state}" for way, state in self.states().items() if state != "success"],
        )

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
