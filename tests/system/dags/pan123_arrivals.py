"""A watch, and the DAG that makes Airflow run it."""

from __future__ import annotations

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import Asset, AssetWatcher, dag

from airflow_provider_123pan.triggers.image_arrivals import Pan123ImageArrivalTrigger

trigger = Pan123ImageArrivalTrigger(directory="arrivals", poke_interval=1)
arrivals = Asset("arrivals", watchers=[AssetWatcher(name="arrivals", trigger=trigger)])


@dag(schedule=[arrivals])
def pan123_arrivals() -> None:
    """Run without a worker."""
    EmptyOperator(task_id="nothing")


pan123_arrivals()
