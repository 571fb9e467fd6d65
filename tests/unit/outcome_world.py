"""A scripted service in virtual time, its images, and a submission to wait for."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

from airflow_provider_123pan.download.submission import Submission
from airflow_provider_123pan.download.timing import WaitTiming
from airflow_provider_123pan.download.wait import Outcome, poke_intervals, wait_for_outcome
from airflow_provider_123pan.download.wait_strategy import WorkerWait
from airflow_provider_123pan.service.flow import Sleep, drive
from airflow_provider_123pan.service.models import BEIJING, Directory, Image, Listing, OfflineTask, TaskStatus
from airflow_provider_123pan.service.protocol import MakeCall

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


class Service:
    """Answers a flow's questions in virtual time; ``status`` and ``images`` may depend on the time."""

    def __init__(
        self, status: Callable[[float], Any], images: Callable[[float], list[Image]] = lambda _: [image()]
    ) -> None:
        self.now = START.timestamp()
        self._status, self._images = status, images
        self.asked: list[str] = []

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
            WorkerWait(None, None, WaitTiming()),
            clock=self.clock,
            **more,
        )
        return drive(flow, self.perform)

    def clock(self) -> float:
        return self.now
