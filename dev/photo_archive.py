"""A real Airflow with runs of the DAG `photo_archive`, for the screenshots and the benchmark of the page."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from airflow_provider_123pan.sandbox import Sandbox
from dev import images
from dev.cluster import Cluster

DAG_ID = "photo_archive"


class PhotoArchive(NamedTuple):
    """An Airflow with the DAG.

    :ivar host: the base URL of the source images.
    :ivar pictures: the names of the images there.
    :ivar results: the folder of the results files, ``<run>-<album>.csv``.
    """

    airflow: Cluster
    host: str
    pictures: list[str]
    results: Path

    def start(self, run_id: str, albums: dict[str, list[str]]) -> None:
        """Start a run.

        :param albums: the source URLs of each album, by its name.
        """
        conf = {"albums": albums, "results": str(self.results)}
        self.airflow.api.trigger(DAG_ID, conf, run_id=run_id)

    def wait(self, run_id: str) -> None:
        """Wait for the end of a run."""
        self.airflow.api.wait_for_run(DAG_ID, run_id, timeout=600)


@contextmanager
def photo_archive() -> Iterator[PhotoArchive]:
    """Start Airflow, a sandbox that receives the images, and their host.

    At the source, some images are missing, and the host refuses others; the review rejects one.
    """
    pictures = images.pictures()
    with (
        tempfile.TemporaryDirectory(prefix="pan123-airflow-") as home,
        images.serve(pictures) as host,
        Sandbox(
            delay=(0.5, 2), fail="private", fail_reason="the source answered 403", review="canyon"
        ) as sandbox,
        Cluster(home=Path(home) / "airflow", dags=Path(__file__).parent / "dags") as airflow,
    ):
        airflow.connect(sandbox)
        airflow.wait_for_dag(DAG_ID)
        results = Path(home) / "results"
        results.mkdir()
        yield PhotoArchive(airflow, host, [*pictures], results)
