"""Each image of a list is submitted and waited for by one task, which may be tried often."""

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
    @task
    def addresses(**context: Any) -> list[str]:
        return list(context["params"]["urls"])

    Pan123OfflineDownloadOperator.partial(
        task_id="migrate",
        use_callback=True,
        wait_for_completion=True,
        deferrable=True,
        poke_interval=5,
        timeout=timedelta(minutes=15),
        # Without an API server no worker can start, and each start that fails is a try.
        retries=20,
        retry_delay=timedelta(seconds=5),
    ).expand(url=addresses())


pan123_outages()
