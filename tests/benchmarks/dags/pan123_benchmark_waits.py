"""Tasks that wait: they stay paused, because the benchmark puts their triggers into the database."""

from __future__ import annotations

from airflow.sdk import dag

from airflow_provider_123pan.sensors.offline_download import Pan123OfflineDownloadSensor

MAX_WAITS = 1000


@dag(schedule=None, is_paused_upon_creation=True)
def benchmark_waits() -> None:
    """Wait for offline tasks."""
    Pan123OfflineDownloadSensor.partial(task_id="wait", deferrable=True).expand(
        submission=[str(number) for number in range(MAX_WAITS)]
    )


benchmark_waits()
