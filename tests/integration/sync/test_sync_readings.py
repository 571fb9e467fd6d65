"""What the documents leave open about the service: each reading of it ends a sync with the right images."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_123pan.sandbox import Sandbox
from airflow_provider_123pan.sync.results import read_results
from tests.support import addresses, counts, submitted, sync

pytestmark = pytest.mark.usefixtures("connect")
BOTH = pytest.mark.parametrize("deferrable", [False, True], ids=["worker", "triggerer"])

IMAGES = [{"url": url, "file_name": f"café {number}.jpeg"} for number, url in enumerate(addresses(6))]


@pytest.fixture(autouse=True)
def _window(set_timing: Callable[..., None]) -> None:
    set_timing(visible_within=2.0)


def urls(sandbox: Sandbox) -> dict[str, str]:
    """Return the URLs of all stored images, by their ids."""
    return {file["fileId"]: file["downloadURL"] for file in sandbox.state()["files"]}


def fetched(sandbox: Sandbox) -> dict[str, str]:
    """Return the ids of the stored images, by the source URLs that they were fetched from."""
    return {task["url"]: task["fileID"] for task in sandbox.state()["tasks"]}


@BOTH
@pytest.mark.parametrize(
    "reading",
    [
        pytest.param({"naming": "nfd"}, id="NFD"),
        pytest.param({"naming": "jpg"}, id="another extension"),
        pytest.param({"naming": "timestamped"}, id="timestamped"),
        pytest.param({"dates": "utc"}, id="UTC"),
        pytest.param({"dates": "unix"}, id="dates as numbers"),
        pytest.param({"dates": "empty"}, id="no dates"),
        pytest.param({"image_urls": "detail"}, id="no URLs in listings"),
        pytest.param({"visible_after": 1.0}, id="listed late"),
        pytest.param({"callback": "wrong-file"}, id="callbacks that lie"),
    ],
)
def test_a_first_sync(
    context: dict[str, Any], sandbox: Sandbox, tmp_path: Path, reading: dict[str, Any], deferrable: bool
) -> None:
    sandbox.configure(delay=0.2, **reading)
    results = str(tmp_path / "results.jsonl")
    assert counts(sync(context, images=IMAGES, results=results, deferrable=deferrable)) == (0, 6, 0)
    of, found = urls(sandbox), fetched(sandbox)
    for record in read_results(results):
        assert record.fileID == found[record.url]
        assert record.download_url == of[record.fileID]


@pytest.mark.parametrize(
    ("numbering", "dates"),
    [
        ("name(1)", "utc"),
        ("name (1)", "beijing"),
        ("name_1", "beijing"),
        ("name_1", "empty"),
        ("name-1", "beijing"),
    ],
)
def test_overwriting_never_takes_the_older_image(
    context: dict[str, Any], sandbox: Sandbox, tmp_path: Path, numbering: str, dates: str
) -> None:
    sandbox.configure(delay=0, clock_offset=-60, dates=dates)
    names = [f"café {number}.jpg" for number in range(3)]
    old = [{"url": url, "file_name": name} for url, name in zip(addresses(3, start=50), names, strict=True)]
    assert counts(sync(context, images=old)) == (0, 3, 0)
    sandbox.configure(clock_offset=0, numbering=numbering, visible_after=0.5)
    new = [{"url": url, "file_name": name} for url, name in zip(addresses(3), names, strict=True)]
    results = str(tmp_path / "results.jsonl")
    assert counts(sync(context, images=new, results=results, if_exists="overwrite")) == (0, 3, 0)
    found = fetched(sandbox)
    assert {record.url: record.fileID for record in read_results(results)} == {
        image["url"]: found[image["url"]] for image in new
    }


def test_images_that_are_there_have_urls_as_well(
    context: dict[str, Any], sandbox: Sandbox, tmp_path: Path
) -> None:
    sandbox.configure(delay=0)
    sync(context, images=IMAGES)
    sandbox.configure(image_urls="detail")
    results = str(tmp_path / "results.jsonl")
    assert counts(sync(context, images=IMAGES, results=results)) == (6, 0, 0)
    of = urls(sandbox)
    assert all(record.fileID and record.download_url == of[record.fileID] for record in read_results(results))


def test_an_image_without_any_url_has_failed(
    context: dict[str, Any], sandbox: Sandbox, tmp_path: Path, set_timing: Callable[..., None]
) -> None:
    set_timing(visible_within=1.0, unknown_recheck=0.5)
    sandbox.configure(delay=0, image_urls="nowhere")
    results = str(tmp_path / "results.jsonl")
    for _ in range(2):  # also when it is there already
        assert counts(sync(context, images=IMAGES, results=results, max_failures=6)) == (0, 0, 6)
        assert {record.reason for record in read_results(results)} == {
            "123pan stored it, but gives no URL for it"
        }
    assert set(submitted(sandbox).values()) == {1}


@pytest.mark.parametrize("fault", ["html", "empty", "no-code", "redirect", "verifying", "server-error"])
@pytest.mark.parametrize("path", ["process$", "list$", "detail$"])
def test_odd_answers_to_reads_change_nothing(
    context: dict[str, Any], sandbox: Sandbox, path: str, fault: str
) -> None:
    answer = {"path": path, "fault": fault, "times": 2}
    sandbox.configure(delay=1, image_urls="detail", answers=[answer])
    assert counts(sync(context, images=IMAGES)) == (0, 6, 0)
    assert set(submitted(sandbox).values()) == {1}


def test_a_creation_that_arrived_in_spite_of_its_answer_is_not_repeated(
    context: dict[str, Any], sandbox: Sandbox
) -> None:
    answer = {"path": "download$", "fault": "server-error", "action": "process-then-answer", "times": 2}
    sandbox.configure(delay=0.2, answers=[answer])
    assert counts(sync(context, images=IMAGES)) == (0, 6, 0)
    assert set(submitted(sandbox).values()) == {1}
