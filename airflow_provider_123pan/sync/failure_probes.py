"""Probes the sources of images that failed without a reason."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor, wait

from airflow_provider_123pan.download.failure import reason_with
from airflow_provider_123pan.download.verdict import NO_REASON
from airflow_provider_123pan.source.probe import Prober
from airflow_provider_123pan.sync.format_probes import PROBE_THREADS
from airflow_provider_123pan.sync.inventory import Inventory

log = logging.getLogger(__name__)


def explain_failures(inventory: Inventory, prober: Prober | None, seconds: float) -> None:
    """Add what its source answers to the reason of each image that failed without one; each is probed once.

    :param prober: None: nothing is probed.
    :param seconds: no probe begins later; the images that are left keep their reason.
    """
    numbers = inventory.failed_because(NO_REASON) if prober else []
    if prober is None or not numbers:
        return
    threads = ThreadPoolExecutor(PROBE_THREADS, "pan123-probe")
    try:
        probes = {threads.submit(prober.probe, inventory.entry(number).url): number for number in numbers}
        done, left = wait(probes, seconds)
    finally:
        threads.shutdown(wait=False, cancel_futures=True)
    for probe in done:
        inventory.explain(probes[probe], reason_with(probe.result()))
    if left:
        log.warning("%d failed images were not probed within %g s", len(left), seconds)
