"""The DAG whose runs the screenshots and the benchmark of the page show."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import Param, dag, task

from airflow_provider_123pan.operators.images import Pan123CheckImagesOperator
from airflow_provider_123pan.operators.sync_images import Pan123SyncImagesOperator


@dag(schedule=None, params={"albums": Param({}, type="object"), "results": Param("", type="string")})
def photo_archive() -> None:
    """Sync each album, a list of URLs, into a directory of its own, and check all that is stored."""

    @task
    def albums(**context: Any) -> list[dict[str, Any]]:
        """Return the arguments of each mapped `sync` task."""
        params, run_id = context["params"], context["run_id"]
        return [
            {
                "images": urls,
                "directory": f"archive/{run_id}/{name}",
                "results": f"{params['results']}/{run_id}-{name}.csv",
            }
            for name, urls in params["albums"].items()
        ]

    sync = Pan123SyncImagesOperator.partial(
        task_id="sync", max_failures="100%", deferrable=True, timeout=timedelta(hours=1)
    ).expand_kwargs(albums())
    check = Pan123CheckImagesOperator(task_id="check", directory="archive/{{ run_id }}", max_failures="100%")
    sync >> check


photo_archive()
