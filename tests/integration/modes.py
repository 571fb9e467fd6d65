"""Runs a sensor, or a waiting operator, to its end in each mode, as Airflow does."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from typing import Any

from airflow.sdk.exceptions import AirflowRescheduleException, TaskDeferred
from airflow.triggers.base import BaseTrigger

from airflow_provider_123pan.sensors.offline_download import Pan123OfflineDownloadSensor

MODES = ("poke", "reschedule", "deferrable")


def sensor(mode: str, submission: Any, **arguments: Any) -> Pan123OfflineDownloadSensor:
    given: dict[str, Any] = {"poke_interval": 0.1, "timeout": 20} | arguments
    if mode == "deferrable":
        return Pan123OfflineDownloadSensor(task_id="wait", submission=submission, deferrable=True, **given)
    return Pan123OfflineDownloadSensor(
        task_id="wait", submission=submission, deferrable=False, mode=mode, **given
    )


def run(task: Any, context: dict[str, Any]) -> Any:
    """The task's result, or its exception; deferred and rescheduled as long as it wants."""
    go = partial(task.execute, context)
    while True:
        try:
            return go()
        except AirflowRescheduleException as reschedule:
            first = context["ti"].get_first_reschedule_date(context) or reschedule.reschedule_date
            context["ti"].get_first_reschedule_date = lambda _, first=first: first
        except TaskDeferred as deferred:
            go = partial(resume, task, deferred, context)


def resume(task: Any, deferred: TaskDeferred, context: dict[str, Any]) -> Any:
    classpath, kwargs = deferred.trigger.serialize()
    trigger = type(deferred.trigger)
    assert classpath == f"{trigger.__module__}.{trigger.__qualname__}"
    kwargs = json.loads(json.dumps(kwargs))  # through the database, as Airflow sends it
    event = json.loads(json.dumps(asyncio.run(_fire(trigger(**kwargs)))))
    state = json.loads(json.dumps(deferred.kwargs or {}))
    return task.resume_execution(deferred.method_name, {**state, "event": event}, context)


async def _fire(trigger: BaseTrigger) -> Any:
    events = [event async for event in trigger.run()]
    assert len(events) == 1
    # The triggerer's loop goes on; here, what was cancelled must have the time to close its connections.
    await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}), return_exceptions=True)
    return events[0].payload
