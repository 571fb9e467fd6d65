"""Each example DAG runs in a real Airflow, and the image at its new address is the one that was at the old."""

from __future__ import annotations

from typing import Any

import requests

from dev.cluster import Cluster

SUBMITTED = {"taskID", "url", "file_name", "directory_id", "callback_id", "submitted_at"}
ARRIVED = {
    "taskID",
    "url",
    "fileID",
    "file_name",
    "directory_id",
    "download_url",
    "user_url",
    "etag",
    "size",
}


def finished(airflow: Cluster, dag_id: str, conf: dict[str, Any] | None = None) -> tuple[str, str]:
    """The id of a new run, and how it ended."""
    run_id = airflow.api.trigger(dag_id, conf)
    return run_id, airflow.api.wait_for_run(dag_id, run_id)


def test_one_image(airflow: Cluster, source: str, pictures: dict[str, bytes]) -> None:
    dag_id = "example_pan123_offline_download"
    run_id, state = finished(airflow, dag_id, {"url": f"{source}/sunrise.png"})
    assert state == "success", airflow.api.log(dag_id, run_id, "wait")

    submitted = airflow.api.xcom(dag_id, run_id, "submit")
    arrived = airflow.api.xcom(dag_id, run_id, "wait")
    assert set(submitted) == SUBMITTED
    assert set(arrived) == ARRIVED
    for task_id, values in {"submit": submitted, "wait": arrived}.items():
        each_alone = {key: airflow.api.xcom(dag_id, run_id, task_id, key) for key in values}
        assert each_alone == values
    assert arrived["taskID"] == submitted["taskID"]
    assert arrived["url"] == f"{source}/sunrise.png"
    assert arrived["size"] == len(pictures["sunrise.png"])
    address = airflow.api.xcom(dag_id, run_id, "show")
    assert requests.get(address, timeout=10).content == pictures["sunrise.png"]


def test_many_images_and_one_that_does_not_exist(
    airflow: Cluster, source: str, pictures: dict[str, bytes]
) -> None:
    dag_id = "example_pan123_many_images"
    good = ["meadow.jpg", "lagoon.webp", "hills.svg", "sunset.gif"]
    urls = [f"{source}/{name}" for name in [*good[:2], "missing.png", *good[2:]]]
    run_id, state = finished(airflow, dag_id, {"urls": urls})

    states = airflow.api.states(dag_id, run_id)
    waits = [states["migrate.wait", index] for index in range(len(urls))]
    assert waits == ["success", "success", "failed", "success", "success"]
    assert states["collect", -1] == "success"
    assert state == "failed"  # because not all arrived
    addresses = airflow.api.xcom(dag_id, run_id, "collect")
    assert set(addresses) == {f"{source}/{name}" for name in good}
    for name in good:
        assert requests.get(addresses[f"{source}/{name}"], timeout=10).content == pictures[name]


def test_daily(airflow: Cluster, source: str, pictures: dict[str, bytes]) -> None:
    dag_id = "example_pan123_daily"
    names = ["glacier.tif", "ember.jpeg"]
    airflow.api.set_variable("example_pan123_urls", [f"{source}/{name}" for name in names])
    run_id, state = finished(airflow, dag_id)
    assert state == "success", airflow.api.states(dag_id, run_id)

    for index, name in enumerate(names):
        outcome = airflow.api.xcom(dag_id, run_id, "migrate", map_index=index)
        assert set(outcome) == SUBMITTED | ARRIVED
        day = airflow.api.run(dag_id, run_id)["run_after"][:10]
        assert outcome["file_name"] == f"{day}-{name}"
        assert requests.get(outcome["download_url"], timeout=10).content == pictures[name]


def test_daily_without_an_image(airflow: Cluster) -> None:
    airflow.api.set_variable("example_pan123_urls", [])
    run_id, state = finished(airflow, "example_pan123_daily")
    assert state == "success"
    assert airflow.api.states("example_pan123_daily", run_id)["migrate", -1] == "skipped"
