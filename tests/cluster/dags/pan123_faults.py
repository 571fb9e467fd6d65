"""Images in each of the four ways, with enough retries for any fault."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import Param, dag, task

from airflow_provider_123pan.operators.images import Pan123UploadImagesOperator
from airflow_provider_123pan.operators.migrate_pages import Pan123MigratePagesOperator
from airflow_provider_123pan.operators.offline_download import Pan123OfflineDownloadOperator
from airflow_provider_123pan.operators.sync_images import Pan123SyncImagesOperator

# Without an API server no worker can start, and each failed start counts as a try.
ARGUMENTS = {"retries": 30, "retry_delay": timedelta(seconds=5)}
FILES = {"folder": Param("/tmp/round", type="string"), "name": Param("round", type="string")}


@dag(
    schedule=None, default_args=ARGUMENTS, params={"urls": Param(["https://example.com/a.png"], type="array")}
)
def pan123_faults_mapped() -> None:
    """Migrate each image of `urls` in a task of its own."""

    @task
    def urls(**context: Any) -> list[str]:
        return list(context["params"]["urls"])

    Pan123OfflineDownloadOperator.partial(
        task_id="migrate",
        use_callback=True,
        wait_for_completion=True,
        deferrable=True,
        poke_interval=10,
        timeout=timedelta(minutes=15),
    ).expand(url=urls())


@dag(schedule=None, default_args=ARGUMENTS, params=FILES)
def pan123_faults_sync() -> None:
    """Sync the images that `images.txt` in the folder lists."""
    Pan123SyncImagesOperator(
        task_id="migrate",
        manifest="{{ params.folder }}/images.txt",
        results="{{ params.folder }}/sync.jsonl",
        directory="{{ params.name }}-sync",
        use_callback=True,
        deferrable=True,
    )


@dag(schedule=None, default_args=ARGUMENTS, params=FILES)
def pan123_faults_pages() -> None:
    """Migrate the images of `pages` in the folder."""
    Pan123MigratePagesOperator(
        task_id="migrate",
        pages="{{ params.folder }}/pages",
        journal="{{ params.folder }}/journal",
        directory="{{ params.name }}-pages",
        use_callback=True,
        deferrable=True,
    )


@dag(schedule=None, default_args=ARGUMENTS, params=FILES)
def pan123_faults_uploads() -> None:
    """Upload the images of `uploads` in the folder."""
    Pan123UploadImagesOperator(
        task_id="migrate",
        source="{{ params.folder }}/uploads",
        results="{{ params.folder }}/uploads.jsonl",
        directory="{{ params.name }}-uploads",
    )


pan123_faults_mapped()
pan123_faults_sync()
pan123_faults_pages()
pan123_faults_uploads()
