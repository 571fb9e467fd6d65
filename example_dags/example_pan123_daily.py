"""Every day the images of a list go to 123pan, each under a name that carries the day.

`todays_images` makes the list; here from the Airflow Variable `example_pan123_urls`, a JSON list of addresses,
in your own DAG from a catalogue, a page or a table. `migrate` submits and waits in one task, so that a retry
submits again. Days without an image skip it.
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
    max_active_runs=1,  # yesterday's images first
    tags=["example", "123pan"],
    doc_md=__doc__,
)
def example_pan123_daily() -> None:
    @task
    def todays_images(**context: Any) -> list[dict[str, str]]:
        """What each copy of `migrate` gets as its arguments."""
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
