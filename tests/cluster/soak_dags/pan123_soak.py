"""Waits that are held for long and small batches, with the provider and, as a control, with Airflow's own sensor."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

from airflow.providers.standard.sensors.date_time import DateTimeSensorAsync
from airflow.providers.standard.triggers.temporal import TimeDeltaTrigger
from airflow.sdk import BaseOperator, Context, Param, dag, task

from airflow_provider_123pan.operators.sync_images import Pan123SyncImagesOperator
from airflow_provider_123pan.sensors.offline_download import Pan123OfflineDownloadSensor

POOL = "soak_waits"  # without slots while the waits are prepared, so that no worker starts them
WAITS = {"waits": Param(1000, type="integer")}
BATCH = {"folder": Param("/tmp/soak", type="string"), "name": Param("batch", type="string")}
BATCH_SECONDS = 8


@dag(schedule=None, params=WAITS)
def soak_waits() -> None:
    """Submit images whose URLs begin with `https://example.com/held/`, and wait for each in a task of its own."""

    @task
    def submit(**context: Any) -> list[dict[str, Any]]:
        from airflow_provider_123pan.callbacks.address import callback_address, new_callback_id
        from airflow_provider_123pan.download.submission import Submission
        from airflow_provider_123pan.hooks.pan123 import Pan123Hook

        hook = Pan123Hook()
        base_url, secret = str(hook.settings.callback_base_url), hook.settings.client_secret
        made = []
        for number in range(context["params"]["waits"]):
            url, name = f"https://example.com/held/{number}.png", f"held-{number}.png"
            callback_id = new_callback_id()
            callback_url = callback_address(base_url, "pan123_default", callback_id, client_secret=secret)
            offline_task = hook.create_offline_download(url, name, None, callback_url)
            submission = Submission(
                taskID=offline_task.taskID,
                url=url,
                file_name=name,
                callback_id=callback_id,
                submitted_at=datetime.now(timezone.utc).isoformat(),
            )
            made.append(submission.xcom())
        return made

    Pan123OfflineDownloadSensor.partial(
        task_id="wait", deferrable=True, pool=POOL, timeout=timedelta(hours=6)
    ).expand(submission=submit())


@dag(schedule=None, params=BATCH)
def soak_batch() -> None:
    """Sync the images that the list in the folder names."""
    Pan123SyncImagesOperator(
        task_id="migrate",
        manifest="file://{{ params.folder }}/{{ params.name }}.txt",
        results="file://{{ params.folder }}/{{ params.name }}.jsonl",
        directory="soak",
        use_callback=True,
        deferrable=True,
    )


@dag(schedule=None, params=WAITS)
def soak_control_waits() -> None:
    """Wait until a time that never comes, in as many tasks."""

    @task
    def target_times(**context: Any) -> list[str]:
        return ["2100-01-01T00:00:00+00:00"] * int(context["params"]["waits"])

    DateTimeSensorAsync.partial(task_id="wait", pool=POOL).expand(target_time=target_times())


class ShortWait(BaseOperator):
    """Wait in the triggerer, in as many runs of a worker as a batch takes."""

    def execute(self, context: Context) -> None:
        """Defer."""
        self.defer(trigger=TimeDeltaTrigger(timedelta(seconds=BATCH_SECONDS)), method_name="resume")

    def resume(self, context: Context, event: Any = None) -> None:
        """End."""


@dag(schedule=None, params=BATCH)
def soak_control_batch() -> None:
    """Wait for some seconds."""
    ShortWait(task_id="migrate")


@dag(schedule=None)
def soak_probes() -> None:
    """Hold the task instances of the two triggers that measure the event loops of the triggerers."""
    DateTimeSensorAsync.partial(task_id="wait", pool=POOL).expand(
        target_time=["2100-01-01T00:00:00+00:00"] * 2
    )


soak_waits()
soak_batch()
soak_control_waits()
soak_control_batch()
soak_probes()
