"""Measure imports: the package alone, and the operators and the sensor on top of ``airflow.sdk``.

python -m tests.benchmarks.imports
"""

from __future__ import annotations

import statistics
import subprocess
import sys

RUNS = 15
SDK = "from airflow.sdk import DAG, BaseOperator, BaseSensorOperator, PokeReturnValue, conf, task"
PACKAGE = "import airflow_provider_123pan"
OPERATORS = "; ".join(
    f"import airflow_provider_123pan.{module}"
    for module in ("operators.offline_download", "operators.sync_images", "sensors.offline_download")
)


def milliseconds(before: str, measured: str) -> float:
    """Return how many milliseconds the statements `measured` take in a new interpreter after `before`."""
    code = (
        f"import sys, time; {before}; start = time.perf_counter(); {measured}; "
        "print((time.perf_counter() - start) * 1000)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return float(run.stdout.split()[-1])


def main() -> None:
    """Run the benchmark."""
    for what, before, measured, goal in (
        ("airflow_provider_123pan alone", "pass", PACKAGE, 5),
        ("operators and the sensor on top of airflow.sdk", SDK, OPERATORS, 30),
    ):
        times = [milliseconds(before, measured) for _ in range(RUNS)]
        print(f"{what}: median {statistics.median(times):.1f} ms, worst {max(times):.1f} ms (goal {goal} ms)")


if __name__ == "__main__":
    main()
