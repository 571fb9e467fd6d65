"""When a sync lists its whole directory for images that succeeded and did not appear."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_123pan.source.digests import SourceDigest
from airflow_provider_123pan.source.naming import Naming
from airflow_provider_123pan.sync.finder import Finder
from airflow_provider_123pan.sync.in_flight import InFlight, InFlightImage
from airflow_provider_123pan.sync.inventory import Inventory
from airflow_provider_123pan.sync.raw_entries import RawEntry
from airflow_provider_123pan.sync.timing import SyncTiming

BEGAN = 1_780_000_000.0
LISTING = 5.0  # seconds


class Scene:
    """A finder with one image in flight, whose listings take long and show nothing.

    :ivar asked: when the source was asked, in seconds after the submission.
    :ivar listings: when they began, in seconds after the submission.
    :ivar digest: what the source of the image says next.
    """

    def __init__(self) -> None:
        self.now = BEGAN
        self.asked: list[float] = []
        self.listings: list[float] = []
        self.digest: SourceDigest | None = None
        inventory = Inventory(Naming())
        inventory.load([RawEntry("1", {"url": "https://example.com/a.jpg"})])
        self.in_flight = InFlight("seed", BEGAN)
        self.pending = InFlightImage(0, inventory.key(0), "", 0, 7, BEGAN, BEGAN, was_polled=True)
        self.in_flight.add(self.pending)
        stand_in: Any = SimpleNamespace
        self.recorder = stand_in(longest=1.0, shares_files=False)
        self.finder = Finder(
            stand_in(client=stand_in(run=self.list)),
            inventory,
            self.in_flight,
            self.recorder,
            stand_in(keep=lambda images, last: images.append, match=lambda *_: None),
            stand_in(
                requests=0,
                ask=lambda *_: self.asked.append(self.now - BEGAN),
                collect=self.collect,
                was_asked=lambda _: True,
            ),
            lambda numbers: ["d"],
            deadline=BEGAN + 10_000,
            timing=SyncTiming(),
            clock=lambda: self.now,
        )

    def list(self, flow: Any) -> None:
        self.listings.append(self.now - BEGAN)
        self.now += LISTING

    def collect(self, now: float) -> bool:
        found, self.digest = self.digest, None
        if found:
            self.in_flight.add_digest(self.pending, found)
        return found is not None

    def check(self, at: float) -> None:
        """Check at a time, in seconds after the submission."""
        self.now = BEGAN + at
        self.finder.scan_if_due()


@pytest.fixture
def scene() -> Scene:
    made = Scene()
    made.pending.report_succeeded(BEGAN + 100)
    return made


def test_an_image_that_succeeded_is_given_time_to_settle(scene: Scene) -> None:
    scene.check(101)
    assert scene.listings == []
    scene.check(108)
    assert scene.listings == [108]


def test_a_digest_needs_no_time_to_settle(scene: Scene) -> None:
    scene.digest = SourceDigest("0" * 32)
    scene.check(101)
    assert scene.listings == [101]


def test_the_worker_keeps_a_digest_until_the_directory_was_listed_for_it(scene: Scene) -> None:
    """The next listing waits, because the last one took long; a worker that defers forgets the digest."""
    scene.check(108)
    scene.digest = SourceDigest("0" * 32)
    scene.check(120)
    assert scene.listings == [108]
    assert scene.finder.awaits_digests
    scene.check(134)
    assert scene.listings == [108, 134]
    assert not scene.finder.awaits_digests


def test_a_digest_of_an_image_that_was_found_otherwise_keeps_no_worker(scene: Scene) -> None:
    scene.check(108)
    scene.digest = SourceDigest("0" * 32)
    scene.check(120)
    scene.in_flight.remove(0)
    assert not scene.finder.awaits_digests


def test_a_source_is_asked_if_its_image_takes_longer_than_others(scene: Scene) -> None:
    scene.recorder.longest = 60.0
    scene.check(126)
    assert scene.asked == []
    scene.check(128)
    assert scene.asked == [128]


def test_once_images_share_a_file_sources_are_asked_sooner(scene: Scene) -> None:
    scene.recorder.longest = 60.0
    scene.recorder.shares_files = True
    scene.check(102)
    assert scene.asked == [102]
