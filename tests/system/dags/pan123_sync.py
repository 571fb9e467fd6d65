"""A sync with more retries than the test kills workers."""

from __future__ import annotations

from airflow.sdk import dag

from airflow_provider_123pan.operators.sync_images import Pan123SyncImagesOperator


@dag(schedule=None, params={"manifest": "", "results": ""})
def pan123_sync() -> None:
    """Sync the images of `manifest`."""
    Pan123SyncImagesOperator(
        task_id="sync",
        manifest="{{ params.manifest }}",
        results="{{ params.results }}",
        directory="photos/2026",
        deferrable=True,
        retries=30,
        retry_delay=1,
    )


pan123_sync()
