"""A worker that is killed while it uploads: the next one continues, and sends at most one image again."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import requests

from airflow_provider_123pan.sandbox import Sandbox
from airflow_provider_123pan.sandbox.backend import Backend
from airflow_provider_123pan.sandbox.upload_calls import STORAGE
from airflow_provider_123pan.sync.results import read_results
from tests.integration.fetching.worker import Worker
from tests.integration.uploads.support import md5, picture
from tests.sources import Source, image, serve

HOLD_SECONDS = 600.0
BODIES = [*map(picture, ("red", "green", "blue"))]

pytestmark = pytest.mark.usefixtures("connect")


class Step(NamedTuple):
    """A step of an upload.

    :ivar sent_again: how many images are sent again if it was not processed, and if it was.
    :ivar upload_end: the sandbox's option.
    """

    path: str
    sent_again: tuple[int, int]
    upload_end: str = "at-once"


STEPS = {
    "create": Step("/file/create", (0, 0)),
    "get_upload_url": Step("/file/get_upload_url", (0, 0)),
    "PUT": Step(STORAGE, (1, 1)),
    "upload_complete": Step("/file/upload_complete", (1, 0)),
    # The sandbox stores an image when it is asked about it.
    "upload_async_result": Step("/file/upload_async_result", (1, 0), "async"),
    "detail": Step("/file/detail", (0, 0)),
}


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Return what is set when the sandbox holds a request."""
    reached = threading.Event()
    pause = Backend.pause

    async def noticed(backend: Backend, seconds: float) -> None:
        if seconds == HOLD_SECONDS:
            reached.set()
        await pause(backend, seconds)

    monkeypatch.setattr(Backend, "pause", noticed)
    return reached


@pytest.fixture
def source() -> Iterator[Source]:
    with serve() as running:
        running.answers |= {f"/{number}.png": image("image/png", body) for number, body in enumerate(BODIES)}
        yield running


@pytest.mark.parametrize("processed", [False, True], ids=["arrived", "processed"])
@pytest.mark.parametrize("step", STEPS)
def test_the_next_try_sends_one_image_again(
    step: str, processed: bool, sandbox: Sandbox, source: Source, held: threading.Event, tmp_path: Path
) -> None:
    path, sent_again, upload_end = STEPS[step]
    hold = {
        "path": f"{path}$",
        "action": "process-then-answer" if processed else "pass",
        "delay": HOLD_SECONDS,
    }
    first = {"path": f"{path}$", "action": "pass"}  # of the first image
    sandbox.configure(upload_end=upload_end, answers=[first, hold])
    results = tmp_path / "results.jsonl"
    given: dict[str, Any] = {
        "images": [f"{source.url}/{number}.png" for number in range(len(BODIES))],
        "directory": "photos",
        "results": str(results),
        "fetch": "worker",
        "max_uploads": 1,
        "private_hosts": ["127.0.0.1"],
    }
    worker = Worker(tmp_path / "memory", **given)
    assert held.wait(60)
    worker.kill()
    assert not results.exists()
    stored = Counter(file["etag"] for file in sandbox.state()["files"])
    assert stored <= Counter(map(md5, BODIES))

    result = Worker(tmp_path / "memory", **given).end().result
    assert (result["present"], result["migrated"], result["failed"]) == (
        stored.total(),
        len(BODIES) - stored.total(),
        0,
    )
    records = [*read_results(str(results))]
    assert [record.url for record in records] == given["images"]
    assert [md5(requests.get(str(record.download_url), timeout=30).content) for record in records] == [
        *map(md5, BODIES)
    ]
    state = sandbox.state()
    assert Counter(file["etag"] for file in state["files"]) == Counter(map(md5, BODIES))
    assert state["counts"]["requests"][STORAGE] == len(BODIES) + sent_again[processed]
