"""Waits in the triggerer for the end of a submission. Only reads, since a trigger may run twice."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_123pan.hooks.shared import async_client
from airflow_provider_123pan.outcome import intervals, wait
from airflow_provider_123pan.service.errors import Pan123Error
from airflow_provider_123pan.submission import Submission
from airflow_provider_123pan.waiting import event_of


class Pan123OfflineDownloadTrigger(BaseTrigger):
    """Fires once, when the submission has ended, at the deadline, or at an error that ends the wait.

    :param submission: the operator's XCom.
    :param pan123_conn_id: the connection; looked up once, in ``run``.
    :param deadline: Unix seconds; absolute, so that a restart does not move it.
    :param poke_interval: seconds between two questions; grows where ``exponential_backoff``, up to ``max_wait``.
    :param silent_fail: log an error and go on.
    """

    def __init__(
        self,
        *,
        submission: dict[str, Any],
        pan123_conn_id: str,
        deadline: float,
        poke_interval: float,
        exponential_backoff: bool = False,
        max_wait: float | None = None,
        silent_fail: bool = False,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.submission = submission
        self.pan123_conn_id = pan123_conn_id
        self.deadline = deadline
        self.poke_interval = poke_interval
        self.exponential_backoff = exponential_backoff
        self.max_wait = max_wait
        self.silent_fail = silent_fail

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "submission": self.submission,
                "pan123_conn_id": self.pan123_conn_id,
                "deadline": self.deadline,
                "poke_interval": self.poke_interval,
                "exponential_backoff": self.exponential_backoff,
                "max_wait": self.max_wait,
                "silent_fail": self.silent_fail,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        try:
            client = await async_client(self.pan123_conn_id)
            flow = wait(
                Submission.parse(self.submission),
                self.deadline,
                intervals(self.poke_interval, self.exponential_backoff, self.max_wait),
                silent=self.silent_fail,
            )
            event = event_of(await client.run(flow))
        except Pan123Error as error:
            event = event_of(error)
        yield TriggerEvent(event)  # type: ignore[no-untyped-call]
