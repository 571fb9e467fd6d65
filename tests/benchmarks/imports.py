"""Measure imports: the package alone, and on top of ``airflow.sdk`` its operators and sensor and the HTTP provider's.

python -m tests.benchmarks.imports
"""

from __future__ import annotations

import subprocess
import sys
from functools import partial

from tests.benchmarks.report import Arguments, beside, finish, take_turns

SDK = "from airflow.sdk import DAG, BaseOperator, BaseSensorOperator, PokeReturnValue, conf, task"
PEER = "HTTP provider's operator and sensor"
IMPORTS = {
    "this package alone, without `airflow.sdk`": ("pass", "airflow_provider_123pan"),
    "its operators and sensor": (
        SDK,
        ", ".join(
            f"airflow_provider_123pan.{module}"
            for module in ("operators.offline_download", "operators.sync_images", "sensors.offline_download")
        ),
    ),
    PEER: (SDK, "airflow.providers.http.operators.http, airflow.providers.http.sensors.http"),
}


def cpu_milliseconds(before: str, modules: str) -> dict[str, float]:
    """Return the CPU time of the import of modules in a new interpreter after the statement `before`."""
    code = (
        f"import time; {before}; start = time.process_time(); import {modules}; "
        "print((time.process_time() - start) * 1000)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {"CPU-ms": float(run.stdout.split()[-1])}


def main() -> None:
    """Run the benchmark."""
    rounds = Arguments(__doc__, rounds=15).parse_args().rounds
    sides = {name: partial(cpu_milliseconds, *what) for name, what in IMPORTS.items()}
    finish("imports", beside(take_turns(sides, rounds), PEER, what="Import"))


if __name__ == "__main__":
    main()
