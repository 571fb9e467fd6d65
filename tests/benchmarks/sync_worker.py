"""A worker of the sync benchmark: runs the operator in a process of its own, with as much of Airflow as a task sees.

python -m tests.benchmarks.sync_worker '{"manifest": …, and the operator's other arguments}'
"""

from __future__ import annotations

import json
import re
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

from airflow.sdk.execution_time.context import OutletEventAccessors

from airflow_provider_123pan.hooks.pan123 import Pan123Hook
from airflow_provider_123pan.operators.sync_images import Pan123SyncImagesOperator


class Memory:
    """Airflow's Variables, or its ``task_state_store``, without a supervisor to ask."""

    def __init__(self) -> None:
        self._values: dict[str, str] = {}

    def get(self, name: str) -> Any:
        return self._values.get(name)

    def set(self, name: str, value: Any, description: str = "") -> None:
        self._values[name] = value if isinstance(value, str) else json.dumps(value)

    def delete(self, name: str) -> None:
        self._values.pop(name, None)


def context() -> Any:
    task = {"dag_id": "benchmark", "run_id": "manual", "task_id": "sync", "map_index": -1, "max_tries": 0}
    return {
        "ti": SimpleNamespace(**task, xcom_push=lambda *_: None),
        "task_state_store": Memory(),
        "outlet_events": OutletEventAccessors(),
    }


def megabytes(what: str) -> float:
    """``VmRSS``, or ``VmHWM``, its peak: unlike ``ru_maxrss`` they owe nothing to the parent."""
    found = re.search(rf"{what}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found
    return int(found[1]) * 1024 / 1e6


def main() -> None:
    variables = Memory()
    with mock.patch("airflow_provider_123pan.account.account.AirflowVariables", return_value=variables):
        Pan123Hook().client.token()  # which lives for 30 days: nearly every task finds one
        before, began, worked = megabytes("VmRSS"), time.monotonic(), time.process_time()
        found = Pan123SyncImagesOperator(task_id="sync", **json.loads(sys.argv[1])).execute(context())
        figures = {
            "seconds": time.monotonic() - began,
            "cpu": time.process_time() - worked,
            "before": before,
            "peak": megabytes("VmHWM"),
        }
    print(json.dumps(found | figures))


if __name__ == "__main__":
    main()
