"""The largest image needs hardly any memory of the worker, all the way from its source to 123pan and back."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_123pan.sandbox import Sandbox
from airflow_provider_123pan.sync.results import read_results
from tests.integration.fetching.worker import MAX_GROWTH, Worker
from tests.integration.uploads.support import md5, picture
from tests.sources import Source, image, serve

LARGE = picture("blue", "JPEG").ljust(100 * 2**20, b"\0")

pytestmark = [
    pytest.mark.usefixtures("connect"),
    pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows the peak of one program"),
]


@pytest.fixture
def source() -> Iterator[Source]:
    with serve() as running:
        running.answers["/large.jpg"] = image(body=LARGE)
        yield running


@pytest.mark.parametrize("place", ["host", "folder"])
def test_an_image_of_100_mib_takes_less_than_64_mib(
    place: str, source: Source, sandbox: Sandbox, tmp_path: Path
) -> None:
    (tmp_path / "large.jpg").write_bytes(LARGE)
    results = str(tmp_path / "results.jsonl")
    worker = Worker(
        tmp_path / "memory",
        images=[f"{source.url}/large.jpg" if place == "host" else f"file://{tmp_path}/large.jpg"],
        directory="photos",
        results=results,
        fetch="worker",
        verify="content",
        private_hosts=["127.0.0.1"],
    )
    growth = worker.end().growth
    assert [(record.etag, record.size) for record in read_results(results)] == [(md5(LARGE), len(LARGE))]
    assert 0 < growth < MAX_GROWTH, f"{growth / 2**20:.1f} MiB"
