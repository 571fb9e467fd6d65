"""Every day the images of a website go to 123pan: all that its sitemap names, and only what is not there yet.

`addresses` reads the sitemap and returns each `<image:loc>`. `sync` compares them with the directory `website`, which
it makes if need be, and submits what is missing; so the first run moves all of them, and a day without a new image
costs a listing. The results, one line per image with its new address, get the day as their name.

The list goes through an XCom, which suits some thousands of addresses. For more, write a file and pass its path as
`manifest`, as `example_pan123_sync_bucket` does.
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
            "https://example.com/sitemap.xml", type="string", format="uri", title="Address of the sitemap"
        ),
        "results": Param("s3://my-bucket/results", type="string", title="Folder for the results"),
    },
)
def example_pan123_sync_sitemap() -> None:
    @task(retries=3)
    def addresses(**context: Any) -> list[str]:
        """The images of all pages."""
        import requests

        answer = requests.get(context["params"]["sitemap"], timeout=60)
        answer.raise_for_status()
        return [
            found.text.strip() for found in ElementTree.fromstring(answer.content).iter(IMAGE) if found.text
        ]

    Pan123SyncImagesOperator(
        task_id="sync",
        images=addresses(),
        directory="website",
        results="{{ params.results }}/{{ dag_run.run_after | ds }}.jsonl",
        max_failures="5%",  # a page may name an image that is gone
        deferrable=True,
        timeout=timedelta(hours=12),
        retries=3,
    )


example_pan123_sync_sitemap()
