"""What the tests of a watch for new images do on the sandbox, and what they read in Airflow's database."""

from __future__ import annotations

import json
from typing import Any

import requests

from airflow_provider_123pan.sandbox import Sandbox
from dev.cluster import Cluster
from tests.system.canaries import decrypted, rows_of, source_name


def submit(sandbox: Sandbox, token: str, directory_id: str, urls: list[str]) -> None:
    """Have the sandbox fetch images into a directory, as a program other than Airflow does."""
    with requests.Session() as session:
        session.headers.update({"Platform": "open_platform", "Authorization": f"Bearer {token}"})
        for url in urls:
            body = {"url": url, "fileName": source_name(url), "businessDirID": directory_id, "type": 1}
            path = "/api/v1/oss/offline/download"
            answer = session.post(f"{sandbox.base_url}{path}", json=body, timeout=10)
            assert answer.json()["code"] == 0, answer.text


def cursors(airflow: Cluster) -> dict[str, Any]:
    """Return the cursors of all watches by name: in 3.3 stored for the asset, in 3.2 as a Variable."""
    found = {}
    for table, row in rows_of(airflow.home):
        if table in ("asset_state_store", "variable") and row["key"].startswith("pan123_arrivals__"):
            value = row["value"] if table == "asset_state_store" else row["val"]
            found[row["key"]] = json.loads(decrypted(airflow, value))
    return found
