"""Asks progress about images in flight: first those that were called back, then the longest silent ones."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from airflow_provider_123pan.exceptions import Pan123Error
from airflow_provider_123pan.service.listing import READ_RETRY_SECONDS
from airflow_provider_123pan.service.models import TaskStatus
from airflow_provider_123pan.service.progress_queue import SHARE
from airflow_provider_123pan.service.protocol import get_offline_download
from airflow_provider_123pan.sync.in_flight import InFlightImage

if TYPE_CHECKING:
    from airflow_provider_123pan.hooks.pan123 import Pan123Hook

THREADS = 8
MIN_POLLS, SHARE_SECONDS = (
    4,
    5.0,
)  # questions per look at least, and those of so many seconds' share of the rate
SILENT_SECONDS = (15.0, 300.0)  # seconds after which a silent image is asked about: the first, the longest


class ProgressPoller:
    """One worker's questions."""

    def __init__(self, hook: Pan123Hook, clock: Callable[[], float]) -> None:
        self._hook = hook
        self._clock = clock
        # Threads of their own: submissions may queue for long.
        self._threads = ThreadPoolExecutor(THREADS, "pan123-ask")

    def close(self) -> None:
        self._threads.shutdown()

    def poll(
        self, in_flight: Iterable[InFlightImage]
    ) -> Iterator[tuple[InFlightImage, TaskStatus | Pan123Error]]:
        """Ask about those whose turn it is; each with its answer, or with the error that came instead."""
        now, due = self._clock(), []
        for each in in_flight:
            if not each.poll_at:
                each.pause = SILENT_SECONDS[0]
                each.poll_at = now + each.pause * random.uniform(0.5, 1.5)
            if each.taskID is not None and not each.succeeded_at and each.poll_at <= now:
                due.append(each)
        due.sort(key=lambda each: (not each.deliveries, each.poll_at))
        asked = due[: max(MIN_POLLS, math.ceil(SHARE * SHARE_SECONDS * self._hook.client.throttle.rate))]
        for active, answer in zip(asked, self._threads.map(self._progress, asked), strict=True):
            active.pause = min(max(active.pause, SILENT_SECONDS[0] / 2) * 2, SILENT_SECONDS[1])
            active.poll_at = self._clock() + active.pause * random.uniform(0.5, 1.5)
            yield active, answer

    def _progress(self, active: InFlightImage) -> TaskStatus | Pan123Error:
        assert active.taskID is not None
        try:
            return self._hook.client.call(get_offline_download(active.taskID), READ_RETRY_SECONDS).status
        except Pan123Error as error:
            return error
