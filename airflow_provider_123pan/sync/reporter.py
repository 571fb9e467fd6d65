"""Reports the progress of a sync: in the log, in an XCom that the UI shows, and through Airflow's metrics."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from typing import Any

from airflow_provider_123pan.sync.image_state import ImageState
from airflow_provider_123pan.sync.in_flight import InFlight
from airflow_provider_123pan.sync.inventory import Inventory

log = logging.getLogger(__name__)

INTERVAL_SECONDS = 15.0  # between two reports
MAX_FAILURES_SHOWN = 20  # in the XCom
KEY = "progress"
GAUGE = "pan123.sync.images"


class Reporter:
    """Reports at a steady interval.

    :param ti: the running task.
    :param in_flight: counts the callbacks; None without callbacks.
    :ivar failures: the first images that have failed or are suspect, for the XCom.
    """

    def __init__(
        self,
        ti: Any,
        inventory: Inventory,
        failures: Iterable[dict[str, Any]] = (),
        in_flight: InFlight | None = None,
    ) -> None:
        self._ti = ti
        self._inventory = inventory
        self._in_flight = in_flight
        self.failures = [*failures]
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
        suspect = self._inventory.count(ImageState.SUSPECT)
        left = round((total - done) / self._rate) if self._rate else None if done < total else 0
        callbacks = {} if self._in_flight is None else {"called_back": self._in_flight.called_back}
        log.info(
            "%d of %d images done, %d of them failed, %d suspect, %d active, %s%.1f a second, %s",
            done,
            total,
            failed,
            suspect,
            active,
            "".join(f"{count} called back, " for count in callbacks.values()),
            self._rate,
            "time left unknown" if left is None else f"about {left} s left",
        )
        self._ti.xcom_push(
            KEY,
            {
                "total": total,
                "done": done,
                "suspect": suspect,
                "failed": failed,
                "active": active,
                **callbacks,
                "images_per_second": round(self._rate, 1),
                "seconds_left": left,
            },
        )
        _gauge("done", done)
        _gauge("active", active)
        _gauge("failed", failed)
        _gauge("suspect", suspect)

    def collect_failures(self) -> None:
        """Add images that have failed or are suspect to the first ones."""
        if not any(map(self._inventory.count, (ImageState.FAILED, ImageState.SUSPECT))):
            return
        for record in self._inventory.records():
            if len(self.failures) >= MAX_FAILURES_SHOWN:
                return
            url = self._inventory.redacted_url(record.url)
            failure = {"url": url, "file_name": record.file_name, "reason": record.reason}
            if not record.is_stored and failure not in self.failures:
                self.failures.append(failure)

    def _ended(self) -> int:
        return self._inventory.count_ended()


def _gauge(what: str, number: int) -> None:
    from airflow.sdk.observability.stats import Stats

    gauge: Any = Stats.gauge  # a method of the metaclass on Airflow 3.2, a static method on 3.3
    gauge(f"{GAUGE}.{what}", number)
