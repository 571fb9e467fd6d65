"""Each image of a list is submitted, and waited for in the triggerer."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import Param, dag, task, task_group

from airflow_provider_123pan.operators.offline_download import Pan123OfflineDownloadOperator
from airflow_provider_123pan.sensors.offline_download import Pan123OfflineDownloadSensor

CONN_ID = "pan123_callbacks"


@dag(schedule=None, params={"urls": Param(["https://example.com/a.png"], type="array")})
def pan123_callbacks() -> None:
    @task
    def addresses(**context: Any) -> list[str]:
        return list(context["params"]["urls"])

    @task_group
    def migrate(url: str) -> None:
        submit = Pan123OfflineDownloadOperator(
            task_id="submit", url=url, use_callback=True, pan123_conn_id=CONN_ID
        )
        Pan123OfflineDownloadSensor(
            task_id="wait",
            submission=submit.output,
            deferrable=True,
            poke_interval=3600,  # only a callback or the safety net ends the wait
            timeout=timedelta(minutes=5),
            # A wait that ends within seconds of its deferral: the scheduler may hear of the latter too late, and then
            # takes it for a failure.
            retries=3,
            retry_delay=timedelta(seconds=1),
            pan123_conn_id=CONN_ID,
        )

    migrate.expand(url=addresses())


pan123_callbacks()
