"""The images of a website go to 123pan, and then its pages show them from there.

`sync` moves the images of a list. `rewrite_pages` puts their new addresses in place of the old ones, in every
Markdown and HTML file of a folder. An image that failed keeps its old address; the next run tries it again, and
finds all others there. Pages that show no image of the list are not written.

Keep the folder under version control, or keep a copy: there is no way back from the new addresses.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import ObjectStoragePath, Param, dag, task

from airflow_provider_123pan.operators.sync_images import Pan123SyncImagesOperator
from airflow_provider_123pan.rewriting import new_addresses, rewrite


@dag(
    schedule=None,
    tags=["example", "123pan"],
    doc_md=__doc__,
    params={
        "manifest": Param("s3://my-bucket/images.txt", type="string", title="List of the images"),
        "pages": Param("s3://my-bucket/pages", type="string", title="Folder of the pages"),
        "results": Param("s3://my-bucket/results.jsonl", type="string", title="Results"),
    },
)
def example_pan123_rewrite() -> None:
    sync = Pan123SyncImagesOperator(
        task_id="sync",
        manifest="{{ params.manifest }}",
        directory="pages",
        results="{{ params.results }}",
        max_failures="5%",
        deferrable=True,
        timeout=timedelta(hours=12),
        retries=3,
    )

    @task
    def rewrite_pages(synced: Any, **context: Any) -> list[str]:
        """Which pages have new addresses now."""
        addresses = new_addresses(synced["results"])
        rewritten = []
        for page in ObjectStoragePath(context["params"]["pages"]).rglob("*"):
            if page.suffix in (".md", ".html"):
                old = page.read_bytes().decode()  # as bytes, so that line ends stay as they are
                if (new := rewrite(old, addresses)) != old:
                    page.write_bytes(new.encode())
                    rewritten.append(str(page))
        return rewritten

    rewrite_pages(sync.output)


example_pan123_rewrite()
