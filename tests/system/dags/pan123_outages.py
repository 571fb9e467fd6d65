"""Submits each image of a list and waits for it in one task with many retries."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import Param, dag, task

from airflow_provider_123pan.operators.offline_download import Pan123OfflineDownloadOperator


@dag(
    schedule=None,
    params={"urls": Param(["https://example.com/a.png"], type="array")},
)
def pan123_outages() -> None:
    """Migrate the images of `urls`."""

    @task(retries=3, retry_delay=timedelta(seconds=1))
    def urls(**context: Any) -> list[str]:
        return list(context["params"]["urls"])

    Pan123OfflineDownloadOperator.partial(
        task_id="migrate",
        use_callback=True,
        wait_for_completion=True,
        deferrable=True,
        poke_interval=5,
        timeout=timedelta(minutes=15),
        # Without an API server no worker can start, and each failed start counts as a try.
        retries=20,
        retry_delay=timedelta(seconds=5),
    ).expand(url=urls())


pan123_outages()
