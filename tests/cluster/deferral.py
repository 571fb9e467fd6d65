"""Defer task instances that no worker has run, as Airflow stores a deferral: `python -m tests.cluster.deferral`.

A thousand waits would otherwise cost a thousand runs of a worker before the first measurement. Standard input is JSON:
`dag_id`, `run_id`, `task_id`, and `triggers`, a list of `[class path, arguments, id of the triggerer's job]` by
map index; without an ID, any triggerer takes it. The process needs the environment of Airflow's components.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from typing import Any


def defer(
    dag_id: str, run_id: str, task_id: str, triggers: list[tuple[str, dict[str, Any], int | None]]
) -> None:
    """Store a trigger for each mapped task instance of a task, and defer the instance."""
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.trigger import Trigger
    from airflow.utils.session import create_session
    from airflow.utils.state import TaskInstanceState
    from sqlalchemy import select

    of_task = select(TaskInstance).where(
        TaskInstance.dag_id == dag_id, TaskInstance.run_id == run_id, TaskInstance.task_id == task_id
    )
    with create_session() as session:
        found = {instance.map_index: instance for instance in session.scalars(of_task.with_for_update())}
        for map_index, (path, arguments, triggerer_id) in enumerate(triggers):
            module, _, name = path.rpartition(".")
            trigger = Trigger.from_object(getattr(import_module(module), name)(**arguments))
            trigger.triggerer_id = triggerer_id
            session.add(trigger)
            session.flush()
            instance = found[map_index]
            instance.trigger_id = trigger.id
            instance.start_date = trigger.created_date
            instance.next_method, instance.next_kwargs = "execute_complete", {}
            instance.state = TaskInstanceState.DEFERRED


if __name__ == "__main__":
    defer(**json.load(sys.stdin))
