"""Every night the images of a bucket go to 123pan, each by its public address.

`listing` lists the bucket, wherever Airflow's object storage reaches: S3, Google Cloud Storage, a local folder. It
writes a manifest, a line per image with its address and size, and returns its path only: millions of lines do not
go through an XCom. `sync` submits what is missing in the directory `bucket`, and what has another size there.

The objects must be public under the address that the parameter says, because 123pan fetches them by itself. The
manifest's folder must exist, and all workers must reach it.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import quote

from airflow.sdk import ObjectStoragePath, Param, dag, task

from airflow_provider_123pan.operators.sync_images import Pan123SyncImagesOperator

IMAGES = (".png", ".gif", ".jpeg", ".tiff", ".webp", ".jpg", ".tif", ".svg", ".bmp")


@dag(
    schedule="0 3 * * *",
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    max_active_runs=1,
    tags=["example", "123pan"],
    doc_md=__doc__,
    params={
        "bucket": Param("s3://my-bucket/images", type="string", title="Where the images lie"),
        "base_url": Param(
            "https://my-bucket.s3.amazonaws.com/images",
            type="string",
            format="uri",
            title="Its public address",
        ),
        "work": Param("s3://my-bucket/123pan", type="string", title="Folder for manifests and results"),
    },
)
def example_pan123_sync_bucket() -> None:
    @task(retries=3)
    def listing(**context: Any) -> str:
        """A manifest of what lies in the bucket, in all of its folders."""
        params, day = context["params"], context["dag_run"].run_after.date()
        bucket = ObjectStoragePath(params["bucket"])
        manifest = ObjectStoragePath(params["work"]) / f"{day}-manifest.jsonl"
        found = bucket.fs.find(
            bucket.path, detail=True
        )  # sizes come with the listing, without a call for each
        lines = []
        for path, details in found.items():
            if path.lower().endswith(IMAGES):
                name = path.removeprefix(bucket.path).lstrip("/")
                url = f"{params['base_url'].rstrip('/')}/{quote(name)}"
                lines.append(json.dumps({"url": url, "size": details["size"]}) + "\n")
        manifest.write_text("".join(lines), encoding="utf-8")
        return str(manifest)

    manifest: Any = listing()
    Pan123SyncImagesOperator(
        task_id="sync",
        manifest=manifest,
        directory="bucket",
        results="{{ params.work }}/{{ dag_run.run_after | ds }}-results.jsonl",
        deferrable=True,
        timeout=timedelta(hours=20),
        retries=3,
    )


example_pan123_sync_bucket()
