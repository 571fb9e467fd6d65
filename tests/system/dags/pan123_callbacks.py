"""Submits each image of a list and waits for it in the triggerer."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import Param, dag, task, task_group

from airflow_provider_123pan.operators.offline_download import Pan123OfflineDownloadOperator
from airflow_provider_123pan.sensors.offline_download import Pan123OfflineDownloadSensor


@dag(
    schedule=None,
    # A busy scheduler may treat a task as failed whose deferral ends within seconds, and on SQLite, an API server that
    # waits for a lock may fail a task that asks it for something.
    default_args={"retries": 3, "retry_delay": timedelta(seconds=1)},
    params={
        "urls": Param(["https://example.com/a.png"], type="array"),
        "pan123_conn_id": "pan123_callbacks",
    },
)
def pan123_callbacks() -> None:
    """Submit the images of `urls`, and wait for each in the triggerer."""

    @task
    def urls(**context: Any) -> list[str]:
        return list(context["params"]["urls"])

    @task_group
    def migrate(url: str) -> None:
        submit = Pan123OfflineDownloadOperator(
            task_id="submit", url=url, use_callback=True, pan123_conn_id="{{ params.pan123_conn_id }}"
        )
        Pan123OfflineDownloadSensor(
            task_id="wait",
            submission=submit.output,
            deferrable=True,
            poke_interval=3600,  # only a callback or the fallback poll ends the wait
            timeout=timedelta(minutes=5),
            pan123_conn_id="{{ params.pan123_conn_id }}",
        )

    migrate.expand(url=urls())


pan123_callbacks()
