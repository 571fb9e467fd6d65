"""The calls of Airflow's REST API that the demo and the system tests need."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import requests

from dev.waiting import wait_for

FINISHED = {"success", "failed"}
MAX_TRIES = 20
RETRY_SECONDS = 0.5


class AirflowAPI:
    """A client of Airflow's REST API that logs in when it makes the first call."""

    def __init__(self, base_url: str, *, username: str, password: str) -> None:
        """Use the API server at this base URL."""
        self.base_url = base_url
        self._login = {"username": username, "password": password}
        self._session = requests.Session()
        self._session.trust_env = False  # the server is on loopback: use no proxy and no .netrc

    def call(self, method: str, path: str, **kwargs: Any) -> Any:
        """Call a path below /api/v2.

        :param kwargs: further arguments for ``requests``, such as ``json``.
        :returns: the JSON answer, or None if the answer is empty.
        :raises requests.HTTPError: with the text of the answer.
        """
        if "Authorization" not in self._session.headers:
            reply = self._session.post(f"{self.base_url}/auth/token", json=self._login, timeout=30)
            reply.raise_for_status()
            self._session.headers["Authorization"] = f"Bearer {reply.json()['access_token']}"
        reply = self._request(method, path, **kwargs)
        if not reply.ok:
            raise requests.HTTPError(
                f"{method} {path}: {reply.status_code} {reply.text[:1000]}", response=reply
            )
        return reply.json() if reply.content else None

    def _request(self, method: str, path: str, **kwargs: Any) -> requests.Response:
        """Send a request, and repeat it while the server answers 500.

        On SQLite a write fails if another process has written since the transaction began to read. Airflow then rolls
        back and answers 500; 3.2 does not give the reason (observed).
        """
        for tries_left in reversed(range(MAX_TRIES)):
            reply = self._session.request(method, f"{self.base_url}/api/v2{path}", timeout=60, **kwargs)
            if reply.status_code != 500 or not tries_left:
                break
            time.sleep(RETRY_SECONDS)
        return reply

    def _find(self, path: str, **kwargs: Any) -> dict[str, Any] | None:
        """Return the answer to a GET, or None if it is 404."""
        try:
            found: dict[str, Any] = self.call("GET", path, **kwargs)
        except requests.HTTPError as error:
            if error.response is not None and error.response.status_code == 404:
                return None
            raise
        return found

    def health(self) -> dict[str, str | None]:
        """Return the status of each component: "healthy", "unhealthy", or None if it never ran. Needs no login."""
        reply = self._session.get(f"{self.base_url}/api/v2/monitor/health", timeout=10)
        reply.raise_for_status()
        return {name: part["status"] for name, part in reply.json().items()}

    # --- connections and Variables ------------------------------------------------------------------

    def connection(self, conn_id: str) -> dict[str, Any] | None:
        """Return a connection, or None."""
        return self._find(f"/connections/{conn_id}")

    def set_connection(self, conn_id: str, *, extra: Mapping[str, Any] | None = None, **fields: Any) -> None:
        """Create a connection, or replace the one with this ID."""
        if self.connection(conn_id):
            self.call("DELETE", f"/connections/{conn_id}")
        body = {"connection_id": conn_id, "extra": json.dumps(extra) if extra else None, **fields}
        self.call("POST", "/connections", json=body)

    def set_variable(self, key: str, value: Any) -> None:
        """Create or replace a Variable; its value is stored as JSON."""
        try:
            self.call("DELETE", f"/variables/{key}")
        except requests.HTTPError as error:
            if error.response is None or error.response.status_code != 404:
                raise
        self.call("POST", "/variables", json={"key": key, "value": json.dumps(value)})

    # --- DAGs and runs -------------------------------------------------------------------------------

    def import_errors(self) -> dict[str, str]:
        """Return the traceback of each DAG file that cannot be imported, by file name."""
        errors = self.call("GET", "/importErrors")["import_errors"]
        return {error["filename"]: error["stack_trace"] for error in errors}

    def has_dag(self, dag_id: str) -> bool:
        """Return whether Airflow has parsed a DAG with this ID."""
        return any(
            dag["dag_id"] == dag_id for dag in self.call("GET", "/dags", params={"limit": 100})["dags"]
        )

    def trigger(
        self, dag_id: str, conf: Mapping[str, Any] | None = None, *, run_id: str | None = None
    ) -> str:
        """Unpause a DAG, start a run, and return the run's ID."""
        self.call("PATCH", f"/dags/{dag_id}", json={"is_paused": False})
        body = {"logical_date": None, "dag_run_id": run_id, "conf": dict(conf or {})}
        return str(self.call("POST", f"/dags/{dag_id}/dagRuns", json=body)["dag_run_id"])

    def run(self, dag_id: str, run_id: str) -> dict[str, Any]:
        """Return a run."""
        found: dict[str, Any] = self.call("GET", f"/dags/{dag_id}/dagRuns/{run_id}")
        return found

    def run_state(self, dag_id: str, run_id: str) -> str:
        """Return the state of a run."""
        return str(self.run(dag_id, run_id)["state"])

    def wait_for_run(self, dag_id: str, run_id: str, *, timeout: float = 300) -> str:
        """Wait until a run has ended, and return its state."""

        def ended() -> str | None:
            state = self.run_state(dag_id, run_id)
            return state if state in FINISHED else None

        return wait_for(ended, what=f"the end of {dag_id}, run {run_id}", timeout=timeout, every=0.5)

    def task_instances(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """Return all task instances of a run, with the mapped ones."""
        found: list[dict[str, Any]] = []
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances"
        while True:
            page = self.call("GET", path, params={"limit": 100, "offset": len(found)})
            found += page["task_instances"]
            if not page["task_instances"] or len(found) >= page["total_entries"]:
                return found

    def states(self, dag_id: str, run_id: str) -> dict[tuple[str, int], str | None]:
        """Return the state of each task instance of a run by task ID and map index."""
        return {
            (task["task_id"], task["map_index"]): task["state"]
            for task in self.task_instances(dag_id, run_id)
        }

    def xcom(
        self, dag_id: str, run_id: str, task_id: str, key: str = "return_value", map_index: int = -1
    ) -> Any:
        """Return an XCom, or None."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/{key}"
        found = self._find(path, params={"map_index": map_index, "deserialize": True})
        return found["value"] if found else None

    def approval(self, dag_id: str, run_id: str, task_id: str) -> dict[str, Any] | None:
        """Return what a task asks a person, with the answer, or None if it has not asked yet."""
        return self._find(_approval_path(dag_id, run_id, task_id))

    def answer(self, dag_id: str, run_id: str, task_id: str, option: str) -> None:
        """Answer what a task asks a person, as the UI does."""
        self.call("PATCH", _approval_path(dag_id, run_id, task_id), json={"chosen_options": [option]})

    def log_events(
        self, dag_id: str, run_id: str, task_id: str, *, map_index: int = -1, attempt: int = 1
    ) -> list[dict[str, Any]]:
        """Return what a try of a task logged, with its trigger."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/logs/{attempt}"
        content = self.call("GET", path, params={"map_index": map_index, "full_content": True})["content"]
        return [event if isinstance(event, dict) else {"event": event} for event in content]

    def log(self, dag_id: str, run_id: str, task_id: str, *, map_index: int = -1, attempt: int = 1) -> str:
        """Return what a try of a task logged as text, one event per line."""
        events = self.log_events(dag_id, run_id, task_id, map_index=map_index, attempt=attempt)
        return "\n".join(map(_line, events))

    def error(
        self, dag_id: str, run_id: str, task_id: str, *, map_index: int = -1, attempt: int = 1
    ) -> str | None:
        """Return why a try of a task failed, in one line, or None if its log has no error."""
        events = self.log_events(dag_id, run_id, task_id, map_index=map_index, attempt=attempt)
        for event in reversed(events):
            if detail := event.get("error_detail"):
                return f"{detail[0]['exc_type']}: {detail[0]['exc_value']}"
        return None

    def logged_at(
        self, dag_id: str, run_id: str, task_id: str, begins: str, *, map_index: int = -1, attempt: int = 1
    ) -> float | None:
        """Return when a try logged the first event that begins with `begins`, in Unix seconds, or None.

        A trigger's log begins with `trigger … starting` and ends with `Trigger fired event`.
        """
        for event in self.log_events(dag_id, run_id, task_id, map_index=map_index, attempt=attempt):
            if event["event"].startswith(begins):
                return datetime.fromisoformat(event["timestamp"].replace("Z", "+00:00")).timestamp()
        return None

    def clear(self, dag_id: str, run_id: str, *task_ids: str) -> None:
        """Clear tasks of a run, as "Clear task" does in the UI."""
        body = {"dry_run": False, "dag_run_id": run_id, "task_ids": list(task_ids), "only_failed": False}
        self.call("POST", f"/dags/{dag_id}/clearTaskInstances", json=body)


def _approval_path(dag_id: str, run_id: str, task_id: str) -> str:
    return f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/-1/hitlDetails"


def _line(event: dict[str, Any]) -> str:
    fields = {
        key: value for key, value in event.items() if key not in {"timestamp", "level", "event"} and value
    }
    details = f" {json.dumps(fields, ensure_ascii=False)}" if fields else ""
    return f"{event.get('timestamp', '')} {event.get('level', '')} {event.get('event', '')}{details}"
