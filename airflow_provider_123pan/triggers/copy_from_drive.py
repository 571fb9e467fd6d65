"""The trigger that waits for copies from the cloud drive. It only reads, because a trigger may run twice."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any, ClassVar

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_123pan.account.shared_client import shared_client
from airflow_provider_123pan.download.events import to_event
from airflow_provider_123pan.download.timing import WaitTiming
from airflow_provider_123pan.exceptions import Pan123Error
from airflow_provider_123pan.sync.drive_copies import wait_for_copies


class Pan123CopyFromDriveTrigger(BaseTrigger):
    """Fire once: when all tasks of a copy have ended, at the deadline, or at an error that ends the wait.

    :param task_ids: the service's tasks.
    :param pan123_conn_id: the connection, which ``run`` reads once.
    :param deadline: Unix seconds, so that a restart does not move it.
    :param poke_interval: seconds between two polls.
    """

    timing: ClassVar[WaitTiming] = WaitTiming()

    def __init__(
        self, *, task_ids: list[str], pan123_conn_id: str, deadline: float, poke_interval: float
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.task_ids = task_ids
        self.pan123_conn_id = pan123_conn_id
        self.deadline = deadline
        self.poke_interval = poke_interval

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments, as Airflow stores them."""
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "task_ids": self.task_ids,
                "pan123_conn_id": self.pan123_conn_id,
                "deadline": self.deadline,
                "poke_interval": self.poke_interval,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, and yield the one event."""
        started = time.monotonic()
        event: dict[str, Any] = {"status": "copied"}
        try:
            async with shared_client(self.pan123_conn_id) as shared:
                wait = wait_for_copies(self.task_ids, self.deadline, self.poke_interval)
                if not await shared.client.run(wait):
                    event = to_event(None)
        except Pan123Error as error:
            event = to_event(error)
        await asyncio.sleep(max(0.0, self.timing.min_to_event - (time.monotonic() - started)))
        yield TriggerEvent(event)  # type: ignore[no-untyped-call]
