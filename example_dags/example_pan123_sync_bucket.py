"""Migrate the images of a bucket every night.

This DAG shows how to sync from a manifest. `listing` lists the bucket, on any storage that Airflow's object storage
supports: S3, Google Cloud Storage, a local folder. It writes a manifest with the public URL and the size of each image,
and returns only its path, because millions of lines do not fit into an XCom. `sync` submits the images that are missing
from the directory `bucket` or that have another size there.

123pan downloads the objects itself, so they must be public below `base_url`. All workers must have access to the folder
`work`.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

from airflow.sdk import Param, dag, task

from airflow_provider_123pan.operators.sync_images import Pan123SyncImagesOperator
from airflow_provider_123pan.sources import from_bucket


@dag(
    schedule="0 3 * * *",
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    max_active_runs=1,
    tags=["example", "123pan"],
    doc_md=__doc__,
    params={
        "bucket": Param("s3://my-bucket/images", type="string", title="Folder with the images"),
        "base_url": Param(
            "https://my-bucket.s3.amazonaws.com/images",
            type="string",
            format="uri",
            title="Public URL of that folder",
        ),
        "work": Param("s3://my-bucket/123pan", type="string", title="Folder for manifests and results"),
    },
)
def example_pan123_sync_bucket() -> None:
    """Migrate the images of `bucket` that are new or changed."""

    @task(retries=3)
    def listing(**context: Any) -> str:
        """Write a manifest of all images in the bucket, subfolders included, and return its path."""
        params, day = context["params"], context["dag_run"].run_after.date()
        manifest = f"{params['work']}/{day}-manifest.jsonl"
        return from_bucket(params["bucket"], params["base_url"], manifest)

    manifest: Any = listing()
    Pan123SyncImagesOperator(
        task_id="sync",
        manifest=manifest,
        directory="bucket",
        results="{{ params.work }}/{{ dag_run.run_after | ds }}-results.jsonl",
        deferrable=True,
        timeout=timedelta(hours=20),
        retries=3,
    )


example_pan123_sync_bucket()
