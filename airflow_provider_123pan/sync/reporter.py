"""Reports the progress of a sync: in the log, in an XCom that the UI shows, and through Airflow's metrics."""

from __future__ import annotations

import logging
import time
from typing import Any

from airflow_provider_123pan.sync.inventory import ImageState, Inventory

log = logging.getLogger(__name__)

INTERVAL_SECONDS = 15.0  # between two reports
KEY = "progress"
GAUGE = "pan123.sync.images"


class Reporter:
    """Reports at a steady interval.

    :param ti: the running task.
    """

    def __init__(self, ti: Any, inventory: Inventory) -> None:
        self._ti = ti
        self._inventory = inventory
        self._next = time.monotonic() + INTERVAL_SECONDS
        self._at, self._done = time.monotonic(), self._ended()
        self._rate = 0.0

    def report_if_due(self, active: int) -> None:
        """Report if the interval is over.

        :param active: the number of images in flight.
        """
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + INTERVAL_SECONDS
            self.report(active)

    def report(self, active: int) -> None:
        """Report now."""
        now, done = time.monotonic(), self._ended()
        if now - self._at >= 1:
            self._rate = (done - self._done) / (now - self._at)
            self._at, self._done = now, done
        total, failed = len(self._inventory), self._inventory.count(ImageState.FAILED)
        left = round((total - done) / self._rate) if self._rate else None if done < total else 0
        log.info(
            "%d of %d images done, %d of them failed, %d active, %.1f a second, %s",
            done,
            total,
            failed,
            active,
            self._rate,
            "time left unknown" if left is None else f"about {left} s left",
        )
        self._ti.xcom_push(
            KEY,
            {
                "total": total,
                "done": done,
                "failed": failed,
                "active": active,
                "images_per_second": round(self._rate, 1),
                "seconds_left": left,
            },
        )
        _gauge("done", done)
        _gauge("active", active)
        _gauge("failed", failed)

    def _ended(self) -> int:
        return sum(map(self._inventory.count, (ImageState.PRESENT, ImageState.MIGRATED, ImageState.FAILED)))


def _gauge(what: str, number: int) -> None:
    from airflow.sdk.observability.stats import Stats

    gauge: Any = Stats.gauge  # a method of the metaclass on Airflow 3.2, a static method on 3.3
    gauge(f"{GAUGE}.{what}", number)
