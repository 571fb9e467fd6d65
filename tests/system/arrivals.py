"""What the tests of a watch for new images do on the sandbox, and what they read in Airflow's database."""

from __future__ import annotations

import json
from typing import Any

import requests
from sqlalchemy import create_engine, inspect, text
from sqlalchemy.pool import NullPool

from airflow_provider_123pan.sandbox import Sandbox
from dev.cluster import Cluster
from tests.system.canaries import decrypted, source_name


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
    url = airflow.env.get("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", f"sqlite:///{airflow.home}/airflow.db")
    engine = create_engine(url, poolclass=NullPool)
    existing, found = inspect(engine).get_table_names(), {}
    with engine.connect() as connection:
        for table, column in (("asset_state_store", "value"), ("variable", "val")):
            if table in existing:
                query = text(f"SELECT key, {column} FROM {table} WHERE key LIKE 'pan123_arrivals__%'")
                for key, value in connection.execute(query):
                    found[key] = json.loads(decrypted(airflow, value))
    return found
