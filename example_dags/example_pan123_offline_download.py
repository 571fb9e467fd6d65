"""Migrate one image to 123pan's image host.

This DAG shows the two basic steps. `submit` asks 123pan to download the image from its source URL, which takes seconds
to minutes. `wait` defers to the triggerer until the download has ended, so that it occupies no worker, and returns the
stored image with its new URL. `show` stands for your next step.

The DAG needs a connection `pan123_default` of type `pan123` with a client ID and a client secret.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import Param, dag, task

from airflow_provider_123pan.operators.offline_download import Pan123OfflineDownloadOperator
from airflow_provider_123pan.sensors.offline_download import Pan123OfflineDownloadSensor


@dag(
    schedule=None,
    tags=["example", "123pan"],
    doc_md=__doc__,
    params={
        "url": Param("https://example.com/cat.jpg", type="string", format="uri", title="Source URL"),
        "pan123_conn_id": Param("pan123_default", type="string", title="Connection"),
    },
)
def example_pan123_offline_download() -> None:
    """Migrate the image of the parameter `url`."""
    submit = Pan123OfflineDownloadOperator(
        task_id="submit",
        url="{{ params.url }}",
        # Optional; by default the name is made of the URL, and the directory is the service's default.
        # file_name="cat.jpg",
        # directory_id="yk6baz03t0l000d7w33fbyq51l4izkne",
        pan123_conn_id="{{ params.pan123_conn_id }}",
        retries=3,
    )
    wait = Pan123OfflineDownloadSensor(
        task_id="wait",
        submission=submit.output,
        pan123_conn_id="{{ params.pan123_conn_id }}",
        deferrable=True,
        timeout=timedelta(hours=1),
        retries=3,
    )

    @task
    def show(image: Any) -> str:
        """Print and return the new URL; your DAG may store it in a database or write it into a page."""
        new_url: str = image["user_url"] or image["download_url"]
        print(f"{image['url']} is now {new_url} ({image['size']} bytes, MD5 {image['etag']})")
        return new_url

    show(wait.output)


example_pan123_offline_download()
