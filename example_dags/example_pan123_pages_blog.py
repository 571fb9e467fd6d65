"""Migrate the images of a blog, and check that their new URLs answer.

This DAG shows a migration from beginning to end. `plan` writes a report of what would change, and changes nothing.
`migrate` has 123pan fetch the images, and puts their new URLs into the pages. What 123pan cannot fetch, such as an
image whose host wants a Referer, the worker fetches with the headers of the parameter `fetch_headers`, and uploads.
`check` loads each new URL once, and fails if one does not serve its image.

The migration does not wait for an approval of the plan; `example_pan123_pages_hugo` shows one.
`airflow pan123 undo WORK/journal` restores the pages. Pages and the folder `work` may be on any storage that Airflow's
object storage supports, and all workers must have access to them. A website of your own network must be named in the
Variable `example_pan123_private_hosts`, a JSON list of hosts.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import Param, dag

from airflow_provider_123pan.operators.images import Pan123CheckImagesOperator
from airflow_provider_123pan.operators.migrate_pages import Pan123MigratePagesOperator

# Rendered to the dict and the list that the operator takes.
FETCH_HEADERS: Any = "{{ params.fetch_headers }}"
# Not a parameter: who starts a run must not choose which hosts of your network workers read.
PRIVATE_HOSTS = "{{ var.json.get('example_pan123_private_hosts', []) }}"


@dag(
    schedule=None,
    max_active_runs=1,  # runs share the pages and the journal
    render_template_as_native_obj=True,
    tags=["example", "123pan"],
    doc_md=__doc__,
    params={
        "pages": Param("s3://my-bucket/blog", type="string", title="Folder with the pages"),
        "work": Param("s3://my-bucket/work", type="string", title="Folder for reports and the journal"),
        "fetch_headers": Param(
            {"images.example.com": {"Referer": "https://blog.example.com/"}},
            type="object",
            title="Headers by host",
        ),
    },
)
def example_pan123_pages_blog() -> None:
    """Migrate the images of the pages in `pages`, and check them."""
    blog: Any = {
        "pages": "{{ params.pages }}",
        "directory": "blog",
        "journal": "{{ params.work }}/journal",
        "fetch": "auto",
        "fetch_headers": FETCH_HEADERS,
        "private_hosts": PRIVATE_HOSTS,
        "retries": 3,
    }
    plan = Pan123MigratePagesOperator(
        task_id="plan", mode="plan", report="{{ params.work }}/plan.html", **blog
    )
    migrate = Pan123MigratePagesOperator(
        task_id="migrate",
        report="{{ params.work }}/migration.html",
        max_failures="100%",  # an image that is gone keeps its URL, and the report names it
        deferrable=True,
        timeout=timedelta(hours=12),
        **blog,
    )
    migrated: Any = migrate.output
    check = Pan123CheckImagesOperator(
        task_id="check",
        results=migrated["results"],
        directory="blog",
        report="{{ params.work }}/check.html",
        retries=3,
    )
    plan >> migrate >> check


example_pan123_pages_blog()
