"""Migrate the images of a website, and replace their URLs in its pages.

This DAG shows how to use the results of a sync. `sync` migrates the images of a manifest. `rewrite_pages` replaces the
source URLs by the new URLs in every Markdown and HTML file of a folder, and writes only files that change. An image
that failed keeps its source URL; the next run tries it again and submits none of the others.

Keep the folder under version control, or make a copy first: the DAG cannot restore the old URLs.
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
        "manifest": Param(
            "s3://my-bucket/images.txt", type="string", title="Manifest: a list of source URLs"
        ),
        "pages": Param("s3://my-bucket/pages", type="string", title="Folder with the pages"),
        "results": Param("s3://my-bucket/results.jsonl", type="string", title="Results file"),
    },
)
def example_pan123_rewrite() -> None:
    """Migrate the images of `manifest`, and rewrite the files in `pages`."""
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
        """Return the paths of the files that were rewritten."""
        new_urls = new_addresses(synced["results"])
        rewritten = []
        for page in ObjectStoragePath(context["params"]["pages"]).rglob("*"):
            if page.suffix in (".md", ".html"):
                old = page.read_bytes().decode()  # read as bytes, to keep the line endings
                if (new := rewrite(old, new_urls)) != old:
                    page.write_bytes(new.encode())
                    rewritten.append(str(page))
        return rewritten

    rewrite_pages(sync.output)


example_pan123_rewrite()
