"""The plugin that every component of Airflow loads from the ``airflow.plugins`` entry point: keep it light."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from airflow.plugins_manager import AirflowPlugin


class Pan123Plugin(AirflowPlugin):
    """Mounts the receiver in Airflow's API server, under ``/pan123``, and keeps tokens out of its access log."""

    name = "pan123"

    @cached_property
    def fastapi_apps(self) -> list[dict[str, Any]]:  # type: ignore[override]
        """The receiver's app. Only the API server reads this, and commands that list plugins."""
        from airflow_provider_123pan.receiver.airflow_backend import (
            ConnectionKeys,
            inbox_engine,
            retention_seconds,
        )
        from airflow_provider_123pan.receiver.app import create_app

        app = create_app(inbox_engine, ConnectionKeys(metadata=True), retention_seconds())
        return [{"name": "123pan receiver", "app": app, "url_prefix": "/pan123"}]

    @cached_property
    def fastapi_root_middlewares(self) -> list[dict[str, Any]]:  # type: ignore[override]
        """The middleware that masks tokens, also in requests that miss the receiver."""
        from airflow_provider_123pan.receiver.masking import TokenMaskingMiddleware

        return [{"name": "123pan token masking", "middleware": TokenMaskingMiddleware}]
