"""A large migration in partitions: one directory, one manifest and one task each.

A folder holds a CSV file for each directory: the lines of `2025.csv`, with the header `url[,file_name][,size][,md5]`,
go into `archive/2025`. `sync` is mapped over the files, so that each directory has its own retries, log, results and
colour in the grid, and one that fails leaves the others alone. Clear a task to go on with it: what has arrived is not
submitted again.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import ObjectStoragePath, Param, dag, task

from airflow_provider_123pan.operators.sync_images import Pan123SyncImagesOperator


@dag(
    schedule=None,
    tags=["example", "123pan"],
    doc_md=__doc__,
    params={
        "manifests": Param("s3://my-bucket/manifests", type="string", title="Folder of the manifests"),
        "results": Param("s3://my-bucket/results", type="string", title="Folder for the results"),
    },
)
def example_pan123_sync_partitions() -> None:
    @task(retries=3)
    def partitions(**context: Any) -> list[dict[str, str]]:
        """What each copy of `sync` gets as its arguments."""
        params = context["params"]
        files = sorted(ObjectStoragePath(params["manifests"]).glob("*.csv"), key=str)
        return [
            {
                "manifest": str(file),
                "directory": f"archive/{file.stem}",
                "results": f"{params['results']}/{file.stem}.csv",
            }
            for file in files
        ]

    Pan123SyncImagesOperator.partial(
        task_id="sync",
        deferrable=True,
        timeout=timedelta(days=3),
        retries=3,
        max_active_tis_per_dagrun=4,  # they share what the service allows; more at once end no sooner
    ).expand_kwargs(partitions())


example_pan123_sync_partitions()
