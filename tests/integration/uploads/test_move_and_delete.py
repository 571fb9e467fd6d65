"""Tasks that move and delete stored images."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_123pan.hooks.pan123 import Pan123Hook
from airflow_provider_123pan.operators.images import Pan123DeleteImagesOperator, Pan123MoveImagesOperator
from airflow_provider_123pan.sandbox import Sandbox
from airflow_provider_123pan.service.models import Image
from airflow_provider_123pan.sync.result_record import ResultRecord
from airflow_provider_123pan.sync.results import Results
from dev.waiting import wait_for
from tests.integration.uploads.support import picture
from tests.support import run

pytestmark = pytest.mark.usefixtures("connect")

DELETE, DETAIL = "/api/v1/oss/file/delete", "/api/v1/oss/file/detail"
COLOURS = ("red", "green", "blue")


def move(context: dict[str, Any], **arguments: Any) -> dict[str, Any]:
    result: dict[str, Any] = run(Pan123MoveImagesOperator(task_id="move", **arguments), context)
    return result


def delete(context: dict[str, Any], **arguments: Any) -> dict[str, Any]:
    result: dict[str, Any] = run(Pan123DeleteImagesOperator(task_id="delete", **arguments), context)
    return result


def requests_of(sandbox: Sandbox, path: str) -> int:
    count: int = sandbox.state()["counts"]["requests"].get(path, 0)
    return count


def names_in(directory_id: str) -> set[str]:
    return {image.file_name for image in Pan123Hook().list_images(directory_id)}


def stored(sandbox: Sandbox) -> set[str]:
    return {file["filename"] for file in sandbox.state()["files"]}


def write_results(path: Path, images: list[Image], **fields: Any) -> str:
    """Write the results of a sync."""
    record = ResultRecord("https://example.com/a.png", None, "migrated", *[None] * 7)
    Results(str(path), "owner").write(
        record._replace(fileID=image.fileID, file_name=image.file_name, **fields) for image in images
    )
    return str(path)


@pytest.fixture
def images(sandbox: Sandbox) -> list[Image]:
    """Images in the directory ``photos``, beside which there is another directory below it."""
    hook = Pan123Hook()
    directory = hook.make_directory("photos").directory_id
    hook.make_directory("below", directory)
    return [hook.upload_image(io.BytesIO(picture(colour)), f"{colour}.png", directory) for colour in COLOURS]


def test_images_are_moved_by_their_ids(context: dict[str, Any], images: list[Image]) -> None:
    result = move(context, file_ids=[images[0].fileID, images[1].fileID], to_directory="old/2026")
    assert names_in(result.pop("to_directory_id")) == {"red.png", "green.png"}
    assert result == {"selected": 2, "moved": 2, "missing": 0}
    assert Pan123Hook().get_image(images[0].fileID).download_url == images[0].download_url


def test_images_are_moved_by_their_names(context: dict[str, Any], images: list[Image]) -> None:
    target = Pan123Hook().make_directory("old").directory_id
    given: dict[str, Any] = {"file_names": ["red.png", "gone.png"], "directory": "photos"}
    for moved in (1, 0):  # the second time, as a retry does
        result = move(context, **given, to_directory_id=target)
        assert result == {"selected": 2, "moved": moved, "missing": 2 - moved, "to_directory_id": target}
        assert names_in(target) == {"red.png"}


def test_a_whole_directory_is_moved_without_those_below_it(
    context: dict[str, Any], sandbox: Sandbox, images: list[Image]
) -> None:
    result = move(context, directory="photos", to_directory="old")
    assert names_in(result["to_directory_id"]) == {f"{colour}.png" for colour in COLOURS}
    assert [found.name for found in Pan123Hook().list_directories(images[0].directory_id or "")] == ["below"]
    assert move(context, file_ids=[], to_directory="old")["selected"] == 0


def test_images_are_deleted_by_their_ids(
    context: dict[str, Any], sandbox: Sandbox, images: list[Image]
) -> None:
    ids = [images[0].fileID, images[1].fileID, images[0].fileID]
    assert delete(context, file_ids=ids) == {"selected": 2, "deleted": 2, "missing": 0}
    assert stored(sandbox) == {"blue.png"}


def test_a_retry_deletes_what_is_left(context: dict[str, Any], sandbox: Sandbox, images: list[Image]) -> None:
    Pan123Hook().delete_images([images[0].fileID])
    ids = [image.fileID for image in images]
    assert delete(context, file_ids=ids) == {"selected": 3, "deleted": 2, "missing": 1}
    assert delete(context, file_ids=ids) == {"selected": 3, "deleted": 0, "missing": 3}
    assert stored(sandbox) == set()


@pytest.mark.parametrize("name", ["results.jsonl", "results.csv"])
def test_the_images_of_a_results_file_are_deleted(
    context: dict[str, Any], sandbox: Sandbox, images: list[Image], tmp_path: Path, name: str
) -> None:
    results = write_results(tmp_path / name, images[:2])
    before = requests_of(sandbox, DETAIL)
    assert delete(context, results=results) == {"selected": 2, "deleted": 2, "missing": 0}
    assert requests_of(sandbox, DETAIL) == before
    assert stored(sandbox) == {"blue.png"}


def test_images_that_failed_in_the_sync_stay(
    context: dict[str, Any], sandbox: Sandbox, images: list[Image], tmp_path: Path
) -> None:
    results = write_results(tmp_path / "results.jsonl", images, status="failed")
    with pytest.raises(AirflowFailException, match="^results: no image is selected; pass confirm=True"):
        delete(context, results=results)
    assert delete(context, results=results, confirm=True)["deleted"] == 0
    assert len(stored(sandbox)) == 3


def test_names_are_those_of_one_directory(
    context: dict[str, Any], sandbox: Sandbox, images: list[Image]
) -> None:
    Pan123Hook().upload_image(io.BytesIO(picture("yellow")), "red.png")
    result = delete(context, file_names=["red.png", "RED.png"], directory_id=images[0].directory_id)
    assert result == {"selected": 2, "deleted": 1, "missing": 1}
    assert names_in("") == {"red.png"}
    assert names_in(images[0].directory_id or "") == {"green.png", "blue.png"}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"file_ids": []}, "^file_ids: no image is selected"),
        ({"file_names": [], "directory": "photos"}, "^file_names: no image is selected"),
        ({"directory": "photos"}, "^directory: this would delete all images in it"),
        ({"directory": "photos", "confirm": "false"}, "^directory: this would delete all images in it"),
    ],
)
def test_an_empty_selection_or_a_whole_directory_wants_a_confirmation(
    context: dict[str, Any], sandbox: Sandbox, images: list[Image], given: dict[str, Any], message: str
) -> None:
    with pytest.raises(AirflowFailException, match=message):
        delete(context, **given)
    assert requests_of(sandbox, DELETE) == 0
    count = 3 if given.get("directory") and "file_names" not in given else 0
    assert delete(context, **given | {"confirm": True})["deleted"] == count
    assert len(stored(sandbox)) == 3 - count


def test_the_id_of_a_directory_wants_a_confirmation(
    context: dict[str, Any], sandbox: Sandbox, images: list[Image]
) -> None:
    """With a directory, the service deletes all that it contains."""
    ids = [images[0].directory_id]
    with pytest.raises(AirflowFailException, match="^file_ids: '.*' is the directory 'photos'; remove it"):
        delete(context, file_ids=ids)
    assert len(stored(sandbox)) == 3
    delete(context, file_ids=ids, confirm=True)
    assert stored(sandbox) == set()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "^directory: give directory or directory_id"),
        ({"file_names": ["a.png"]}, "^directory: give directory or directory_id"),
        ({"file_ids": ["a"], "directory": "photos"}, "^directory: file_ids needs none"),
        ({"file_ids": ["a"], "results": "a.csv"}, "^results: give only one of"),
        ({"file_ids": "a"}, "^file_ids: got a str; give a list"),
        ({"file_ids": ["a", ""]}, "^file_ids: an entry is empty"),
        ({"file_names": [7], "directory": "photos"}, "^file_names: an entry is empty"),
        ({"directory": "photos", "directory_id": "1"}, "^directory: give either"),
        ({"directory": "nowhere"}, "^directory: there is no directory 'nowhere'"),
        ({"file_ids": ["a"], "to_directory": None}, "^to_directory: give to_directory or"),
        ({"file_ids": ["a"], "to_directory_id": "1"}, "^to_directory: give either to_directory or to_"),
        ({"file_ids": ["a"], "to_directory": "a//b"}, "^to_directory: 'a//b' is not a path"),
    ],
)
def test_arguments_are_checked_together(context: dict[str, Any], given: dict[str, Any], message: str) -> None:
    with pytest.raises(AirflowFailException, match=message):
        move(context, **{"to_directory": "old"} | given)


def test_many_images_go_in_calls_of_100(context: dict[str, Any], sandbox: Sandbox) -> None:
    """Only the call with an image that is gone is repeated, without it."""
    hook = Pan123Hook()
    sandbox.configure(drive_files=[{"file_id": str(n), "filename": f"{n}.png"} for n in range(1000, 1205)])
    directory = hook.make_directory("photos").directory_id
    hook.copy_from_drive(map(str, range(1000, 1205)), directory)
    images = wait_for(
        lambda: found if len(found := [*hook.list_images(directory)]) == 205 else None,
        what="the copies",
        timeout=20,
    )
    hook.delete_images([images[150].fileID])
    before = requests_of(sandbox, DELETE)
    result = delete(context, file_ids=[image.fileID for image in images], confirm=True)
    assert result == {"selected": 205, "deleted": 204, "missing": 1}
    assert requests_of(sandbox, DELETE) - before == 4
    assert requests_of(sandbox, DETAIL) == 100
