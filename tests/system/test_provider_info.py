"""What Airflow reports about the provider."""

from __future__ import annotations

import json
from typing import Any

from airflow_provider_123pan.sandbox import Sandbox
from dev.cluster import Cluster

PACKAGE = "airflow_provider_123pan"


def test_airflow_providers_get_shows_everything(airflow: Cluster) -> None:
    (info,) = json.loads(
        airflow.cli("providers", "get", "airflow-provider-123pan", "--full", "--output", "json")
    )
    modules = {
        kind: [module for group in info[kind] for module in group["python-modules"]]
        for kind in ("hooks", "operators", "sensors", "triggers")
    }
    assert f"{PACKAGE}.hooks.pan123" in modules["hooks"]
    assert f"{PACKAGE}.operators.offline_download" in modules["operators"]
    assert f"{PACKAGE}.operators.sync_images" in modules["operators"]
    assert f"{PACKAGE}.sensors.offline_download" in modules["sensors"]
    assert {f"{PACKAGE}.triggers.{name}" for name in ("offline_download", "sync_images")} <= {
        *modules["triggers"]
    }
    (connection,) = info["connection-types"]
    assert connection["connection-type"] == "pan123"
    assert connection["hook-class-name"] == f"{PACKAGE}.hooks.pan123.Pan123Hook"


def test_airflow_finds_the_hook_by_its_connection_type(airflow: Cluster) -> None:
    (hook,) = [
        row
        for row in json.loads(airflow.cli("providers", "hooks", "--output", "json"))
        if row["connection_type"] == "pan123"
    ]
    assert hook["class"] == f"{PACKAGE}.hooks.pan123.Pan123Hook"


def test_the_test_button_checks_the_credentials(airflow: Cluster, sandbox: Sandbox) -> None:
    def answer(client_id: str) -> dict[str, Any]:
        fields = {"host": sandbox.base_url, "login": client_id, "password": sandbox.client_secret}
        body = {"connection_id": "pan123_default", "conn_type": "pan123", **fields}
        found: dict[str, Any] = airflow.api.call("POST", "/connections/test", json=body)
        return found

    assert answer(sandbox.client_id)["status"] is True
    refused = answer("an unknown client ID")
    assert refused["status"] is False
    assert "clientID" in refused["message"]
