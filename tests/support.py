"""Helpers of several tests: run a task as Airflow does, look at a sync, script a service in virtual time."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk.exceptions import AirflowRescheduleException, TaskDeferred
from airflow.triggers.base import BaseTrigger

from airflow_provider_123pan.callbacks.delivery import Delivery
from airflow_provider_123pan.download.submission import Submission
from airflow_provider_123pan.download.timing import WaitTiming
from airflow_provider_123pan.download.wait import Outcome, poke_intervals, wait_for_outcome
from airflow_provider_123pan.download.wait_strategy import WorkerWait
from airflow_provider_123pan.operators.sync_images import Pan123SyncImagesOperator
from airflow_provider_123pan.sandbox import Sandbox
from airflow_provider_123pan.sensors.offline_download import Pan123OfflineDownloadSensor
from airflow_provider_123pan.service.flow import Flow, Sleep, drive
from airflow_provider_123pan.service.models import BEIJING, Directory, Image, Listing, OfflineTask, TaskStatus
from airflow_provider_123pan.service.protocol import MakeCall

if TYPE_CHECKING:
    from airflow.sdk import Context

# -- running a task --

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


def approve(task: ApprovalOperator, context: dict[str, Any]) -> Any:
    """The result of a task that asks a person, who approves."""
    answer = {"chosen_options": [task.APPROVE], "params_input": {}}
    by = {"responded_at": datetime.now(timezone.utc), "responded_by_user": {"id": "1", "name": "admin"}}
    return task.execute_complete(cast("Context", context), answer | by)


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


# -- a sync --


def addresses(count: int, start: int = 0) -> list[str]:
    return [f"https://example.com/{number}.png" for number in range(start, start + count)]


def sync(context: dict[str, Any], **arguments: Any) -> dict[str, Any]:
    given: dict[str, Any] = {"directory": "photos/2026", "deferrable": False, "timeout": 60} | arguments
    result: dict[str, Any] = run(Pan123SyncImagesOperator(task_id="sync", **given), context)
    return result


def counts(result: dict[str, Any]) -> tuple[int, int, int]:
    return result["present"], result["migrated"], result["failed"]


def submitted(sandbox: Sandbox) -> Counter[str]:
    return Counter(task["url"] for task in sandbox.state(100_000)["tasks"])


def arrival(file: dict[str, Any]) -> dict[str, Any]:
    """The payload of the event for an image, from what the sandbox knows about it."""
    return {
        "fileID": file["fileId"],
        "file_name": file["filename"],
        "directory_id": file["parentFileId"],
        "url": None,
        "download_url": file["downloadURL"],
        "user_url": file["userSelfURL"] or None,
        "etag": file["etag"],
        "size": file["size"],
    }


def names(sandbox: Sandbox, directory: str = "2026") -> set[str]:
    return {
        file["filename"] for file in sandbox.state(100_000)["files"] if file["parentFilename"] == directory
    }


# -- a service in virtual time --

START = datetime.now(timezone.utc).replace(microsecond=0)


def image(
    name: str = "a.jpg", *, age: float = -1, status: int = 2, file_id: str = "f1", **more: Any
) -> Image:
    """An image that was changed ``age`` seconds before the submission."""
    fields: dict[str, Any] = {
        "directory_id": "dir",
        "directory_name": "来自:离线下载",
        "etag": "e" * 32,
        "size": 3,
        "changed_at": (START - timedelta(seconds=age)).astimezone(BEIJING),
        "download_url": f"https://vip/{file_id}.jpg",
        "user_url": None,
    }
    return Image(fileID=file_id, file_name=name, status=status, **(fields | more))


def submission(**more: Any) -> Submission:
    fields: dict[str, Any] = {
        "taskID": 7,
        "url": "https://example.com/a.jpg",
        "file_name": "a.jpg",
        "submitted_at": START.isoformat(),
    }
    return Submission(**(fields | more))


class _Wait(WorkerWait):
    def __init__(self, deliveries: tuple[Delivery, ...]) -> None:
        super().__init__(None, None, WaitTiming())
        self._deliveries = deliveries

    def deliveries(self) -> Flow[tuple[Delivery, ...]]:
        yield from ()
        return self._deliveries


class Service:
    """Answers a flow's calls in virtual time; ``status`` and ``images`` may depend on the time.

    :ivar details: what ``get_image`` answers, by fileID: an image or an error. Other ids are those of images without a
        URL, whose details show no more.
    :ivar deliveries: what the waits find in the inbox.
    """

    def __init__(
        self, status: Callable[[float], Any], images: Callable[[float], list[Image]] = lambda _: [image()]
    ) -> None:
        self.now = START.timestamp()
        self._status, self._images = status, images
        self.asked: list[str] = []
        self.details: dict[str, Image | Exception] = {}
        self.deliveries: tuple[Delivery, ...] = ()

    @property
    def elapsed(self) -> float:
        return self.now - START.timestamp()

    def perform(self, step: Any) -> Any:
        if isinstance(step, Sleep):
            self.now += step.seconds
            return None
        assert isinstance(step, MakeCall)
        self.asked.append(step.call.name)
        if step.call.name == "get_offline_download":
            status = self._status(self.elapsed)
            if isinstance(status, Exception):
                raise status
            return OfflineTask(7, TaskStatus(status), 50, START)
        if step.call.name == "get_image":
            assert step.call.params
            if (detail := self.details.get(step.call.params["fileID"])) is not None:
                if isinstance(detail, Exception):
                    raise detail
                return detail
            return next(found for found in self._images(self.elapsed) if found.download_url is None)
        body = step.call.body or {}
        if body["parentFileId"] == "":
            return Listing((), (Directory("x", "else"), Directory("dir", "来自:离线下载")), None)
        since = body.get("startTime", 0)
        images = [
            found
            for found in self._images(self.elapsed)
            if found.changed_at is None or found.changed_at.timestamp() >= since
        ]
        return Listing(tuple(images), (), None)

    def wait(self, what: Submission | None = None, timeout: float = 3600, **more: Any) -> Outcome | None:
        flow = wait_for_outcome(
            what or submission(),
            START.timestamp() + timeout,
            poke_intervals(10, False, None),
            _Wait(self.deliveries),
            clock=self.clock,
            **more,
        )
        return drive(flow, self.perform)

    def clock(self) -> float:
        return self.now
