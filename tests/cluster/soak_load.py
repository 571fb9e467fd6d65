"""The load of a soak: waits, batches and requests, with the provider or with Airflow's own sensor."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from datetime import datetime, timezone
from itertools import cycle
from pathlib import Path
from typing import Any

import requests
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

from airflow_provider_123pan.sync.results import read_results
from dev.distributed import DistributedCluster
from dev.services import Services
from dev.waiting import Timeout, wait_for
from tests.cluster.callers import CONN_ID, Deliveries, Request
from tests.cluster.sandbox_service import SandboxService

FOLDER = Path(__file__).parent
ROOT = FOLDER.parent.parent
POOL = "soak_waits"
BATCH_IMAGES = 20
RESUMED_SLOTS = 16
RESUMED_WAITS = 100  # whose tasks workers end; each costs a CPU for a second or two
PREPARATION_SECONDS = 900.0
RELEASE_SECONDS = 900.0  # until all triggers have fired
RESUME_SECONDS = 1200.0
OUR_TRIGGER = "airflow_provider_123pan.triggers.offline_download.Pan123OfflineDownloadTrigger"
CONTROL_TRIGGER = "airflow.providers.standard.triggers.temporal.DateTimeTrigger"
CONTROL_START_SECONDS = 120.0  # from the deferral of the control's waits to the first measurement at most


class Load:
    """A distributed Airflow and what it does.

    :ivar airflow: the cluster.
    :ivar database_port: the port of its PostgreSQL.
    """

    def __init__(self, stack: ExitStack, home: Path, *, minutes: float, waits: int, control: bool) -> None:
        """Start everything; the stack ends it.

        :param minutes: for which the waits of a control are held; others end at their release.
        """
        self.waits, self._minutes, self._control, self._home = waits, minutes, control, home
        self._batches: list[tuple[str, str]] = []  # name and run ID
        for name in ("lags", "batches", "openlineage"):
            (home / name).mkdir()
        services = stack.enter_context(Services(home / "airflow" / "services"))
        self.sandbox = SandboxService(services, delay="2,8", visible_after=1, hold="/held/")
        stack.enter_context(self.sandbox)
        self.sandbox.configure(fetch=False)
        events = {"type": "file", "log_file_path": str(home / "openlineage" / "events.jsonl"), "append": True}
        env = {
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(FOLDER / "plugins"),
            "AIRFLOW__OPENLINEAGE__DISABLED": "False",
            "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(events),
            "LOOP_LAG_FOLDER": str(home / "lags"),
            # On a busy machine a triggerer that starts 500 triggers at once is late, and not dead.
            "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "600",
            "AIRFLOW__TRIGGERER__RUNNER_HEALTH_CHECK_THRESHOLD": "600",
        }
        self.airflow = stack.enter_context(
            DistributedCluster(home=home / "airflow", dags=FOLDER / "soak_dags", env=env)
        )
        url = make_url(self.airflow.env["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"])
        assert url.port is not None
        self.database_port = url.port
        self._engine = create_engine(url, poolclass=NullPool)
        self.airflow.connect(self.sandbox, CONN_ID)
        self.airflow.api.call("POST", "/pools", json={"name": POOL, "slots": 0})
        self._prefix = "soak_control" if control else "soak"
        self.airflow.wait_for_dag(f"{self._prefix}_waits", f"{self._prefix}_batch", "soak_probes")
        self._deliveries = Deliveries(self.sandbox, self.airflow.callback_base_url)

    def _query(self, statement: str, **values: Any) -> list[Any]:
        with self._engine.connect() as connection:
            return list(connection.execute(text(statement), values))

    def client_ports(self) -> set[int]:
        """Return the ports from which PostgreSQL has connections."""
        rows = self._query("SELECT client_port FROM pg_stat_activity WHERE client_port > 0")
        return {row[0] for row in rows}

    def shares(self) -> list[int]:
        """Return how many waits each triggerer holds."""
        rows = self._query(
            "SELECT count(*) FROM trigger JOIN task_instance ON trigger_id = trigger.id "
            "WHERE dag_id = :dag_id AND triggerer_id IS NOT NULL GROUP BY triggerer_id ORDER BY triggerer_id",
            dag_id=f"{self._prefix}_waits",
        )
        return [row[0] for row in rows]

    def _triggerers(self) -> list[int]:
        """Return the ids of the triggerers' jobs."""
        rows = self._query("SELECT id FROM job WHERE job_type = 'TriggererJob' AND end_date IS NULL")
        return sorted(row[0] for row in rows)

    def _count(self, dag_id: str, *states: str) -> int:
        statement = (
            "SELECT count(*) FROM task_instance "
            "WHERE dag_id = :dag_id AND task_id = 'wait' AND map_index >= 0 AND state = ANY(:states)"
        )
        return int(self._query(statement, dag_id=dag_id, states=list(states))[0][0])

    # --- the waits ----------------------------------------------------------------------------------

    def hold(self) -> None:
        """Submit the images of the waits, and return when each runs in one of the triggerers, half of them in each."""
        dag_id = f"{self._prefix}_waits"
        self._run_id = self.airflow.api.trigger(dag_id, {"waits": self.waits})
        self._wait_until_scheduled(dag_id, self.waits)
        if self._control:
            arguments: list[dict[str, Any]] = [{"target_time": self._end()}] * self.waits
        else:
            self._submissions = self.airflow.api.xcom(dag_id, self._run_id, "submit")
            common = {"pan123_conn_id": CONN_ID, "deadline": time.time() + 6 * 3600, "poke_interval": 10.0}
            arguments = [{"submission": submission, **common} for submission in self._submissions]
        path = CONTROL_TRIGGER if self._control else OUR_TRIGGER
        triggerers = cycle(self._triggerers())
        self._defer(dag_id, self._run_id, [(path, given, next(triggerers)) for given in arguments])
        wait_for(
            lambda: self._count_started(dag_id) >= self.waits,
            what="started triggers",
            timeout=PREPARATION_SECONDS,
            every=2,
        )

    def _count_started(self, dag_id: str) -> int:
        """Return how many triggers of waits have begun their logs."""
        logs = self._home / "airflow" / "logs" / f"dag_id={dag_id}"
        return len({path.parent for path in logs.glob("*/task_id=wait/map_index=*/*.trigger.*.log")})

    def start_probes(self) -> None:
        """Start to measure the event loops of triggerers and API servers."""
        run_id = self.airflow.api.trigger("soak_probes")
        self._wait_until_scheduled("soak_probes", 2)
        probe = "loop_lag.LoopLagTrigger"
        self._defer("soak_probes", run_id, [(probe, {}, triggerer) for triggerer in self._triggerers()])
        for port in self.airflow.api_ports:
            requests.get(f"http://127.0.0.1:{port}/loop-lag/", timeout=30).raise_for_status()

    def _wait_until_scheduled(self, dag_id: str, count: int) -> None:
        wait_for(
            lambda: self._count(dag_id, "scheduled") == count,
            what=f"the tasks of {dag_id}",
            timeout=PREPARATION_SECONDS,
        )

    def _defer(self, dag_id: str, run_id: str, triggers: list[tuple[str, dict[str, Any], int]]) -> None:
        given = {"dag_id": dag_id, "run_id": run_id, "task_id": "wait", "triggers": triggers}
        env = {**self.airflow.env, "PYTHONPATH": str(FOLDER / "plugins")}
        command = [sys.executable, "-m", "tests.cluster.deferral"]
        done = subprocess.run(
            command, input=json.dumps(given), env=env, cwd=ROOT, text=True, capture_output=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"{command}: {done.returncode}\n{done.stderr}")

    def waits_fact(self) -> str:
        """Return what was deferred all the time."""
        return f"{self.waits} waits{' of Airflow itself' if self._control else ''}, deferred all the time"

    def release(self) -> list[str]:
        """Let all waits end, and return how long it took until their triggers had fired."""
        dag_id, since = f"{self._prefix}_waits", time.monotonic()
        if not self._control:
            self.sandbox.configure(hold=None)
        with suppress(Timeout):
            wait_for(
                lambda: not self._count(dag_id, "deferred"),
                what="the triggers",
                timeout=RELEASE_SECONDS,
                every=1,
            )
        left = self._count(dag_id, "deferred")
        what = "the measured time" if self._control else "the release"
        return [f"{left} waits were deferred {time.monotonic() - since:.0f} s after {what}"]

    def _end(self) -> str:
        """Return when the waits of a control end, some time after the last measurement."""
        seconds = time.time() + CONTROL_START_SECONDS + 60 * self._minutes
        return datetime.fromtimestamp(seconds, timezone.utc).isoformat()

    # --- batches and requests -------------------------------------------------------------------------

    def start_batch(self) -> None:
        """Start a run with images that no other batch has."""
        name = f"batch-{len(self._batches)}"
        folder = self._home / "batches"
        urls = (f"https://example.com/{name}/{name}-{image}.png" for image in range(BATCH_IMAGES))
        (folder / f"{name}.txt").write_text("\n".join(urls) + "\n")
        run_id = self.airflow.api.trigger(f"{self._prefix}_batch", {"folder": str(folder), "name": name})
        self._batches.append((name, run_id))

    def request(self) -> Request:
        """Return the next request of the stream."""
        if self._control:
            return Request("health", f"{self.airflow.url}/api/v2/monitor/health", 200, None)
        return self._deliveries.make()

    # --- what became of it ------------------------------------------------------------------------------

    def lost(self) -> list[str]:
        """Let workers end all tasks, and return the waits and batches that did not get their images."""
        states = {name: self._end_of_batch(run_id) for name, run_id in self._batches}
        lost = [f"{name}: {state}" for name, state in states.items() if state != "success"]
        if self._control:
            return lost
        tasks = self.sandbox.state(10**6)["tasks"]
        stored = {(task["url"], task["fileID"]) for task in tasks}
        for name in states:
            results = self._home / "batches" / f"{name}.jsonl"
            records = [*read_results(f"file://{results}")] if results.exists() else []
            found = sum(record.is_stored and (record.url, record.fileID) in stored for record in records)
            if found != BATCH_IMAGES:
                lost.append(f"{name}: {BATCH_IMAGES - found} images lost or wrong")
        return lost + self._lost_waits(tasks)

    def _end_of_batch(self, run_id: str) -> str:
        """Return the state of a batch's run once it has ended, or what is wrong."""
        try:
            return self.airflow.api.wait_for_run(f"{self._prefix}_batch", run_id)
        except Timeout as error:
            return str(error)

    def _lost_waits(self, tasks: list[dict[str, Any]]) -> list[str]:
        """Return the waits whose trigger or task did not name the image of their submission."""
        dag_id = f"{self._prefix}_waits"
        fired = self._query(
            "SELECT map_index, next_kwargs -> 'event' -> 'outcome' ->> 'fileID' FROM task_instance "
            "WHERE dag_id = :dag_id AND task_id = 'wait' AND map_index >= 0",
            dag_id=dag_id,
        )
        found: dict[int, str | None] = dict(map(tuple, fired))
        files = {task["taskID"]: task["fileID"] for task in tasks}
        lost = [
            f"wait {index}: its trigger named {found[index]}"
            for index, submission in enumerate(self._submissions)
            if not found[index] or found[index] != files[submission["taskID"]]
        ]
        return lost + self._lost_tasks(dag_id, files)

    def _lost_tasks(self, dag_id: str, files: dict[int, str]) -> list[str]:
        """Let workers end some of the waits' tasks, and return those that did not return the image."""
        body = {"name": POOL, "slots": RESUMED_SLOTS, "include_deferred": False}
        self.airflow.api.call("PATCH", f"/pools/{POOL}", json=body)
        enough = min(RESUMED_WAITS, self.waits)
        with suppress(Timeout):
            wait_for(
                lambda: self._count(dag_id, "success", "failed") >= enough,
                what="the tasks",
                timeout=RESUME_SECONDS,
                every=2,
            )
        states = self.airflow.api.states(dag_id, self._run_id)
        ended = [
            index for (_, index), state in states.items() if index >= 0 and state in ("success", "failed")
        ]
        lost = [] if len(ended) >= enough else [f"only {len(ended)} of {enough} tasks of waits ended"]
        for index in ended:
            image = self.airflow.api.xcom(dag_id, self._run_id, "wait", map_index=index)
            if not image or image["fileID"] != files[self._submissions[index]["taskID"]]:
                lost.append(f"wait {index}: its task returned {image}")
        self._ended = len(ended)
        return lost

    def batches_fact(self) -> str:
        """Return how many batches there were."""
        if self._control:
            return f"{len(self._batches)} batches"
        return f"{len(self._batches)} batches of {BATCH_IMAGES} new images; workers ended {self._ended} tasks of waits"

    def openlineage_events(self) -> int:
        """Return how many events OpenLineage wrote."""
        path = self._home / "openlineage" / "events.jsonl"
        return len(path.read_text().splitlines()) if path.exists() else 0
