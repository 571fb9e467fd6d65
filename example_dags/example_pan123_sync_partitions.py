"""Migrate a large archive in partitions.

This DAG shows how to split a large migration. A folder holds one manifest per partition: the images of `2025.csv`, a
CSV file with the header `url[,file_name][,size][,md5]`, go into the directory `archive/2025`. `sync` is mapped over the
manifests, so each partition has its own task, retries, log and results, and a failure does not affect the others. To
continue a failed partition, clear its task: images that have arrived are not submitted again.
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
        "manifests": Param("s3://my-bucket/manifests", type="string", title="Folder with the manifests"),
        "results": Param("s3://my-bucket/results", type="string", title="Folder for the results"),
    },
)
def example_pan123_sync_partitions() -> None:
    """Migrate the images of each manifest in the folder `manifests`."""

    @task(retries=3)
    def partitions(**context: Any) -> list[dict[str, str]]:
        """Return the arguments of each mapped `sync` task."""
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
        max_active_tis_per_dagrun=4,  # they share one rate limit, so more tasks would not be faster
    ).expand_kwargs(partitions())


example_pan123_sync_partitions()
