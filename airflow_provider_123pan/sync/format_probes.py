"""Probes the sources of images that show no format, ahead of their submission."""

from __future__ import annotations

import logging
from concurrent.futures import Future, ThreadPoolExecutor

from airflow_provider_123pan.source.probe import Finding, Prober
from airflow_provider_123pan.sync.image_state import ImageState
from airflow_provider_123pan.sync.inventory import Inventory

log = logging.getLogger(__name__)

PROBE_THREADS = 16
MAX_AHEAD = 2 * PROBE_THREADS  # probes that are running or waiting for a thread


class FormatProbes:
    """Finds the formats of images for one worker.

    An image is probed only before it is submitted: what the directory holds is recognized by a name without extension.
    So nothing about a probe is kept across a deferral, and the next worker probes what is then still to be submitted.

    :param prober: None: every image of the list has a format.
    """

    def __init__(self, inventory: Inventory, prober: Prober | None) -> None:
        self._inventory = inventory
        self._prober = prober
        self._threads = ThreadPoolExecutor(PROBE_THREADS, "pan123-probe")
        self._probes: dict[Future[Finding], int] = {}
        self._probed: set[int] = set()  # the numbers of images whose probe has not been collected

    def __len__(self) -> int:
        return len(self._probes)

    def is_ready(self, number: int) -> bool:
        """Return whether an image can be submitted; if its format is unknown, a probe begins as soon as one may."""
        if self._prober is None or not self._inventory.lacks_format(number):
            return True
        if number not in self._probed and len(self._probes) < MAX_AHEAD:
            url = self._inventory.entry(number).url
            self._probes[self._threads.submit(self._prober.probe, url)] = number
            self._probed.add(number)
        return False

    def collect(self) -> bool:
        """Record what the probes found that have ended; return whether any has.

        An image whose source shows no format has failed, unless the worker may fetch it; after an answer that may
        change, its source is probed once more when all other images have ended.
        """
        done = [probe for probe in self._probes if probe.done()]
        for probe in done:
            number, finding = self._probes.pop(probe), probe.result()
            self._probed.remove(number)
            if finding.extension is not None:
                if self._inventory.is_format_converted(finding.extension):
                    self._inventory.record(number, ImageState.WORKER)
                else:
                    self._inventory.add_format(number, finding.extension)
                continue
            attempt = int(self._inventory.state(number) is ImageState.AGAIN)
            # With its own headers the worker may get another answer.
            again = self._inventory.falls_back or not finding.is_final
            reason = f"{self._inventory.place(number)}: {finding.error().message}"
            log.warning("%s: %s", self._inventory.redacted(number), reason)
            state = self._inventory.state_after_failure(attempt) if again else ImageState.FAILED
            self._inventory.record(number, state, reason=reason)
        return bool(done)

    def close(self) -> None:
        """End the threads; a running probe ends within its own time limit."""
        self._threads.shutdown(wait=False, cancel_futures=True)
