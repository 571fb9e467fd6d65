"""The plugins that every component of Airflow loads from the ``airflow.plugins`` entry points: keep them light."""

from __future__ import annotations

import logging
from functools import cached_property
from typing import Any, ClassVar

from airflow.plugins_manager import AirflowPlugin

log = logging.getLogger(__name__)

_PAGE = "pan123-ui"


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


class Pan123PagePlugin(AirflowPlugin):
    """Adds the page to Airflow's UI, and mounts its app in the API server, under ``/pan123-ui``.

    It is a plugin of its own, and its app is one of its own: callbacks have no login and must always be received, and
    every route of the page requires a login, by functions of Airflow that may change.
    """

    name = "pan123_page"
    # The paths are relative to Airflow's base URL. Airflow's UI fills in the names in braces.
    external_views: ClassVar[list[dict[str, Any]]] = [  # type: ignore[misc]
        {
            "name": "123pan",
            "href": f"{_PAGE}/",
            "destination": "nav",
            "category": "browse",
            "url_route": "pan123",
        },
        {
            "name": "123pan",
            "href": f"{_PAGE}/dags/{{DAG_ID}}/runs/{{RUN_ID}}",
            "destination": "dag_run",
            "url_route": "pan123_run",
        },
        {
            "name": "123pan",
            "href": f"{_PAGE}/dags/{{DAG_ID}}/runs/{{RUN_ID}}?task_id={{TASK_ID}}&map_index={{MAP_INDEX}}",
            "destination": "task_instance",
            "url_route": "pan123_task",
        },
    ]

    @cached_property
    def fastapi_apps(self) -> list[dict[str, Any]]:  # type: ignore[override]
        """The app of the page; none if this Airflow lacks what guards it."""
        try:
            from airflow_provider_123pan.receiver.airflow_backend import inbox_engine
            from airflow_provider_123pan.web.app import create_app
        except ImportError:
            log.exception(
                "The page of the 123pan provider does not fit this version of Airflow, and is left out"
            )
            return []
        return [{"name": "123pan page", "app": create_app(inbox_engine), "url_prefix": f"/{_PAGE}"}]
