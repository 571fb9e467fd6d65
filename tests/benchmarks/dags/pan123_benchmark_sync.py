"""One sync for all images, one mapped HttpOperator per image, and a mapped pair of this provider's tasks per image."""

from __future__ import annotations

import json
from typing import Any

from airflow.providers.http.operators.http import HttpOperator
from airflow.sdk import dag, task_group

from airflow_provider_123pan.operators.offline_download import Pan123OfflineDownloadOperator
from airflow_provider_123pan.operators.sync_images import Pan123SyncImagesOperator
from airflow_provider_123pan.sensors.offline_download import Pan123OfflineDownloadSensor

MAPPED = 100


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


def created(response: Any) -> bool:
    """Return whether the service created the offline task; it reports errors under HTTP 200 too."""
    return bool(response.json()["code"] == 0)


@dag(schedule=None)
def benchmark_http() -> None:
    """Create an offline task per image."""
    images = [f"https://example.com/mapped/{number}.jpg" for number in range(MAPPED)]
    HttpOperator.partial(
        task_id="submit",
        http_conn_id="benchmark_http",
        endpoint="/api/v1/oss/offline/download",
        response_check=created,
    ).expand(data=[json.dumps({"url": url, "type": 1}) for url in images])


@dag(schedule=None)
def benchmark_mapped() -> None:
    """Submit each image in a task, and wait for it in another."""

    @task_group
    def migrate(url: str) -> None:
        submit = Pan123OfflineDownloadOperator(task_id="submit", url=url)
        Pan123OfflineDownloadSensor(task_id="wait", submission=submit.output, deferrable=True)

    migrate.expand(url=[f"https://example.com/mapped/{number}.jpg" for number in range(MAPPED)])


benchmark_sync()
benchmark_mapped()
benchmark_http()
