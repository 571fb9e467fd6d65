"""A sync that keeps the directories of source paths: each image in its own, also where names are the same."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred

from airflow_provider_123pan.hooks.pan123 import Pan123Hook
from airflow_provider_123pan.operators.sync_images import Pan123SyncImagesOperator
from airflow_provider_123pan.sandbox import Sandbox
from airflow_provider_123pan.sync.entries import image_key
from airflow_provider_123pan.sync.results import read_results
from airflow_provider_123pan.triggers.sync_images import Pan123SyncImagesTrigger
from tests.support import counts, resume, submitted, sync

pytestmark = pytest.mark.usefixtures("connect")

PATHS = ("1.png", "2026/1.png", "2026/11/1.png", "2025/11/1.png", "2025/11/2.png")
URLS = [f"https://example.com/{path}" for path in PATHS]
TREE: dict[str, Any] = {"keep_tree": True, "name": "{stem}.{ext}"}


def paths(directory_id: str = "", path: str = "") -> dict[str, str]:
    """Return the fileID of each image below a directory by its path; ``photos/2026/`` is left out."""
    hook = Pan123Hook()
    found = {
        f"{path}{image.file_name}".removeprefix("photos/2026/"): image.fileID
        for image in hook.list_images(directory_id)
    }
    for directory in hook.list_directories(directory_id):
        found |= paths(directory.directory_id, f"{path}{directory.name}/")
    return found


async def test_a_trigger_sees_the_images_of_a_folder(context: dict[str, Any], sandbox: Sandbox) -> None:
    sandbox.configure(delay=0)
    images = [f"https://example.com/{path}" for path in ("1.png", "2026/1.png", "2026/2.png")]
    await asyncio.to_thread(sync, context, images=images, **TREE)
    (directory_id,) = (
        file["parentFileId"] for file in sandbox.state()["files"] if file["filename"] == "2.png"
    )
    keys = [image_key("1"), image_key("1", "2025"), image_key("1", "2026")]
    trigger = Pan123SyncImagesTrigger(
        pan123_conn_id="pan123_default",
        directory_id=None,
        active={key: [None, 0, False] for key in keys},
        seed=None,
        since="2026-01-01T00:00:00+00:00",
        want=1,
        until=time.time() + 60,
        folders={directory_id: "2026"},
    )
    (event,) = [event async for event in trigger.run()]
    assert event.payload == {"status": "woken", "ended": keys[2:]}


@pytest.mark.parametrize("deferrable", [False, True], ids=["worker", "triggerer"])
@pytest.mark.parametrize("if_exists", ["skip", "overwrite"])
def test_images_keep_their_directories(
    context: dict[str, Any],
    sandbox: Sandbox,
    tmp_path: Path,
    set_timing: Callable[..., None],
    deferrable: bool,
    if_exists: str,
) -> None:
    set_timing(visible_within=2.0)  # an image that is overwritten within a second keeps its date
    sandbox.configure(delay=1 if deferrable else 0)
    results = str(tmp_path / "results.jsonl")
    arguments: dict[str, Any] = TREE | {
        "images": URLS,
        "results": results,
        "deferrable": deferrable,
        "if_exists": if_exists,
    }
    assert counts(sync(context, **arguments)) == (0, 5, 0)
    assert paths().keys() == {*PATHS}
    records = [*read_results(results)]
    assert {record.url: record.fileID for record in records} == {
        url: paths()[path] for url, path in zip(URLS, PATHS, strict=True)
    }
    again = counts(sync(context, **arguments))
    assert again == ((5, 0, 0) if if_exists == "skip" else (0, 5, 0))
    assert submitted(sandbox) == Counter(dict.fromkeys(URLS, 1 if if_exists == "skip" else 2))
    assert {record.url: record.fileID for record in read_results(results)}.keys() == {*URLS}


def test_a_new_image_in_an_old_directory(context: dict[str, Any], sandbox: Sandbox) -> None:
    sandbox.configure(delay=0)
    sync(context, images=URLS[:3], **TREE)
    before = sandbox.state()["counts"]["requests"]
    assert counts(sync(context, images=URLS, **TREE)) == (3, 2, 0)
    assert paths().keys() == {*PATHS}
    made = "/upload/v1/oss/file/mkdir"
    assert sandbox.state()["counts"]["requests"][made] - before[made] == 2


def test_the_directories_of_a_list_that_names_images(
    context: dict[str, Any], sandbox: Sandbox, tmp_path: Path
) -> None:
    sandbox.configure(delay=0)
    path = tmp_path / "list.txt"
    names = ("x/y/a.png", "/z/a.png", "b.png", "x/../ .png/c.png")
    path.write_text("".join(f"{url}\t{name}\n" for url, name in zip(URLS, names, strict=False)))
    with pytest.raises(
        AirflowFailException, match="line 1: file_name: 'x/y/a.png' has directories; pass keep_tree"
    ):
        sync(context, manifest=str(path), on_invalid="fail")
    assert counts(sync(context, manifest=str(path), keep_tree=True)) == (0, 4, 0)
    assert paths().keys() == {"x/y/a.png", "z/a.png", "2026/11/b.png", "x/png/c.png"}


def test_directories_whose_names_the_service_takes_for_the_same(
    context: dict[str, Any], sandbox: Sandbox
) -> None:
    sandbox.configure(delay=0)
    urls = ["https://example.com/a%20b/1.png", "https://example.com/ab/2.png"]
    assert counts(sync(context, images=urls, **TREE)) == (0, 2, 0)
    assert paths().keys() == {"a b/1.png", "a b/2.png"}
    assert counts(sync(context, images=urls, **TREE)) == (2, 0, 0)


def test_a_tree_needs_a_directory(context: dict[str, Any], sandbox: Sandbox) -> None:
    with pytest.raises(AirflowFailException, match="^keep_tree: give directory or directory_id"):
        sync(context, images=URLS, directory=None, keep_tree=True)
    assert sandbox.state()["counts"]["requests"] == {}


def test_what_is_in_flight_in_a_directory_is_found_by_the_next_try(
    context: dict[str, Any], sandbox: Sandbox, set_timing: Callable[..., None]
) -> None:
    sandbox.configure(delay=2)
    task = Pan123SyncImagesOperator(
        task_id="sync", images=URLS, directory="photos/2026", deferrable=True, **TREE
    )
    with pytest.raises(TaskDeferred):
        task.execute(context)  # type: ignore[arg-type]
    assert counts(sync(context, images=URLS, **TREE)) in {(number, 5 - number, 0) for number in range(6)}
    assert set(submitted(sandbox).values()) == {1}


def test_a_deferral_watches_only_directories_with_images_in_flight(
    context: dict[str, Any], sandbox: Sandbox
) -> None:
    sandbox.configure(hold="2025/11")
    task = Pan123SyncImagesOperator(
        task_id="sync", images=URLS, directory="photos/2026", deferrable=True, timeout=60, **TREE
    )
    with pytest.raises(TaskDeferred) as deferred:
        task.execute(context)  # type: ignore[arg-type]
    _, arguments = deferred.value.trigger.serialize()
    assert [*arguments["folders"].values()] == ["2025/11"]
    assert arguments["directory_id"] is None
    assert deferred.value.kwargs
    assert deferred.value.kwargs["state"]["folders"].keys() == {"2026", "2026/11", "2025", "2025/11"}
    sandbox.configure(hold="")
    assert counts(resume(task, deferred.value, context)) == (0, 5, 0)
