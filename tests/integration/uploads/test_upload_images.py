"""A task that uploads a folder, a pattern or a list of paths."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_123pan.operators.images import Pan123UploadImagesOperator
from airflow_provider_123pan.sandbox import Sandbox
from airflow_provider_123pan.sync.results import read_results
from tests.integration.uploads.support import md5, picture
from tests.support import counts, run, submitted

pytestmark = pytest.mark.usefixtures("connect")


def upload(context: dict[str, Any], source: Any, **arguments: Any) -> dict[str, Any]:
    given: dict[str, Any] = {"directory": "photos", "timeout": 60} | arguments
    result: dict[str, Any] = run(
        Pan123UploadImagesOperator(task_id="upload", source=source, **given), context
    )
    return result


def etags(sandbox: Sandbox) -> set[str]:
    return {file["etag"] for file in sandbox.state()["files"]}


@pytest.fixture
def folder(sandbox: Sandbox, tmp_path: Path) -> Path:
    sandbox.configure(upload_end="at-once")
    folder = tmp_path / "images"
    (folder / "2026").mkdir(parents=True)
    for name in ("red", "2026/blue", "2026/green"):
        (folder / f"{name}.png").write_bytes(picture(Path(name).name))
    (folder / "notes.txt").write_text("no image")
    return folder


@pytest.mark.parametrize("deferrable", [False, True], ids=["worker", "triggerer"])
def test_a_folder_is_uploaded_once(
    context: dict[str, Any], sandbox: Sandbox, folder: Path, tmp_path: Path, deferrable: bool
) -> None:
    results = str(tmp_path / "results.jsonl")
    given: dict[str, Any] = {"results": results, "verify": "content", "deferrable": deferrable}
    assert counts(upload(context, str(folder), **given)) == (0, 3, 0)
    assert {record.url: record.etag for record in read_results(results)} == {
        f"file://{folder}/{name}.png": md5(picture(Path(name).name))
        for name in ("red", "2026/blue", "2026/green")
    }
    assert {record.fetched_by for record in read_results(results)} == {"worker"}
    assert not submitted(sandbox)
    assert counts(upload(context, f"file://{folder}/", **given)) == (3, 0, 0)


def test_the_images_of_a_pattern_are_uploaded(
    context: dict[str, Any], sandbox: Sandbox, folder: Path
) -> None:
    assert counts(upload(context, f"{folder}/2026/*.png", name="{stem}.{ext}")) == (0, 2, 0)
    assert {file["filename"] for file in sandbox.state()["files"]} == {"blue.png", "green.png"}


def test_a_list_of_paths_is_uploaded(context: dict[str, Any], sandbox: Sandbox, folder: Path) -> None:
    paths = [folder / "red.png", f"{folder}/2026/blue.png", f"file://{folder}/gone.png", 7]
    result = upload(context, paths, max_failures=2)
    assert counts(result) == (0, 2, 2)
    assert etags(sandbox) == {md5(picture("red")), md5(picture("blue"))}
    assert "source[3]: got a int, not a path" in str(result["failures"])


@pytest.mark.parametrize(
    ("source", "given", "message"),
    [
        ("nothing", {}, "^source: there is no bucket or folder '.*nothing'"),
        ("*.gif", {}, r"^source: '.*\*.gif' is empty; pass allow_empty=True"),
        (b"red.png", {}, "^source: got a bytes; give a folder, a pattern, or a list"),
        ("", {"directory": None}, "^directory: the worker uploads images, which needs a directory"),
    ],
)
def test_what_cannot_be_uploaded_fails_at_once(
    context: dict[str, Any], folder: Path, source: Any, given: dict[str, Any], message: str
) -> None:
    place = f"{folder}/{source}" if isinstance(source, str) else source
    with pytest.raises(AirflowFailException, match=message):
        upload(context, place, **given)


@pytest.mark.parametrize("name", ["images", "manifest", "fetch", "probe", "encoding"])
def test_the_images_come_from_the_source_alone(name: str) -> None:
    with pytest.raises(TypeError, match=f"^{name}: the worker uploads the images of source"):
        Pan123UploadImagesOperator(task_id="upload", source="images", **{name: None})
