"""Print when the mapped tasks of a DAG were taken from the triggerers, as JSON: `... cluster_waits DAG_ID`.

Unix seconds by map index. Runs in the environment of that Airflow. A wait without an image is an error.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from airflow.models.taskinstance import TaskInstance
from airflow.utils.session import create_session
from airflow.utils.state import TaskInstanceState
from sqlalchemy import select


def main() -> None:
    """Print what has ended."""
    ended: dict[int, float] = {}
    with create_session() as session:
        tasks: Any = session.scalars(select(TaskInstance).where(TaskInstance.dag_id == sys.argv[1]))
        for task in tasks:
            if task.scheduled_dttm and task.state != TaskInstanceState.DEFERRED:
                event = task.next_kwargs["event"]
                assert event["outcome"]["fileID"], event
                ended[task.map_index] = task.scheduled_dttm.timestamp()
    print(json.dumps(ended))


if __name__ == "__main__":
    main()
