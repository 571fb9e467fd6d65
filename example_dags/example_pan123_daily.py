"""Migrate a list of images every day.

This DAG shows how to map one task over a list that changes from run to run. `todays_images` reads the source URLs from
the Airflow Variable `example_pan123_urls`, a JSON list; in your DAG they come from a catalogue, a page or a table. Each
image gets a file name that starts with the date of the run. `migrate` submits an image and waits for it in the same
task, so that a retry after a failed download submits the image again. If the list is empty, `migrate` is skipped.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from airflow.sdk import Variable, dag, task

from airflow_provider_123pan.operators.offline_download import Pan123OfflineDownloadOperator


@dag(
    schedule="@daily",
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    max_active_runs=1,  # runs do not overlap
    tags=["example", "123pan"],
    doc_md=__doc__,
)
def example_pan123_daily() -> None:
    """Migrate the images that the Variable `example_pan123_urls` lists."""

    @task
    def todays_images(**context: Any) -> list[dict[str, str]]:
        """Return the arguments of each mapped `migrate` task."""
        day = context["dag_run"].run_after.date()
        urls = Variable.get("example_pan123_urls", default=[], deserialize_json=True)
        return [{"url": url, "file_name": f"{day}-{PurePosixPath(urlsplit(url).path).name}"} for url in urls]

    Pan123OfflineDownloadOperator.partial(
        task_id="migrate",
        wait_for_completion=True,
        deferrable=True,
        timeout=timedelta(hours=6),
        retries=3,
        retry_delay=timedelta(minutes=10),
    ).expand_kwargs(todays_images())


example_pan123_daily()
