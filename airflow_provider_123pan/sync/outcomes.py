"""Completes what is known of images that have ended: why they failed, and whether their new URLs serve them."""

from __future__ import annotations

import logging
import time

from airflow_provider_123pan.sync.failure_probes import explain_failures
from airflow_provider_123pan.sync.inventory import Inventory
from airflow_provider_123pan.sync.options import SyncOptions
from airflow_provider_123pan.verification.loading import ImageLoader, ServedImage, hosts_named_by
from airflow_provider_123pan.verification.pacing import LOADS_PER_SECOND, load_all

log = logging.getLogger(__name__)


def complete_outcomes(inventory: Inventory, options: SyncOptions, explain_seconds: float) -> None:
    """Explain failures, and verify the images that are there; call it before their results are written.

    :param explain_seconds: no probe of a failure begins later.
    """
    explain_failures(inventory, options.prober, explain_seconds)
    if options.verify:
        _verify(inventory, content=options.verify == "content", deadline=options.deadline)


def _verify(inventory: Inventory, *, content: bool, deadline: float) -> None:
    """Let each image count as failed whose URL does not serve it."""
    hosts = hosts_named_by(url for _, (url, *_) in inventory.stored_images())
    images = ((numbers, ServedImage(*served)) for numbers, served in inventory.stored_images())
    failures: list[tuple[list[int], str]] = []
    with ImageLoader(hosts, content=content) as loader:
        for numbers, loaded in load_all(loader, images, LOADS_PER_SECOND, deadline - time.time()):
            if not loaded.is_served:
                failures.append((numbers, f"not verified: {loaded.reason}"))
    for numbers, reason in failures:
        for number in numbers:
            log.warning("%s: %s", inventory.redacted(number), reason)
            inventory.fail(number, reason)
