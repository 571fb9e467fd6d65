"""A mapped pair of tasks for each image."""

from __future__ import annotations

from airflow.sdk import dag, task_group

from airflow_provider_123pan.operators.offline_download import Pan123OfflineDownloadOperator
from airflow_provider_123pan.sensors.offline_download import Pan123OfflineDownloadSensor

MAPPED = 10


@dag(schedule=None)
def benchmark_mapped() -> None:
    """Submit each image in a task, and wait for it in another."""

    @task_group
    def migrate(url: str) -> None:
        submit = Pan123OfflineDownloadOperator(task_id="submit", url=url)
        Pan123OfflineDownloadSensor(
            task_id="wait", submission=submit.output, deferrable=True, poke_interval=5
        )

    migrate.expand(url=[f"https://example.com/mapped/{number}.jpg" for number in range(MAPPED)])


benchmark_mapped()
