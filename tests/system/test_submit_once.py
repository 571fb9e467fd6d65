"""A worker is killed at each step of a real task, and the retry continues with the submission that was made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_123pan.sandbox import Sandbox
from dev.cluster import EXAMPLE_DAGS, Cluster

ROOT = Path(__file__).parents[2]
DAG_ID = "pan123_killed_worker"
EXAMPLE = "example_pan123_offline_download"
MODES = ("submit", "wait", "defer")
LAST_STEP = 14  # the last step of "submit"; every later one belongs to the wait
STEPS = [*range(LAST_STEP + 10), -1]  # -1: when the task is resumed

pytestmark = [
    pytest.mark.faults,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(
        version("apache-airflow").startswith("3.2."), reason="Airflow 3.2 has no task_state_store"
    ),
]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """Run the sandbox for this module."""
    with Sandbox(delay=1, fetch=False) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def killing_airflow(tmp_path_factory: pytest.TempPathFactory, sandbox: Sandbox) -> Iterator[Cluster]:
    """Run an Airflow that has a stored token."""
    dags = tmp_path_factory.mktemp("dags")
    for path in (ROOT / "tests/system/dags" / f"{DAG_ID}.py", EXAMPLE_DAGS / f"{EXAMPLE}.py"):
        (dags / path.name).symlink_to(path)
    with Cluster(home=tmp_path_factory.mktemp("killing"), dags=dags) as airflow:
        airflow.connect(sandbox, callbacks=False)
        airflow.wait_for_dag(DAG_ID, EXAMPLE)
        # The token is stored before a worker is killed: other tests cover the steps of a login.
        assert airflow.api.wait_for_run(EXAMPLE, airflow.api.trigger(EXAMPLE, conf("first"))) == "success"
        yield airflow


def conf(name: str) -> dict[str, Any]:
    """Return the parameters of the example DAG for an image."""
    return {"url": f"https://example.com/{name}.png"}


def submissions(sandbox: Sandbox) -> Counter[str]:
    """Return the number of submissions of each source URL."""
    return Counter(task["url"] for task in sandbox.state()["tasks"])


def test_a_worker_killed_at_any_step_submits_once(killing_airflow: Cluster, sandbox: Sandbox) -> None:
    api = killing_airflow.api
    run_id = api.trigger(DAG_ID, {"images": [{"step": step} for step in STEPS]})
    state = api.wait_for_run(DAG_ID, run_id, timeout=1500)
    states = api.states(DAG_ID, run_id)
    assert state == "success", {key: state for key, state in states.items() if state != "success"}

    tries = {
        (task["task_id"], task["map_index"]): task["try_number"]
        for task in api.task_instances(DAG_ID, run_id)
    }
    killed = {key for key, number in tries.items() if number > 1}
    assert {("submit", step) for step in range(8)} <= killed
    assert {("defer", len(STEPS) - 1)} <= killed
    # Each image is submitted once: it is listed while the retry searches for it.
    urls = [conf(f"{mode}{step}")["url"] for mode in MODES for step in STEPS]
    found = submissions(sandbox)
    assert {url: found[url] for url in urls} == dict.fromkeys(urls, 1)


def test_a_cleared_task_and_a_recreated_run_submit_again(killing_airflow: Cluster, sandbox: Sandbox) -> None:
    api, given = killing_airflow.api, conf("again")
    run_id = api.trigger(EXAMPLE, given, run_id="the_same")
    assert api.wait_for_run(EXAMPLE, run_id) == "success"
    assert submissions(sandbox)[given["url"]] == 1
    first = api.xcom(EXAMPLE, run_id, "submit", "taskID")

    api.clear(EXAMPLE, run_id, "submit", "wait", "show")
    assert api.wait_for_run(EXAMPLE, run_id) == "success"
    assert submissions(sandbox)[given["url"]] == 2
    assert api.xcom(EXAMPLE, run_id, "submit", "taskID") != first

    api.call("DELETE", f"/dags/{EXAMPLE}/dagRuns/{run_id}")
    assert api.trigger(EXAMPLE, given, run_id="the_same") == run_id
    assert api.wait_for_run(EXAMPLE, run_id) == "success"
    assert submissions(sandbox)[given["url"]] == 3
