"""The example DAG that a watch starts runs in a real Airflow, for images that no DAG submitted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from airflow_provider_123pan.sandbox import Sandbox
from dev.airflow_api import FINISHED
from dev.cluster import Cluster
from dev.example_run import ExampleRun
from dev.waiting import wait_for
from tests.system.arrivals import cursors, submit
from tests.system.canaries import CLIENT_SECRET, log_in, make_directory

DAG_ID = "example_pan123_arrivals"


@pytest.fixture
def watching(airflow: Cluster, sandbox: Sandbox, example_one_image: ExampleRun) -> Iterator[str]:
    """Unpause the DAG, wait until the triggerer watches, and yield the id of the directory.

    Another run goes first: the first task of an Airflow that has just started may fail on a busy machine (observed).
    """
    example_one_image.wait()
    directory_id = make_directory(sandbox, "arrivals")
    airflow.api.call("PATCH", f"/dags/{DAG_ID}", json={"is_paused": False})
    wait_for(lambda: cursors(airflow), what="the cursor of the watch", timeout=300)
    yield directory_id
    airflow.api.call("PATCH", f"/dags/{DAG_ID}", json={"is_paused": True})


def shown(airflow: Cluster) -> dict[str, str]:
    """Return the new URLs by name that all runs of the DAG have shown."""
    runs = airflow.api.call("GET", f"/dags/{DAG_ID}/dagRuns")["dag_runs"]
    urls: dict[str, str] = {}
    for run in runs:
        assert run["run_type"] == "asset_triggered"
        if run["state"] in FINISHED:
            assert run["state"] == "success"
            urls |= airflow.api.xcom(DAG_ID, run["dag_run_id"], "show", "return_value")
    return urls


def test_each_image_that_arrives_is_shown(
    airflow: Cluster, sandbox: Sandbox, watching: str, source: str, pictures: dict[str, bytes]
) -> None:
    token = log_in(sandbox, sandbox.client_id, CLIENT_SECRET)
    expected = {"meadow.jpg", "sunset.gif"}
    submit(sandbox, token, watching, [f"{source}/{name}" for name in sorted(expected)])
    wait_for(lambda: shown(airflow).keys() >= expected, what="the runs for both images", timeout=300)
    urls = shown(airflow)
    assert urls.keys() == expected
    for name, url in urls.items():
        assert requests.get(url, timeout=10).content == pictures[name]


def test_a_wait_links_its_image(airflow: Cluster, example_one_image: ExampleRun) -> None:
    run = example_one_image
    assert run.wait() == "success", run.log("wait")
    path = f"/dags/{run.dag_id}/dagRuns/{run.run_id}/taskInstances/wait/links"
    found: dict[str, Any] = airflow.api.call("GET", path)["extra_links"]
    image = run.xcom("wait")
    assert found == {"Image": image["user_url"] or image["download_url"]}
