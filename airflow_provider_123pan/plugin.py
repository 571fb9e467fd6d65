"""What Airflow loads from the ``airflow.plugins`` entry point, in every component: keep it light."""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin


class Pan123Plugin(AirflowPlugin):
    """123pan's plugin."""

    name = "pan123"
