"""Completes the outcomes of images: why they failed, whether their new URLs serve them, and what an error ended."""

from __future__ import annotations

import logging
import time

from airflow_provider_123pan.exceptions import Pan123Error
from airflow_provider_123pan.source.placeholders import PIXEL
from airflow_provider_123pan.sync.failure_probes import explain_failures
from airflow_provider_123pan.sync.image_state import ImageState
from airflow_provider_123pan.sync.in_flight import InFlight
from airflow_provider_123pan.sync.inventory import Inventory
from airflow_provider_123pan.sync.options import SyncOptions
from airflow_provider_123pan.verification.loading import (
    ImageLoader,
    Loaded,
    Problem,
    ServedImage,
    hosts_named_by,
)
from airflow_provider_123pan.verification.pacing import LOADS_PER_SECOND, load_all

log = logging.getLogger(__name__)


def complete_outcomes(inventory: Inventory, options: SyncOptions, explain_seconds: float) -> None:
    """Explain failures, and verify the images that are there; call it before their results are written.

    :param explain_seconds: no probe of a failure begins later.
    """
    explain_failures(inventory, options.prober, explain_seconds)
    if options.verify:
        _verify(inventory, options)


def fail_the_rest(inventory: Inventory, in_flight: InFlight, error: Pan123Error) -> None:
    """Let each image that has not ended count as failed for the reason of an error."""
    for state in (ImageState.MISSING, ImageState.WORKER, ImageState.AGAIN, ImageState.ACTIVE):
        start = 0
        while (number := inventory.first(state, start)) is not None:
            reason = inventory.redact(number, error.message)
            inventory.record(number, ImageState.FAILED, taskID=in_flight.task_id(number), reason=reason)
            start = number + 1


def _verify(inventory: Inventory, options: SyncOptions) -> None:
    """Let each image count as failed whose URL does not serve it, and as suspect if it serves something else."""
    hosts = hosts_named_by(url for _, (url, *_) in inventory.unverified_images())
    images = ((numbers, ServedImage(*served)) for numbers, served in inventory.unverified_images())
    found: list[tuple[list[int], Loaded]] = []
    with ImageLoader(hosts, content=options.verify == "content") as loader:
        for numbers, loaded in load_all(loader, images, LOADS_PER_SECOND, options.deadline - time.time()):
            if not loaded.is_served or (loaded.is_pixel and not options.allow_equal):
                found.append((numbers, loaded))
    inventory.set_verified()
    for numbers, loaded in found:
        is_suspect = loaded.is_served or (loaded.problem is Problem.WRONG_TYPE and not options.allow_equal)
        reason = PIXEL if loaded.is_served else f"not verified: {loaded.reason}"
        for number in numbers:
            log.warning("%s: %s", inventory.redacted(number), reason)
            (inventory.suspect if is_suspect else inventory.fail)(number, reason)
