"""The example DAGs for single images run in a real Airflow, and each new URL serves the bytes of the old one."""

from __future__ import annotations

import requests

from dev.cluster import Cluster
from dev.example_run import ExampleRun
from tests.system.canaries import source_name

SUBMISSION_KEYS = {"taskID", "url", "file_name", "directory_id", "callback_id", "submitted_at"}
IMAGE_KEYS = {
    "taskID",
    "url",
    "fileID",
    "file_name",
    "directory_id",
    "download_url",
    "user_url",
    "etag",
    "size",
    "matched_by",
}


def test_one_image_arrives(example_one_image: ExampleRun, pictures: dict[str, bytes]) -> None:
    run, picture = example_one_image, pictures["sunrise.png"]
    assert run.wait() == "success", run.log("wait")

    submission, image = run.xcom("submit"), run.xcom("wait")
    assert set(submission) == SUBMISSION_KEYS
    assert set(image) == IMAGE_KEYS
    for task_id, values in {"submit": submission, "wait": image}.items():
        assert {key: run.xcom(task_id, key) for key in values} == values
    assert image["taskID"] == submission["taskID"]
    assert image["url"] == run.conf["url"]
    assert image["size"] == len(picture)
    assert requests.get(run.xcom("show"), timeout=10).content == picture


def test_one_missing_image_does_not_affect_the_others(
    example_many_images: ExampleRun, pictures: dict[str, bytes]
) -> None:
    run = example_many_images
    assert run.wait() == "failed"  # because one image did not arrive

    states = run.states()
    waits = [states.get(("migrate.wait", index)) for index in range(len(run.conf["urls"]))]
    assert waits == ["success", "success", "failed", "success", "success"], states
    assert states["collect", -1] == "success"
    new_urls = run.xcom("collect")
    assert set(new_urls) == {url for url in run.conf["urls"] if "/missing.png" not in url}
    for url, new_url in new_urls.items():
        assert requests.get(new_url, timeout=10).content == pictures[source_name(url)]


def test_the_daily_images_arrive_and_a_day_without_images_is_skipped(
    airflow: Cluster, example_daily: ExampleRun, pictures: dict[str, bytes]
) -> None:
    run = example_daily
    assert run.wait() == "success", run.states()
    for index, name in enumerate(("glacier.tif", "ember.jpeg")):
        image = run.xcom("migrate", map_index=index)
        assert set(image) == SUBMISSION_KEYS | IMAGE_KEYS
        assert image["file_name"] == f"{run.day}-{name}"
        assert requests.get(image["download_url"], timeout=10).content == pictures[name]

    airflow.api.set_variable("example_pan123_urls", [])
    assert run.start().wait() == "success"
    assert run.states()["migrate", -1] == "skipped"
