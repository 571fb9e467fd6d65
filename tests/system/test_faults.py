"""API server and triggerer are killed while callbacks arrive, or the inbox is out of reach: every task ends right.

No worker is killed here, so nothing is submitted twice; workers die in test_submit_once.py.
"""

from __future__ import annotations

import statistics
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import requests

from airflow_provider_123pan.sandbox import Sandbox
from dev.cluster import Cluster, Component, free_ports
from dev.waiting import wait_for

DAG_ID = "pan123_outages"
DAG = Path(__file__).parent / "dags" / f"{DAG_ID}.py"
HOST = "https://outages.example.com"

pytestmark = [
    pytest.mark.faults,
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        version("apache-airflow").startswith("3.2."),
        reason="Airflow 3.2 has no task_state_store, so a try that could not start submits again",
    ),
]


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(delay=0, fetch=False) as sandbox:
        yield sandbox


@contextmanager
def running(tmp_path: Path, sandbox: Sandbox, **env: str) -> Iterator[Cluster]:
    dags = tmp_path / "dags"
    dags.mkdir()
    (dags / DAG.name).symlink_to(DAG)
    with Cluster(home=tmp_path / "airflow", dags=dags, env=env) as airflow:
        airflow.api.set_connection(
            "pan123_default",
            conn_type="pan123",
            host=sandbox.base_url,
            login=sandbox.client_id,
            password=sandbox.client_secret,
            extra={"callback_base_url": airflow.url},
        )
        airflow.wait_for_dag(DAG_ID)
        yield airflow


class Run:
    """Images that the sandbox holds until they are released, group by group."""

    def __init__(self, airflow: Cluster, sandbox: Sandbox, groups: dict[str, list[str]]) -> None:
        self.airflow, self.api, self.sandbox, self.groups = airflow, airflow.api, sandbox, groups
        self.names = [name for names in groups.values() for name in names]
        self._held = list(groups)
        sandbox.configure(hold="|".join(self._held))
        self.run_id = self.api.trigger(DAG_ID, {"urls": [f"{HOST}/{name}" for name in self.names]})

    def wait_until_deferred(self) -> None:
        def deferred() -> bool:
            states = self.states()
            assert "failed" not in states.values(), states
            return Counter(states.values())["deferred"] == len(self.names)

        wait_for(deferred, what="the deferral of all", timeout=480, every=2)

    def states(self) -> dict[str, str | None]:
        states = self.api.states(DAG_ID, self.run_id)
        return {name: states.get(("migrate", index)) for index, name in enumerate(self.names)}

    def release(self, group: str) -> None:
        self._held.remove(group)
        self.sandbox.configure(hold="|".join(self._held))

    def tasks(self, *groups: str) -> list[dict[str, Any]]:
        """What the sandbox knows of some groups' images."""
        urls = {f"{HOST}/{name}" for group in groups for name in self.groups[group]}
        return [task for task in self.sandbox.state()["tasks"] if task["url"] in urls]

    def wait_until_delivered(self, *groups: str) -> None:
        """Until each callback has found somebody, or nobody; the service does not repeat it."""
        wait_for(
            lambda: all(task["deliveries"] for task in self.tasks(*groups)),
            what="all callbacks",
            timeout=60,
        )

    def wait_until_ended(self, *groups: str) -> None:
        def ended() -> bool:
            try:
                states = self.states()
            except requests.RequestException:  # the API server is not there yet
                return False
            assert "failed" not in states.values(), states
            return all(states[name] == "success" for group in groups for name in self.groups[group])

        wait_for(ended, what=f"the end of {', '.join(groups)}", timeout=420, every=2)

    def wrong(self) -> dict[str, Any]:
        """The images whose end is not theirs: no success, another file, or submitted again."""
        states = self.states()
        submitted = Counter(task["url"] for task in self.sandbox.state()["tasks"])
        tasks = {task["url"]: task for task in self.sandbox.state()["tasks"]}
        wrong = {}
        for index, name in enumerate(self.names):
            task = tasks[f"{HOST}/{name}"]
            outcome = self.api.xcom(DAG_ID, self.run_id, "migrate", "fileID", map_index=index)
            found = (states[name], outcome, submitted[task["url"]])
            if found != ("success", task["fileID"], 1):
                wrong[name] = found
        return wrong

    def went_on_after(self, group: str) -> list[float]:
        """Seconds from each POST to the event of the trigger."""
        found = []
        for name in self.groups[group]:
            index = self.names.index(name)
            fired = [
                at
                for attempt in range(1, 1 + self._tries(index))
                if (
                    at := self.api.logged_at(
                        DAG_ID,
                        self.run_id,
                        "migrate",
                        "Trigger fired event",
                        map_index=index,
                        attempt=attempt,
                    )
                )
            ]
            (task,) = (task for task in self.tasks(group) if task["url"] == f"{HOST}/{name}")
            found.append(fired[0] - task["delivered_at"])
        return found

    def log(self, name: str) -> str:
        return self.api.log(DAG_ID, self.run_id, "migrate", map_index=self.names.index(name))

    def _tries(self, index: int) -> int:
        path = f"/dags/{DAG_ID}/dagRuns/{self.run_id}/taskInstances/migrate/{index}"
        return int(self.api.call("GET", path)["try_number"])


def group(name: str, size: int = 25) -> dict[str, list[str]]:
    return {f"/{name}-": [f"{name}-{number}.png" for number in range(size)]}


OUTAGES: dict[str, tuple[Component, ...]] = {
    "api": ("api-server",),
    "triggerer": ("triggerer",),
    "both": ("api-server", "triggerer"),
}


def test_killed_while_callbacks_arrive(tmp_path: Path, sandbox: Sandbox) -> None:
    """200 images wait; for each outage 25 are called back as it begins, and 25 while it lasts."""
    groups: dict[str, list[str]] = {}
    for name in OUTAGES:
        groups |= group(f"{name}-before") | group(f"{name}-during")
    groups |= group("after", 50)
    with running(tmp_path, sandbox) as airflow:
        run = Run(airflow, sandbox, groups)
        run.wait_until_deferred()
        for name, components in OUTAGES.items():
            before, during = f"/{name}-before-", f"/{name}-during-"
            began = time.monotonic()
            run.release(before)
            for component in components:
                airflow.kill(component)
            run.release(during)
            run.wait_until_delivered(before, during)
            for component in components:
                airflow.start(component)
            run.wait_until_ended(before, during)
            answers = Counter(answer for task in run.tasks(during) for answer in task["deliveries"])
            print(f"{name}: ended after {time.monotonic() - began:.0f} s, callbacks in the outage: {answers}")
            if "api-server" in components:
                assert "HTTP 200" not in answers
            else:
                assert set(answers) == {"HTTP 200"}
        run.release("/after-")
        run.wait_until_ended("/after-")
        assert run.wrong() == {}
        # The one that follows the inbox has found its way back.
        seconds = run.went_on_after("/after-")
        print(
            f"afterwards: from POST to event {statistics.median(seconds):.2f} s, at most {max(seconds):.2f} s"
        )
        assert statistics.median(seconds) < 10


def test_inbox_out_of_reach(tmp_path: Path, sandbox: Sandbox) -> None:
    """Nobody can read what is delivered: progress alone ends the waits."""
    groups = group("unheard", 40)
    (dead,) = free_ports(1)
    with running(tmp_path, sandbox, AIRFLOW__PAN123__INBOX_URL=f"http://127.0.0.1:{dead}") as airflow:
        run = Run(airflow, sandbox, groups)
        run.wait_until_deferred()
        run.release("/unheard-")
        run.wait_until_ended("/unheard-")
        assert run.wrong() == {}
        assert {answer for task in run.tasks("/unheard-") for answer in task["deliveries"]} == {"HTTP 200"}
        told = sum("inbox is out of reach" in run.log(name) for name in run.names)
        assert told == 1  # by the one that began to follow it
