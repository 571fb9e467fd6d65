"""The example DAGs that upload, move, delete and copy images run in a real Airflow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import requests

from airflow_provider_123pan.sandbox import Sandbox
from airflow_provider_123pan.sync.results import read_results
from dev.cluster import Cluster
from dev.example_run import ExampleRun


def directories(sandbox: Sandbox, *file_ids: str | None) -> list[str]:
    """Return the name of the directory of each image that is stored, in the order of the ids."""
    stored = {file["fileId"]: file["parentFilename"] for file in sandbox.state()["files"]}
    return [stored[file_id] for file_id in file_ids if file_id in stored]


def test_what_leaves_the_folder_is_archived_and_a_person_approves_what_is_deleted(
    airflow: Cluster, sandbox: Sandbox, example_upload: ExampleRun, pictures: dict[str, bytes]
) -> None:
    run, source = example_upload, example_upload.folder / "photos"
    assert run.wait() == "success", run.failures()
    assert counts(run.xcom("upload")) == {"total": 2, "present": 0, "migrated": 2, "suspect": 0, "failed": 0}
    assert counts(run.xcom("archive")) == {"selected": 0, "moved": 0, "missing": 0}
    first = results(run)
    assert [record.fetched_by for record in first.values()] == ["worker"] * 2
    for name, record in first.items():
        assert download(record.download_url) == pictures[name]
    earlier = run.folder / "earlier.jsonl"
    earlier.write_bytes(results_path(run).read_bytes())

    (source / "canyon.jpg").unlink()
    (source / "aurora.png").write_bytes(pictures["aurora.png"])
    assert run.start().wait() == "success", run.failures()
    assert counts(run.xcom("upload")) == {"total": 2, "present": 1, "migrated": 1, "suspect": 0, "failed": 0}
    assert counts(run.xcom("archive")) == {"selected": 1, "moved": 1, "missing": 0}
    old, kept, new = first["canyon.jpg"], first["sunset.gif"], results(run)["aurora.png"]
    file_ids = [record.fileID for record in (old, kept, new)]
    assert directories(sandbox, *file_ids) == ["photos-archive", "photos", "photos"]
    assert download(old.download_url) == pictures["canyon.jpg"]

    conf = {"results": f"file://{earlier}"}
    delete = ExampleRun(airflow, sandbox, "example_pan123_delete", conf, answer="Approve")
    assert delete.start().wait() == "success", delete.failures()
    asked = delete.approval()
    assert asked is not None
    assert asked["subject"] == "Delete 2 images from 123pan?"
    assert counts(delete.xcom("delete")) == {"selected": 2, "deleted": 2, "missing": 0}
    assert directories(sandbox, *file_ids) == ["photos"]
    assert requests.get(str(old.download_url), timeout=10).status_code == 404


def test_files_that_were_not_copied_are_tried_once_more(
    sandbox: Sandbox, example_copy_from_drive: ExampleRun
) -> None:
    run = example_copy_from_drive
    assert run.wait() == "failed"  # because one of the files cannot be copied
    states = run.states()
    assert [states[task, -1] for task in ("copy", "failed_ids", "again")] == ["success", "success", "failed"]
    copied = run.xcom("copy")
    assert (copied["files"], copied["failed"]) == (3, 1)
    assert copied["failures"][0]["file_name"] == "cellar.jpg"
    assert run.xcom("failed_ids") == ["72"]
    assert "1 files were not copied, max_failures is 0: cellar.jpg: " in run.log("again")
    assert copies(sandbox, copied["directory_id"]) == ["attic.png", "roof.webp"]

    run.conf = {"file_ids": ["71"]}
    assert run.start().wait() == "success", run.failures()
    assert run.states()["again", -1] == "skipped"
    assert (run.xcom("copy")["files"], run.xcom("copy")["failed"]) == (1, 0)


def counts(found: dict[str, Any]) -> dict[str, int]:
    """Return the counts of an operator's XCom."""
    return {
        key: value for key, value in found.items() if isinstance(value, int) and not isinstance(value, bool)
    }


def results_path(run: ExampleRun) -> Path:
    """Return the results file of the latest run, which is named after its day."""
    return run.folder / "results" / f"{run.day}.jsonl"


def results(run: ExampleRun) -> dict[str, Any]:
    """Return the records of the latest run by the names of the files in the folder."""
    records = read_results(f"file://{results_path(run)}")
    return {Path(record.url).name: record for record in records}


def download(url: str | None) -> bytes:
    """Return the bytes that an image's URL serves."""
    return requests.get(str(url), timeout=10).content


def copies(sandbox: Sandbox, directory_id: str) -> list[str]:
    """Return the names of the images in a directory in alphabetical order."""
    files = sandbox.state()["files"]
    return sorted(file["filename"] for file in files if file["parentFileId"] == directory_id)
