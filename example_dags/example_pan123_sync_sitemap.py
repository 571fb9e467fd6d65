"""Migrate the new images of a website every day.

This DAG shows how to sync a list that a task returns. `source_urls` reads the website's sitemap and returns the URL of
every `<image:loc>`. `sync` compares them with the directory `website`, which it creates if necessary, and submits the
images that are missing: the first run migrates all of them, and a run without new images only lists the directory.
The results file is named after the date of the run and has one line per image with its new URL.

The list is an XCom, which suits some thousands of URLs. For longer lists, write a file and pass its path as `manifest`,
as `example_pan123_sync_bucket` does.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any
from xml.etree import ElementTree

from airflow.sdk import Param, dag, task

from airflow_provider_123pan.operators.sync_images import Pan123SyncImagesOperator

IMAGE = "{http://www.google.com/schemas/sitemap-image/1.1}loc"


@dag(
    schedule="@daily",
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    max_active_runs=1,
    tags=["example", "123pan"],
    doc_md=__doc__,
    params={
        "sitemap": Param(
            "https://example.com/sitemap.xml", type="string", format="uri", title="URL of the sitemap"
        ),
        "results": Param("s3://my-bucket/results", type="string", title="Folder for the results"),
    },
)
def example_pan123_sync_sitemap() -> None:
    """Migrate the images of the sitemap that are not stored yet."""

    @task(retries=3)
    def source_urls(**context: Any) -> list[str]:
        """Return the source URLs of the images on all pages."""
        import requests

        answer = requests.get(context["params"]["sitemap"], timeout=60)
        answer.raise_for_status()
        return [
            found.text.strip() for found in ElementTree.fromstring(answer.content).iter(IMAGE) if found.text
        ]

    Pan123SyncImagesOperator(
        task_id="sync",
        images=source_urls(),
        directory="website",
        results="{{ params.results }}/{{ dag_run.run_after | ds }}.jsonl",
        max_failures="5%",  # a page may refer to an image that no longer exists
        deferrable=True,
        timeout=timedelta(hours=12),
        retries=3,
    )


example_pan123_sync_sitemap()
