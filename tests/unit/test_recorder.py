"""How the end of an image in flight is recorded."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_123pan.service.models import Image
from airflow_provider_123pan.source.digests import SourceDigest
from airflow_provider_123pan.source.naming import Naming
from airflow_provider_123pan.sync.image_state import ImageState
from airflow_provider_123pan.sync.in_flight import InFlight, InFlightImage
from airflow_provider_123pan.sync.inventory import Inventory
from airflow_provider_123pan.sync.manifest import read_images
from airflow_provider_123pan.sync.options import Fetch
from airflow_provider_123pan.sync.recorder import Recorder
from tests.support import image

RIGHT, WRONG = "a" * 32, "b" * 32


def record(fetch: Fetch, stored: Image) -> Inventory:
    """Record a stored image of an entry whose MD5 the list states."""
    inventory = Inventory(Naming(), fetch)
    inventory.load(read_images([{"url": "https://example.com/a.png", "md5": RIGHT}]))
    in_flight = InFlight("seed")
    pending = InFlightImage(0, inventory.key(0), "digest", 0, 7, time.time(), time.time())
    in_flight.add(pending)
    hook: Any = SimpleNamespace(client=SimpleNamespace(run=lambda flow: stored))
    Recorder(hook, inventory, in_flight, 3, time.time).found(pending, stored, "name")
    assert len(in_flight) == 0
    return inventory


@pytest.mark.parametrize("fetch", Fetch)
def test_the_right_image_was_fetched_by_the_service(fetch: Fetch) -> None:
    (found,) = record(fetch, image(etag=RIGHT)).records()
    assert (found.status, found.fetched_by, found.taskID) == ("migrated", "service", 7)


@pytest.mark.parametrize(
    ("fetch", "state"), [(Fetch.SERVICE, ImageState.FAILED), (Fetch.AUTO, ImageState.WORKER)]
)
def test_another_image_than_the_list_says_is_for_the_worker_if_it_may(
    fetch: Fetch, state: ImageState
) -> None:
    inventory = record(fetch, image(etag=WRONG))
    assert inventory.state(0) is state
    assert inventory.reason(0) == f"the stored image's MD5 is {WRONG}, the list says {RIGHT}"


@pytest.mark.parametrize(
    ("digest", "matched_by", "shares"),
    [
        (SourceDigest(RIGHT), "content", True),
        (SourceDigest(RIGHT), "variant", False),
        (None, "content", False),
    ],
)
def test_only_the_digest_of_a_source_shows_that_images_share_files(
    digest: SourceDigest | None, matched_by: str, shares: bool
) -> None:
    inventory, in_flight = Inventory(), InFlight("seed")
    inventory.load(read_images([{"url": "https://example.com/a.png"}]))
    pending = InFlightImage(0, inventory.key(0), "", 0, 7, time.time(), time.time(), digest=digest)
    in_flight.add(pending)
    stored = image(etag=RIGHT)
    hook: Any = SimpleNamespace(client=SimpleNamespace(run=lambda flow: stored))
    recorder = Recorder(hook, inventory, in_flight, 3, time.time)
    recorder.found(pending, stored, matched_by)
    assert recorder.shares_files is shares


@pytest.mark.parametrize("fetch", Fetch)
def test_a_rejection_is_final(fetch: Fetch) -> None:
    assert record(fetch, image(etag=RIGHT, status=101)).state(0) is ImageState.FAILED
