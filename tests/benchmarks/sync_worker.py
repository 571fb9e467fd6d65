"""Run the operator of a benchmark, with as much of Airflow as a task sees.

python -m tests.benchmarks.sync_worker '{"manifest": …, and the operator's other arguments}'

With ``pages`` among the arguments, the operator is the one that migrates pages. ``found_rate`` is the rate that earlier
tasks found, in requests per second; by default none has run. ``variables`` is the path of a file that keeps Airflow's
Variables for the next process.
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
from airflow_provider_123pan.operators.migrate_pages import Pan123MigratePagesOperator
from airflow_provider_123pan.operators.sync_images import Pan123SyncImagesOperator
from tests.benchmarks.variables import Memory


def context() -> Any:
    """Return the parts of a task's context that the operator uses."""
    task = {"dag_id": "benchmark", "run_id": "manual", "task_id": "sync", "map_index": -1, "max_tries": 0}
    return {
        "ti": SimpleNamespace(**task, xcom_push=lambda *_: None),
        "task_state_store": Memory(),
        "outlet_events": OutletEventAccessors(),
    }


def megabytes(what: str) -> float:
    """Return the memory of this process in MB.

    :param what: ``VmRSS`` for the current value, ``VmHWM`` for the peak; unlike ``ru_maxrss``, that of the parent
        process does not count.
    """
    found = re.search(rf"{what}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found
    return int(found[1]) * 1024 / 1e6


def main() -> None:
    """Run the operator with the arguments of the command line, and print its result with the figures as JSON."""
    arguments = json.loads(sys.argv[1])
    variables = Memory(arguments.pop("found_rate", None))
    kept = arguments.pop("variables", None)
    if kept and Path(kept).exists():
        variables.values = json.loads(Path(kept).read_text())
    operator = Pan123MigratePagesOperator if "pages" in arguments else Pan123SyncImagesOperator
    with mock.patch("airflow_provider_123pan.account.account.AirflowVariables", return_value=variables):
        Pan123Hook().client.token()  # a token lives for at least 30 days, so nearly every task finds one
        before, started, cpu_before = megabytes("VmRSS"), time.monotonic(), time.process_time()
        found = operator(task_id="sync", **arguments).execute(context())
        figures = {
            "seconds": time.monotonic() - started,
            "cpu": time.process_time() - cpu_before,
            "before": before,
            "peak": megabytes("VmHWM"),
        }
    if kept:
        Path(kept).write_text(json.dumps(variables.values))
    print(json.dumps(found | figures))


if __name__ == "__main__":
    main()
