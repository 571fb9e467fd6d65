"""What a sync is compared with: one mapped HttpOperator per image."""

from __future__ import annotations

import json
from typing import Any

from airflow.providers.http.operators.http import HttpOperator
from airflow.sdk import dag

MAPPED = 100


def created(response: Any) -> bool:
    """Return whether the service created the offline task; it reports errors under HTTP 200 too."""
    return bool(response.json()["code"] == 0)


@dag(schedule=None)
def benchmark_http() -> None:
    """Create an offline task per image."""
    images = [f"https://example.com/mapped/{number}.jpg" for number in range(MAPPED)]
    HttpOperator.partial(
        task_id="submit",
        http_conn_id="benchmark_http",
        endpoint="/api/v1/oss/offline/download",
        response_check=created,
    ).expand(data=[json.dumps({"url": url, "type": 1}) for url in images])


benchmark_http()
