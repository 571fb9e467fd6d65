"""Migrate many images, each in its own tasks.

This DAG shows how to keep the images of a run independent: if one fails, the others continue. The task group `migrate`
is mapped over the list of source URLs, so each image has its own `submit` and `wait` tasks with their own retries and
log. `collect` returns the new URL of every image that arrived, even if others failed. The run succeeds only if all
images arrived, because `all_arrived` requires every `wait` to succeed.

Pass the source URLs as the parameter `urls`. Airflow maps a task over at most 1,024 items, unless you raise
`[core] max_map_length`. For longer lists, see `example_pan123_sync_partitions`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import Param, TriggerRule, dag, task, task_group

from airflow_provider_123pan.operators.offline_download import Pan123OfflineDownloadOperator
from airflow_provider_123pan.sensors.offline_download import Pan123OfflineDownloadSensor


@dag(
    schedule=None,
    tags=["example", "123pan"],
    doc_md=__doc__,
    params={
        "urls": Param(
            ["https://example.com/cat.jpg", "https://example.com/dog.png"],
            type="array",
            items={"type": "string", "format": "uri"},
            title="Source URLs",
        ),
    },
)
def example_pan123_many_images() -> None:
    """Migrate the images of the parameter `urls`."""

    @task
    def source_urls(**context: Any) -> list[str]:
        """Return the source URLs without duplicates."""
        return list(dict.fromkeys(context["params"]["urls"]))

    @task_group
    def migrate(url: str) -> None:
        """Submit one image and wait for it."""
        submit = Pan123OfflineDownloadOperator(task_id="submit", url=url, retries=3)
        Pan123OfflineDownloadSensor(
            task_id="wait",
            submission=submit.output,
            deferrable=True,
            timeout=timedelta(hours=1),
            retries=3,
        )

    @task(trigger_rule=TriggerRule.ALL_DONE)
    def collect(**context: Any) -> dict[str, str]:
        """Return the new URL of every image that arrived, by source URL."""
        images = context["ti"].xcom_pull(task_ids=["migrate.wait"])
        return {image["url"]: image["user_url"] or image["download_url"] for image in images if image}

    migrated = migrate.expand(url=source_urls())
    migrated >> collect()
    migrated >> EmptyOperator(task_id="all_arrived")


example_pan123_many_images()
