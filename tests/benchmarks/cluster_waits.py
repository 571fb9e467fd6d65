"""Let a run's mapped tasks wait in the triggerers of a real Airflow without running them, and report which still wait.

    python -m tests.benchmarks.cluster_waits DAG_ID         # with submissions as JSON on standard input
    python -m tests.benchmarks.cluster_waits DAG_ID ended   # prints when each wait ended, in Unix seconds, by number

Runs in the environment of that Airflow. 1,000 tasks that defer themselves would take a quarter of an hour.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from airflow.models.taskinstance import TaskInstance
from airflow.models.trigger import Trigger
from airflow.utils.session import create_session
from airflow.utils.state import TaskInstanceState
from sqlalchemy import select

from tests.benchmarks.waiters import provider_triggers


def main() -> None:
    """Create the triggers, or print what has ended."""
    dag_id, submissions = sys.argv[1], [] if sys.argv[2:] else json.load(sys.stdin)
    ended: dict[int, float] = {}
    with create_session() as session:
        tasks: Any = session.scalars(
            select(TaskInstance).where(TaskInstance.dag_id == dag_id).order_by(TaskInstance.map_index)
        )
        if submissions:
            for task, waiting in zip(tasks, provider_triggers(submissions), strict=False):
                trigger = Trigger(*waiting.serialize())
                session.add(trigger)
                session.flush()
                task.trigger_id, task.state = trigger.id, TaskInstanceState.DEFERRED
                task.next_method, task.next_kwargs = "execute_complete", {}
        else:
            for task in tasks:
                if task.scheduled_dttm and task.state != TaskInstanceState.DEFERRED:
                    ended[task.map_index] = task.scheduled_dttm.timestamp()
    print(json.dumps(ended))


if __name__ == "__main__":
    main()
