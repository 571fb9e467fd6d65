"""A sync."""

from __future__ import annotations

from airflow.sdk import dag

from airflow_provider_123pan.operators.sync_images import Pan123SyncImagesOperator


@dag(schedule=None, params={"manifest": "", "directory": "", "results": ""})
def benchmark_sync() -> None:
    """Sync a manifest in one task."""
    Pan123SyncImagesOperator(
        task_id="sync",
        manifest="{{ params.manifest }}",
        directory="{{ params.directory }}",
        results="{{ params.results }}",
        deferrable=True,
    )


benchmark_sync()
