"""Migrate images of websites that refuse requests without a Referer.

This DAG shows what to do about hotlink protection. `sync` has 123pan fetch the images of a list. Those that 123pan
cannot fetch, the worker fetches with the headers of the parameter `fetch_headers`, and uploads. The field `fetched_by`
of the results says who fetched an image.

`fetch_headers` has headers for each host, or pattern of hosts. Airflow shows parameters, so they are no place for a
cookie or a token: put those into a connection, and pass `fetch_conn_ids`. A website of your own network must be named
in the Variable `example_pan123_private_hosts`, a JSON list of hosts.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import Param, dag

from airflow_provider_123pan.operators.sync_images import Pan123SyncImagesOperator

# Rendered to the dict and the list that the operator takes.
FETCH_HEADERS: Any = "{{ params.fetch_headers }}"
# Not a parameter: who starts a run must not choose which hosts of your network workers read.
PRIVATE_HOSTS = "{{ var.json.get('example_pan123_private_hosts', []) }}"


@dag(
    schedule=None,
    max_active_runs=1,
    render_template_as_native_obj=True,
    tags=["example", "123pan"],
    doc_md=__doc__,
    params={
        "manifest": Param("s3://my-bucket/images.csv", type="string", title="List of images"),
        "results": Param("s3://my-bucket/results.jsonl", type="string", title="Results file"),
        "fetch_headers": Param(
            {
                "*.qpic.cn": {"Referer": "https://mp.weixin.qq.com/"},
                "*.sinaimg.cn": {"Referer": "https://weibo.com/"},
            },
            type="object",
            title="Headers by host",
        ),
    },
)
def example_pan123_hotlinks() -> None:
    """Migrate the images of the list that are not stored yet."""
    Pan123SyncImagesOperator(
        task_id="sync",
        manifest="{{ params.manifest }}",
        directory="articles",
        results="{{ params.results }}",
        fetch="auto",
        fetch_headers=FETCH_HEADERS,
        private_hosts=PRIVATE_HOSTS,
        max_failures="5%",  # an article may show an image that no longer exists
        deferrable=True,
        timeout=timedelta(hours=12),
        retries=3,
    )


example_pan123_hotlinks()
