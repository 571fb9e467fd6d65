"""The runs of one example DAG, and what the sandbox knows about its images: for the system tests."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from airflow_provider_123pan.sandbox import Sandbox
from dev.airflow_api import FINISHED
from dev.cluster import Cluster
from dev.waiting import wait_for

WAITING = {"awaiting_input", "deferred"}  # for a person, in Airflow 3.3 and 3.2
ANSWER_AFTER_SECONDS = 5.0  # that a task has waited


class ExampleRun:
    """An example DAG with its inputs, and its latest run.

    :ivar host: base URL of the images; the submissions below it belong to this DAG.
    :ivar urls: the content of each image by its source URL; empty where the test lists them itself.
    :ivar folder: the folder with the DAG's inputs and results.
    :ivar add: adds an image of this name and content to the inputs, where the DAG has such a step.
    :ivar answer: what `wait` answers if the task `approve` asks, "Approve" or "Reject"; "" if the DAG has no such task.
    :ivar run_id: the latest run, or "" before the first one.
    """

    add: Callable[[str, bytes], None]

    def __init__(
        self,
        airflow: Cluster,
        sandbox: Sandbox,
        dag_id: str,
        conf: dict[str, Any],
        host: str = "",
        urls: dict[str, bytes] | None = None,
        folder: Path = Path(),
        answer: str = "",
    ) -> None:
        """Store what the runs need; `start` triggers one."""
        self.api, self.sandbox, self.dag_id, self.conf = airflow.api, sandbox, dag_id, conf
        self.host, self.urls, self.folder = host, {} if urls is None else urls, folder
        self.answer, self.run_id = answer, ""
        self._waiting_since: float | None = None

    def start(self) -> ExampleRun:
        """Trigger a run with the DAG's inputs."""
        self.run_id = self.api.trigger(self.dag_id, self.conf)
        return self

    def wait(self) -> str:
        """Wait until the latest run has ended, and return its state."""
        return str(
            wait_for(
                self._state_at_end,
                what=f"the end of {self.dag_id}, run {self.run_id}",
                timeout=300,
                every=0.5,
            )
        )

    def _state_at_end(self) -> str | None:
        """Return the state of the latest run once it has ended.

        End the run that a schedule made at midnight, and answer what the task `approve` asks.
        """
        self._end_scheduled_runs()
        if self._asks():
            self.api.answer(self.dag_id, self.run_id, "approve", self.answer)
        state = self.api.run_state(self.dag_id, self.run_id)
        return state if state in FINISHED else None

    def _asks(self) -> bool:
        """Return whether the task `approve` waits for an answer.

        On SQLite, Airflow 3.3 loses an answer that comes after the question but before the task waits. An answer right
        after that can fail the task, which continues before the scheduler knows that it has paused (both observed).
        """
        if not self.answer or self.states().get(("approve", -1)) not in WAITING:
            self._waiting_since = None
            return False
        self._waiting_since = self._waiting_since or time.monotonic()
        if time.monotonic() < self._waiting_since + ANSWER_AFTER_SECONDS:
            return False
        approval = self.approval()
        return approval is not None and not approval["response_received"]

    def succeed(self, *, submissions: int) -> None:
        """Wait for the latest run, which must succeed.

        :param submissions: how many submissions the sandbox must have received from all runs of this DAG.
        """
        assert self.wait() == "success", (self.states(), self.failures())
        urls = [task["url"] for task in self.sandbox.state()["tasks"]]
        submitted = [url for url in urls if url.startswith(f"{self.host}/")]
        assert len(submitted) == submissions, submitted

    def end_first_scheduled_run(self) -> None:
        """Unpause the DAG and end the run that its schedule then creates.

        That run has the default parameters, and with `max_active_runs=1` it would delay the others.
        """
        self.api.call("PATCH", f"/dags/{self.dag_id}", json={"is_paused": False})
        wait_for(self._end_scheduled_runs, what="the scheduled run", timeout=300)

    def _end_scheduled_runs(self) -> bool:
        """End the runs that the DAG's schedule created, and return whether it has created any."""
        path = f"/dags/{self.dag_id}/dagRuns"
        runs = self.api.call("GET", path, params={"run_type": "scheduled"})["dag_runs"]
        for run in runs:
            if run["state"] not in FINISHED:
                self.api.call("PATCH", f"{path}/{run['dag_run_id']}", json={"state": "failed"})
        return bool(runs)

    @property
    def day(self) -> str:
        """The day of the latest run, as YYYY-MM-DD."""
        return str(self.api.run(self.dag_id, self.run_id)["run_after"][:10])

    def states(self) -> dict[tuple[str, int], str | None]:
        """Return the state of each task of the latest run by task ID and map index."""
        return self.api.states(self.dag_id, self.run_id)

    def failures(self) -> dict[str, str]:
        """Return the ends of the logs of the tasks of the latest run that failed."""
        failed = (
            task_id
            for (task_id, map_index), state in self.states().items()
            if state == "failed" and map_index < 0
        )
        return {task_id: self.log(task_id)[-2000:] for task_id in failed}

    def approval(self) -> dict[str, Any] | None:
        """Return what the task `approve` of the latest run asks, with the answer, or None."""
        return self.api.approval(self.dag_id, self.run_id, "approve")

    def xcom(self, task_id: str = "sync", key: str = "return_value", map_index: int = -1) -> Any:
        """Return an XCom of the latest run, or None."""
        return self.api.xcom(self.dag_id, self.run_id, task_id, key, map_index=map_index)

    def log(self, task_id: str) -> str:
        """Return the log of a task's first try in the latest run."""
        return self.api.log(self.dag_id, self.run_id, task_id)

    def asset_events(self, directory: str) -> list[dict[str, Any]]:
        """Return the extras of the asset events that the latest run emitted for a directory."""
        uri = f"pan123://pan123_default/{directory}"
        params = {"source_dag_id": self.dag_id, "source_run_id": self.run_id}
        found = self.api.call("GET", "/assets/events", params=params)["asset_events"]
        return [event["extra"] for event in found if event["uri"] == uri]
