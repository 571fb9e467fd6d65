"""Polls the progress of images in flight: first those with a callback, then those that are due the longest."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from airflow_provider_123pan.exceptions import Pan123Error
from airflow_provider_123pan.service.models import TaskStatus
from airflow_provider_123pan.service.progress_queue import SHARE
from airflow_provider_123pan.service.protocol import get_offline_download
from airflow_provider_123pan.service.timing import READ_RETRY_SECONDS
from airflow_provider_123pan.sync.in_flight import Clock, InFlightImage
from airflow_provider_123pan.sync.timing import SyncTiming

if TYPE_CHECKING:
    from airflow_provider_123pan.hooks.pan123 import Pan123Hook

THREADS = 8
MIN_POLLS = 4  # per check


class ProgressPoller:
    """Polls for one worker, in threads of its own, because submissions may queue for long."""

    def __init__(self, hook: Pan123Hook, timing: SyncTiming, clock: Clock) -> None:
        self._hook = hook
        self._timing = timing
        self._clock = clock
        self._threads = ThreadPoolExecutor(THREADS, "pan123-poll")

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown()

    def poll(
        self, in_flight: Iterable[InFlightImage]
    ) -> Iterator[tuple[InFlightImage, TaskStatus | Pan123Error]]:
        """Poll the images that are due; yield each with its answer, or with the error that came instead."""
        now, due = self._clock(), list[InFlightImage]()
        for image in in_flight:
            if not image.poll_at:
                image.schedule_poll(now, self._timing.silent)
            if image.taskID is not None and not image.succeeded_at and image.poll_at <= now:
                due.append(image)
        due.sort(key=lambda image: (not image.deliveries, image.poll_at))
        share = math.ceil(SHARE * self._timing.poll_share * self._hook.client.throttle.rate)
        polled = due[: max(MIN_POLLS, share)]
        for image, answer in zip(polled, self._threads.map(self._progress, polled), strict=True):
            image.was_polled = True
            image.schedule_poll(self._clock(), self._timing.silent)
            yield image, answer

    def _progress(self, image: InFlightImage) -> TaskStatus | Pan123Error:
        assert image.taskID is not None
        try:
            return self._hook.client.call(get_offline_download(image.taskID), READ_RETRY_SECONDS).status
        except Pan123Error as error:
            return error
