"""API server and triggerer are killed while callbacks arrive, or the inbox is unreachable: every task ends correctly.

No worker is killed here, so nothing is submitted twice; test_submit_once.py kills workers.
"""

from __future__ import annotations

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
WOKEN = "A callback woke this wait"  # how the line begins that a trigger logs for a delivery

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
    """Run a sandbox whose offline tasks end as soon as they are released."""
    with Sandbox(delay=0, fetch=False) as sandbox:
        yield sandbox


@contextmanager
def running(tmp_path: Path, sandbox: Sandbox, **env: str) -> Iterator[Cluster]:
    """Run an Airflow with the DAG, a connection to the sandbox, and these environment variables."""
    dags = tmp_path / "dags"
    dags.mkdir()
    (dags / DAG.name).symlink_to(DAG)
    with Cluster(home=tmp_path / "airflow", dags=dags, env=env) as airflow:
        airflow.connect(sandbox)
        airflow.wait_for_dag(DAG_ID)
        yield airflow


class Run:
    """A run of the DAG for groups of images; each group's offline tasks run until the test releases it."""

    def __init__(self, airflow: Cluster, sandbox: Sandbox, groups: dict[str, list[str]]) -> None:
        """Start the run; the key of a group is a pattern of its URLs."""
        self.airflow, self.api, self.sandbox, self.groups = airflow, airflow.api, sandbox, groups
        self.names = [name for names in groups.values() for name in names]
        self._held = list(groups)
        sandbox.configure(hold="|".join(self._held))
        self.run_id = self.api.trigger(DAG_ID, {"urls": [f"{HOST}/{name}" for name in self.names]})

    def wait_until_deferred(self) -> None:
        """Wait until all tasks are deferred."""

        def deferred() -> bool:
            states = self.states()
            assert "failed" not in states.values(), states
            return Counter(states.values())["deferred"] == len(self.names)

        wait_for(deferred, what="the deferral of all", timeout=480, every=2)

    def states(self) -> dict[str, str | None]:
        """Return the state of each image's task."""
        states = self.api.states(DAG_ID, self.run_id)
        return {name: states.get(("migrate", index)) for index, name in enumerate(self.names)}

    def release(self, group: str) -> None:
        """Let the offline tasks of a group end."""
        self._held.remove(group)
        self.sandbox.configure(hold="|".join(self._held))

    def tasks(self, *groups: str) -> list[dict[str, Any]]:
        """Return what the sandbox knows about the offline tasks of these groups."""
        urls = {f"{HOST}/{name}" for group in groups for name in self.groups[group]}
        return [task for task in self.sandbox.state()["tasks"] if task["url"] in urls]

    def wait_until_delivered(self, *groups: str) -> None:
        """Wait until the sandbox has sent each callback; it sends none twice, whatever the answer is."""
        wait_for(
            lambda: all(task["deliveries"] for task in self.tasks(*groups)),
            what="all callbacks",
            timeout=60,
        )

    def wait_until_ended(self, *groups: str) -> None:
        """Wait until all tasks of these groups have succeeded."""

        def ended() -> bool:
            try:
                states = self.states()
            except requests.RequestException:  # the API server has not started yet
                return False
            assert "failed" not in states.values(), states
            return all(states[name] == "success" for group in groups for name in self.groups[group])

        wait_for(ended, what=f"the end of {', '.join(groups)}", timeout=420, every=2)

    def wrong(self) -> dict[str, Any]:
        """Return the images that did not succeed, got another file, or were submitted more than once."""
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

    def log(self, name: str) -> str:
        """Return the logs of all tries of an image's task, with those of their triggers."""
        index = self.names.index(name)
        path = f"/dags/{DAG_ID}/dagRuns/{self.run_id}/taskInstances/migrate/{index}"
        tries = int(self.api.call("GET", path)["try_number"])
        return "\n".join(
            self.api.log(DAG_ID, self.run_id, "migrate", map_index=index, attempt=attempt)
            for attempt in range(1, 1 + tries)
        )


def group(name: str, size: int = 25) -> dict[str, list[str]]:
    """Return a group of images by its pattern."""
    return {f"/{name}-": [f"{name}-{number}.png" for number in range(size)]}


OUTAGES: dict[str, tuple[Component, ...]] = {
    "api": ("api-server",),
    "triggerer": ("triggerer",),
    "both": ("api-server", "triggerer"),
}


def test_every_image_arrives_once_although_components_are_killed(tmp_path: Path, sandbox: Sandbox) -> None:
    """200 images wait; in each outage the callbacks of 25 arrive as it begins and those of 25 while it lasts."""
    groups: dict[str, list[str]] = {}
    for name in OUTAGES:
        groups |= group(f"{name}-before") | group(f"{name}-during")
    groups |= group("after", 50)
    with running(tmp_path, sandbox) as airflow:
        run = Run(airflow, sandbox, groups)
        run.wait_until_deferred()
        for name, components in OUTAGES.items():
            before, during = f"/{name}-before-", f"/{name}-during-"
            run.release(before)
            for component in components:
                airflow.kill(component)
            run.release(during)
            run.wait_until_delivered(before, during)
            for component in components:
                airflow.start(component)
            run.wait_until_ended(before, during)
            answers = Counter(answer for task in run.tasks(during) for answer in task["deliveries"])
            print(f"{name}: callbacks during the outage: {answers}")
            if "api-server" in components:
                assert "HTTP 200" not in answers
            else:
                assert set(answers) == {"HTTP 200"}
        run.release("/after-")
        run.wait_until_ended("/after-")
        assert run.wrong() == {}
        # The follower reads the inbox again: callbacks woke these waits. Polls may have ended some of them earlier.
        woken = sum(WOKEN in run.log(name) for name in run.groups["/after-"])
        print(f"afterwards: callbacks woke {woken} of {len(run.groups['/after-'])} waits")
        assert woken


def test_polls_end_the_waits_if_the_inbox_is_unreachable(tmp_path: Path, sandbox: Sandbox) -> None:
    """Deliveries are stored, but the triggerer cannot read them."""
    groups = group("unread", 40)
    (dead,) = free_ports(1)
    with running(tmp_path, sandbox, AIRFLOW__PAN123__INBOX_URL=f"http://127.0.0.1:{dead}") as airflow:
        run = Run(airflow, sandbox, groups)
        run.wait_until_deferred()
        run.release("/unread-")
        run.wait_until_ended("/unread-")
        assert run.wrong() == {}
        assert {answer for task in run.tasks("/unread-") for answer in task["deliveries"]} == {"HTTP 200"}
        warnings = sum("inbox is out of reach" in run.log(name) for name in run.names)
        assert warnings == 1  # in the log of the trigger that started the follower
