"""Callbacks travel from the service through Airflow's API server to the trigger, which resumes the task."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import requests

from airflow_provider_123pan.download.verdict import NO_REASON
from airflow_provider_123pan.sandbox import Sandbox
from airflow_provider_123pan.triggers.offline_download import WOKEN
from dev.airflow_api import FINISHED
from dev.cluster import Cluster
from dev.example_run import ExampleRun
from dev.waiting import wait_for
from tests.system.canaries import files_with, stored_tokens

DAG_ID = "pan123_callbacks"
HOST = "https://callbacks.example.com"
REASON = "源站拒绝"
ENDED = {*FINISHED, "upstream_failed"}


class Run:
    """A run of the DAG for images whose offline tasks run until the test releases them."""

    def __init__(self, airflow: Cluster, sandbox: Sandbox, names: list[str], **options: Any) -> None:
        """Start the run under these options of the sandbox."""
        self.api, self.sandbox, self.names = airflow.api, sandbox, names
        self._held = set(names)
        sandbox.configure(**{"hold": self._pattern()} | options)
        self.run_id = self.api.trigger(DAG_ID, {"urls": [f"{HOST}/{name}" for name in names]})

    def _pattern(self) -> str:
        return "|".join(f"/{name}$" for name in self._held)

    def wait_until_deferred(self) -> None:
        """Wait until all waits are deferred."""

        def deferred() -> bool:
            states = self.api.states(DAG_ID, self.run_id)
            assert not set(states.values()) & {"failed", "upstream_failed"}, states
            return all(states.get(("migrate.wait", index)) == "deferred" for index in range(len(self.names)))

        wait_for(deferred, what="the deferral of all waits", timeout=180)

    def release(self, *names: str, **options: Any) -> None:
        """Let the offline tasks of these images end, under these options of the sandbox."""
        self._held -= set(names)
        self.sandbox.configure(hold=self._pattern(), **options)
        wait_for(
            lambda: all(self.task(name)["state"] != "running" for name in names),
            what=f"the end of the offline tasks of {', '.join(names)}",
            timeout=60,
        )

    def wait_until_ended(self, *names: str) -> None:
        """Wait until the waits for these images have ended."""

        def ended() -> bool:
            states = self.api.states(DAG_ID, self.run_id)
            return all(states["migrate.wait", self.names.index(name)] in ENDED for name in names)

        wait_for(ended, what=f"the end of the waits for {', '.join(names)}", timeout=180)

    def state(self, name: str) -> str | None:
        """Return the state of an image's wait."""
        return self.api.states(DAG_ID, self.run_id)["migrate.wait", self.names.index(name)]

    def error(self, name: str) -> str:
        """Return why the last try of an image's wait failed."""
        index = self.names.index(name)
        tries = next(
            task["try_number"]
            for task in self.api.task_instances(DAG_ID, self.run_id)
            if (task["task_id"], task["map_index"]) == ("migrate.wait", index)
        )
        return self.api.error(DAG_ID, self.run_id, "migrate.wait", map_index=index, attempt=tries) or ""

    def log(self, name: str) -> str:
        """Return the log of the first try of an image's wait, with that of its trigger."""
        return self.api.log(DAG_ID, self.run_id, "migrate.wait", map_index=self.names.index(name))

    def task(self, name: str) -> dict[str, Any]:
        """Return what the sandbox knows about an image's offline task."""
        found: dict[str, Any] = next(
            task for task in self.sandbox.state()["tasks"] if task["url"] == f"{HOST}/{name}"
        )
        return found

    def arrived(self, name: str) -> bool:
        """Return whether the wait succeeded with the file that the sandbox made of this very offline task."""
        index = self.names.index(name)
        image = self.api.xcom(DAG_ID, self.run_id, "migrate.wait", map_index=index)
        return self.state(name) == "success" and image["fileID"] == self.task(name)["fileID"]


def health(airflow: Cluster) -> dict[str, Any]:
    """Return the health of the receiver."""
    answer = requests.get(f"{airflow.url}/pan123/health", timeout=10)
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


def test_health_needs_no_secret(airflow: Cluster) -> None:
    found = health(airflow)
    assert found.keys() == {"inbox", "connections"}
    assert found["inbox"] == "ready"


def test_a_callback_wakes_the_wait(airflow: Cluster, callback_sandbox: Sandbox) -> None:
    names = [f"woken{number}.png" for number in range(3)]
    run = Run(airflow, callback_sandbox, names)
    run.wait_until_deferred()
    # The offline tasks still run, so nothing but these deliveries can wake a wait.
    for name in names:
        body = {"url": f"{HOST}/{name}", "status": 0, "failReason": ""}
        assert requests.post(run.task(name)["callBackUrl"], json=body, timeout=10).status_code == 200

    def woken(name: str) -> bool:
        return WOKEN in run.log(name)

    for name in names:
        wait_for(partial(woken, name), what=f"the wake-up of {name}", timeout=120)
    assert {run.state(name) for name in names} == {"deferred"}

    run.release(*names)
    run.wait_until_ended(*names)
    assert all(map(run.arrived, names))
    assert [run.task(name)["deliveries"] for name in names] == [["HTTP 200"]] * 3
    assert health(airflow)["connections"] >= 1


@pytest.mark.timeout(500)
def test_progress_decides_whatever_a_callback_claims(airflow: Cluster, callback_sandbox: Sandbox) -> None:
    failed, claimed_failed, claimed_stored = names = ["broken1.png", "good1.png", "broken2.png"]
    run = Run(airflow, callback_sandbox, names, fail="broken", fail_reason=REASON)
    run.wait_until_deferred()
    run.release(failed, callback="normal")
    run.release(claimed_failed, claimed_stored, callback="lying")
    run.wait_until_ended(*names)

    assert run.state(failed) == "failed"
    reason = f"{HOST}/{failed} (taskID {run.task(failed)['taskID']}): the callback reports: {REASON}"
    assert run.error(failed).endswith(f"{reason} [pan123-download-failed]")
    assert run.arrived(claimed_failed)
    assert run.state(claimed_stored) == "failed"
    assert NO_REASON in run.error(claimed_stored)


def test_a_fallback_poll_ends_the_wait_if_no_callback_arrives(
    silent_run: ExampleRun, silent_sandbox: Sandbox
) -> None:
    assert silent_run.wait() == "success", silent_run.states()
    (task,) = silent_sandbox.state()["tasks"]
    assert task["callBackUrl"]
    assert task["deliveries"] == []
    assert silent_run.xcom("migrate.wait", map_index=0)["fileID"] == task["fileID"]


def test_a_callback_may_arrive_before_the_answer_to_the_submission(
    airflow: Cluster, callback_sandbox: Sandbox
) -> None:
    name = "early.png"
    run = Run(airflow, callback_sandbox, [name], callback="early", hold="")
    assert airflow.api.wait_for_run(DAG_ID, run.run_id) == "success"
    assert run.arrived(name)
    assert run.task(name)["deliveries"] == ["HTTP 200"]


def test_no_secret_is_in_a_log_or_in_clear_text_in_the_database(
    airflow: Cluster, callback_sandbox: Sandbox
) -> None:
    run = Run(airflow, callback_sandbox, ["secret.png"])
    run.wait_until_deferred()
    run.release("secret.png")
    run.wait_until_ended("secret.png")
    callback_urls = [task["callBackUrl"] for task in callback_sandbox.state()["tasks"] if task["callBackUrl"]]
    assert callback_urls
    access_tokens = stored_tokens(airflow)
    assert access_tokens
    secrets = [
        callback_sandbox.client_secret,
        *access_tokens,
        *(url.rpartition("/")[2] for url in callback_urls),
    ]

    assert "/pan123/callbacks/***" in airflow.log.read_text()  # as the access log writes a delivery
    files = [path for path in airflow.home.rglob("*") if path.is_file()]
    assert any(f"dag_id={DAG_ID}" in str(path) and ".trigger." in path.name for path in files)
    assert files_with(airflow.home, secrets) == []
