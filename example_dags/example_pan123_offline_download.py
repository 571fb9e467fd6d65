"""One image goes to 123pan's image host, and its new address comes out.

`submit` asks the service to fetch the image by itself; that takes seconds to minutes. `wait` waits for the end,
here in the triggerer, so that no worker is busy meanwhile, and gives the new address to whoever comes after it.

It needs a connection `pan123_default` of type `pan123`, with client ID and client secret.
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
        "url": Param(
            "https://example.com/cat.jpg", type="string", format="uri", title="Address of the image"
        ),
        "pan123_conn_id": Param("pan123_default", type="string", title="Connection"),
    },
)
def example_pan123_offline_download() -> None:
    submit = Pan123OfflineDownloadOperator(
        task_id="submit",
        url="{{ params.url }}",
        # Without these two: the name that the address shows, and the service's own directory.
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
        """Your own next step: put the new address into a database, a page, a message."""
        address: str = image["user_url"] or image["download_url"]
        print(f"{image['url']} is now {address} ({image['size']} bytes, MD5 {image['etag']})")
        return address

    show(wait.output)


example_pan123_offline_download()
