"""Tasks whose worker kills itself at a given step of the first try."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

from airflow.sdk import Param, dag

from airflow_provider_123pan.operators.offline_download import Pan123OfflineDownloadOperator


def kill_at(number: int) -> None:
    """Kill this process before step `number`.

    A step is the start or the end of a read or write of the task state store, a request, or the push of an XCom.
    """
    from airflow.sdk.execution_time.context import TaskStateStoreAccessor
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

    from airflow_provider_123pan.service.client import Pan123Client

    steps = 0

    def step() -> None:
        nonlocal steps
        if steps == number:
            os.kill(os.getpid(), signal.SIGKILL)
        steps += 1

    def around(target: type, name: str) -> None:
        original: Callable[..., Any] = getattr(target, name)

        def wrapped(*args: Any, **kwargs: Any) -> Any:
            step()
            value = original(*args, **kwargs)
            step()
            return value

        setattr(target, name, wrapped)

    around(TaskStateStoreAccessor, "get")
    around(TaskStateStoreAccessor, "set")
    around(Pan123Client, "_send")
    around(RuntimeTaskInstance, "xcom_push")


class KilledOperator(Pan123OfflineDownloadOperator):
    """The operator, with a worker that kills itself at a step."""

    template_fields = (*Pan123OfflineDownloadOperator.template_fields, "step")

    def __init__(self, *, step: int, **kwargs: Any) -> None:
        """Kill the worker at this step of the first try; at -1, when the task resumes."""
        super().__init__(**kwargs)
        self.step = step

    def execute(self, context: Any) -> Any:
        """Submit the image, unless the worker is killed before."""
        # Each task has its own image; a retry would otherwise find that of another task.
        self.url = f"https://example.com/{self.task_id}{self.step}.png"
        if context["ti"].try_number == 1:
            kill_at(self.step)
        return super().execute(context)

    def execute_complete(self, context: Any, event: Any = None, submission: Any = None) -> Any:
        """Return the image, unless the worker is killed before."""
        if context["ti"].try_number == 1 and self.step < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().execute_complete(context, event, submission)


@dag(
    schedule=None,
    max_active_tasks=8,
    params={"images": Param([{"step": 0}], type="array")},
)
def pan123_killed_worker() -> None:
    """Run each mode once per step."""
    from airflow.sdk import task

    @task(retries=3, retry_delay=10)
    def images(params: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        assert params is not None
        return list(params["images"])

    for mode in ("submit", "wait", "defer"):
        KilledOperator.partial(
            task_id=mode,
            url="",
            # A busy scheduler may treat a task as failed whose deferral ends within seconds.
            retries=3,
            retry_delay=10,
            wait_for_completion=mode != "submit",
            deferrable=mode == "defer",
            poke_interval=1,
        ).expand_kwargs(images())


pan123_killed_worker()
