"""From the service's POST through Airflow's API server to the resumed task."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from airflow_provider_123pan.download.verdict import NO_REASON
from airflow_provider_123pan.sandbox import Sandbox
from airflow_provider_123pan.triggers.offline_download import WOKEN
from dev.airflow_api import FINISHED
from dev.cluster import Cluster
from dev.waiting import wait_for

DAG_ID = "pan123_callbacks"
HOST = "https://callbacks.example.com"
REASON = "源站拒绝"
FIRED = "Trigger fired event"  # how a trigger's log ends
ENDED = {*FINISHED, "upstream_failed"}


class Run:
    """Images that the sandbox holds until they are released."""

    def __init__(self, airflow: Cluster, sandbox: Sandbox, names: list[str], **changes: Any) -> None:
        self.api, self.sandbox, self.names = airflow.api, sandbox, names
        self._held = set(names)
        sandbox.configure(fetch=False, delay=0, **{"hold": self._pattern()} | changes)
        self.run_id = self.api.trigger(DAG_ID, {"urls": [f"{HOST}/{name}" for name in names]})

    def _pattern(self) -> str:
        return "|".join(f"/{name}$" for name in self._held)

    def wait_until_deferred(self) -> None:
        def deferred() -> bool:
            states = self.api.states(DAG_ID, self.run_id)
            assert not set(states.values()) & {"failed", "upstream_failed"}, states
            return [states.get(("migrate.wait", index)) for index in range(len(self.names))] == [
                "deferred"
            ] * len(self.names)

        wait_for(deferred, what="the deferral of all waits", timeout=180)

    def release(self, *names: str, **changes: Any) -> None:
        """End the offline tasks of these images with these options, and wait until their waits have ended."""
        self._held -= set(names)
        self.sandbox.configure(hold=self._pattern(), **changes)

        def ended() -> bool:
            states = self.api.states(DAG_ID, self.run_id)
            return all(states["migrate.wait", self.names.index(name)] in ENDED for name in names)

        wait_for(ended, what=f"the end of {', '.join(names)}", timeout=180)

    def state(self, name: str) -> str | None:
        return self.api.states(DAG_ID, self.run_id)["migrate.wait", self.names.index(name)]

    def error(self, name: str) -> str:
        """Why its wait's last try failed."""
        index = self.names.index(name)
        tries = next(
            task["try_number"]
            for task in self.api.task_instances(DAG_ID, self.run_id)
            if (task["task_id"], task["map_index"]) == ("migrate.wait", index)
        )
        return self.api.error(DAG_ID, self.run_id, "migrate.wait", map_index=index, attempt=tries) or ""

    def outcome(self, name: str) -> dict[str, Any]:
        index = self.names.index(name)
        found: dict[str, Any] = self.api.xcom(DAG_ID, self.run_id, "migrate.wait", map_index=index)
        return found

    def logged_at(self, name: str, event: str) -> float:
        """When its wait's first try did, in Unix seconds."""
        index = self.names.index(name)
        found = self.api.logged_at(DAG_ID, self.run_id, "migrate.wait", event, map_index=index)
        assert found is not None, self.api.log(DAG_ID, self.run_id, "migrate.wait", map_index=index)
        return found

    def task(self, name: str) -> dict[str, Any]:
        """What the sandbox knows of it."""
        found: dict[str, Any] = next(
            task for task in self.sandbox.state()["tasks"] if task["url"] == f"{HOST}/{name}"
        )
        return found

    def arrived(self, name: str) -> bool:
        """Whether the wait succeeded, and with the file that the sandbox made of this very task."""
        return self.state(name) == "success" and self.outcome(name)["fileID"] == self.task(name)["fileID"]


@pytest.fixture(autouse=True)
def _knobs(sandbox: Sandbox) -> Iterator[None]:
    """The sandbox is everybody's: leave it as it was."""
    before = sandbox.configure()
    yield
    sandbox.configure(**{name: before[name] for name in before if name not in ("host", "port")})


def health(airflow: Cluster) -> dict[str, Any]:
    answer = requests.get(f"{airflow.url}/pan123/health", timeout=10)
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


def test_health_needs_no_secret(airflow: Cluster) -> None:
    found = health(airflow)
    assert found.keys() == {"inbox", "connections"}
    assert found["inbox"] == "ready"


def test_a_callback_wakes_the_wait(airflow: Cluster, sandbox: Sandbox) -> None:
    names = [f"woken{number}.png" for number in range(3)]
    run = Run(airflow, sandbox, names)
    run.wait_until_deferred()
    run.release(*names)
    assert all(map(run.arrived, names))
    assert [run.task(name)["deliveries"] for name in names] == [["HTTP 200"]] * 3
    assert health(airflow)["connections"] >= 1
    for name in names:
        assert run.logged_at(name, WOKEN) <= run.logged_at(name, FIRED)


@pytest.mark.timeout(500)
def test_failures_lies_and_silence(airflow: Cluster, sandbox: Sandbox) -> None:
    failed, lied_to_be_failed, lied_to_have_arrived, silent = (
        "broken1.png",
        "good1.png",
        "broken2.png",
        "good2.png",
    )
    names = [failed, lied_to_be_failed, lied_to_have_arrived, silent]
    run = Run(airflow, sandbox, names, fail="broken", fail_reason=REASON)
    run.wait_until_deferred()

    run.release(failed)
    assert run.state(failed) == "failed"
    assert run.error(failed).endswith(f"{HOST}/{failed} (taskID {run.task(failed)['taskID']}): {REASON}")

    run.release(lied_to_be_failed, lied_to_have_arrived, callback="lying")
    assert run.arrived(lied_to_be_failed)
    assert run.state(lied_to_have_arrived) == "failed"
    assert NO_REASON in run.error(lied_to_have_arrived)

    run.release(silent, callback="never")
    assert run.arrived(silent)
    assert run.task(silent)["deliveries"] == []


def test_a_callback_before_the_answer_to_the_submission(airflow: Cluster, sandbox: Sandbox) -> None:
    name = "early.png"
    run = Run(airflow, sandbox, [name], callback="early", hold="")
    assert airflow.api.wait_for_run(DAG_ID, run.run_id) == "success"
    assert run.arrived(name)
    assert run.task(name)["deliveries"] == ["HTTP 200"]


def test_no_secret_is_written_anywhere(airflow: Cluster, sandbox: Sandbox) -> None:
    """Not into a log of a task, a trigger or the API server, nor in the clear into Airflow's database."""
    run = Run(airflow, sandbox, ["secret.png"])
    run.wait_until_deferred()
    run.release("secret.png")
    addresses = [task["callBackUrl"] for task in sandbox.state()["tasks"] if task["callBackUrl"]]
    assert addresses
    key = next(
        variable["key"]
        for variable in airflow.api.call("GET", "/variables")["variables"]
        if variable["key"].startswith("pan123_access_token__")
    )
    access_token = json.loads(airflow.cli("variables", "get", key))["accessToken"]
    secrets = [sandbox.client_secret, access_token, *(url.rpartition("/")[2] for url in addresses)]

    assert "/pan123/callbacks/***" in airflow.log.read_text()  # the access log tells that there was one
    files = [path for path in airflow.home.rglob("*") if path.is_file()]
    assert any(f"dag_id={DAG_ID}" in str(path) and ".trigger." in path.name for path in files)
    assert [path for path in files if holds(path.read_bytes(), secrets)] == []


def holds(content: bytes, secrets: list[str]) -> bool:
    return any(secret.encode() in content for secret in secrets)
