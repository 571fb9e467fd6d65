"""Migrate the new images of a website every day.

This DAG shows how to sync what a website's sitemaps list. `listing` reads the sitemap, or those of an index or a
`robots.txt`, and writes a manifest with the URL of every `<image:loc>`. `sync` compares them with the directory
`website`, which it creates if necessary, and submits the images that are missing: the first run migrates all of them,
and a run without new images only lists the directory. The results file is named after the date of the run and has one
line per image with its new URL.

A website of your own network must be named in the Variable `example_pan123_private_hosts`, a JSON list of hosts.
All workers must have access to the folder `results`.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

from airflow.sdk import Param, Variable, dag, task

from airflow_provider_123pan.operators.sync_images import Pan123SyncImagesOperator
from airflow_provider_123pan.sources import from_sitemap


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
        "results": Param("s3://my-bucket/results", type="string", title="Folder for manifests and results"),
    },
)
def example_pan123_sync_sitemap() -> None:
    """Migrate the images of the sitemap that are not stored yet."""

    @task(retries=3)
    def listing(**context: Any) -> str:
        """Write a manifest of the images on all pages, and return its path."""
        params, day = context["params"], context["dag_run"].run_after.date()
        manifest = f"{params['results']}/{day}-manifest.jsonl"
        # Not a parameter: who starts a run must not choose which hosts of your network workers read.
        private_hosts = Variable.get("example_pan123_private_hosts", default=[], deserialize_json=True)
        return from_sitemap(params["sitemap"], manifest, private_hosts=private_hosts)

    manifest: Any = listing()
    Pan123SyncImagesOperator(
        task_id="sync",
        manifest=manifest,
        directory="website",
        results="{{ params.results }}/{{ dag_run.run_after | ds }}.jsonl",
        max_failures="5%",  # a page may refer to an image that no longer exists
        deferrable=True,
        timeout=timedelta(hours=12),
        retries=3,
    )


example_pan123_sync_sitemap()
