"""Many images, each one on its own: the failure of one leaves all the others alone.

The group `migrate` is mapped over the list of addresses, so each image has its own pair of `submit` and `wait`,
with its own retries, log and colour in the grid. `collect` runs also when some failed. The run as a whole is a
success only if all arrived: `all_arrived` says so.

Start it with the list of addresses as parameter. Airflow maps at most 1,024 items, unless `[core] max_map_length`
says otherwise.
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
            title="Addresses of the images",
        ),
    },
)
def example_pan123_many_images() -> None:
    @task
    def addresses(**context: Any) -> list[str]:
        """The list, each address once: a group is mapped over what a task returns."""
        return list(dict.fromkeys(context["params"]["urls"]))

    @task_group
    def migrate(url: str) -> None:
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
        """Old address → new address, of all that arrived."""
        images = context["ti"].xcom_pull(task_ids=["migrate.wait"])
        return {image["url"]: image["user_url"] or image["download_url"] for image in images if image}

    migrated = migrate.expand(url=addresses())
    migrated >> collect()
    migrated >> EmptyOperator(task_id="all_arrived")


example_pan123_many_images()
