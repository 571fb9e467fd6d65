"""What a task finds in a worker's process, for tests that run a task in one, to kill or to measure it."""

from __future__ import annotations

import json
import multiprocessing
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from airflow.sdk.execution_time.context import OutletEventAccessors

from airflow_provider_123pan.account import account
from airflow_provider_123pan.account.token import LoginTiming

# A process that has imported what a task needs once; each worker is a fork of it.
processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(
    [
        __name__,
        "charset_normalizer",
        "tests.support",
        *("airflow.providers.amazon.aws.hooks.s3", "s3fs"),  # of make test-s3 alone
        *(
            f"airflow_provider_123pan.{name}"
            for name in (
                "hooks.pan123",
                "operators.migrate_pages",
                "operators.sync_images",
                "pages.migration",
                "service.client",
                "service.upload",
                "sync.run",
            )
        ),
    ]
)


def connections() -> dict[str, str]:
    """Return the environment variables that define connections, which a worker does not inherit."""
    return {name: value for name, value in os.environ.items() if name.startswith("AIRFLOW_CONN_")}


def enter(defined: dict[str, str], memory: Path) -> dict[str, Any]:
    """Make this process a worker, and return the context of its task.

    :param defined: the connections.
    :param memory: a folder for what Airflow keeps between two tries.
    """
    os.environ |= defined
    variables = _Variables()
    setattr(account, "AirflowVariables", lambda: variables)  # noqa: B010 (mypy refuses the assignment)
    account.login_timing = LoginTiming(settle_seconds=0.0)
    names = {"dag_id": "dag", "run_id": "run", "task_id": "task", "map_index": -1, "max_tries": 0}
    return {
        "ti": SimpleNamespace(**names, xcom_push=lambda *_: None),
        "task_state_store": _Store(memory / "store"),
        "outlet_events": OutletEventAccessors(),
    }


class _Store:
    """Airflow's ``task_state_store`` of one task, in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def get(self, key: str) -> Any:
        return self._values().get(key)

    def set(self, key: str, value: Any) -> None:
        self._write(self._values() | {key: value})

    def delete(self, key: str) -> None:
        self._write({name: value for name, value in self._values().items() if name != key})

    def _values(self) -> dict[str, Any]:
        values: dict[str, Any] = json.loads(self._path.read_text()) if self._path.exists() else {}
        return values

    def _write(self, values: dict[str, Any]) -> None:
        unfinished = self._path.with_suffix(".new")
        unfinished.write_text(json.dumps(values))
        unfinished.replace(self._path)


class _Variables:
    """Airflow's Variables; the sandbox has no rate limit."""

    def __init__(self) -> None:
        self._values: dict[str, str] = {}

    def get(self, name: str) -> str | None:
        is_rate = name.startswith("pan123_rate__")
        return '{"rate": 1000.0, "process": "0123abcd"}' if is_rate else self._values.get(name)

    def set(self, name: str, value: str, description: str) -> None:
        self._values[name] = value
