"""When a sync lists its whole directory for images that succeeded and did not appear."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_123pan.callbacks.delivery import Delivery, DeliveryStatus
from airflow_provider_123pan.service.flow import drive
from airflow_provider_123pan.service.models import Image, Listing
from airflow_provider_123pan.source.digests import SourceDigest
from airflow_provider_123pan.source.naming import Naming
from airflow_provider_123pan.sync.finder import Finder
from airflow_provider_123pan.sync.image_state import ImageState
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
        urls = ("https://example.com/a.jpg", "https://example.com/b.jpg")
        inventory.load(RawEntry(url, {"url": url, "file_name": url[-5:]}) for url in urls)
        self.in_flight = InFlight("seed", BEGAN)
        self.pending = InFlightImage(0, inventory.key(0), "", 0, 7, BEGAN, BEGAN, was_polled=True)
        self.in_flight.add(self.pending)
        stand_in: Any = SimpleNamespace
        self.found: list[str] = []
        self.recorder = stand_in(
            longest=1.0,
            shares_files=False,
            found=lambda pending, image, matched_by: self.found.append(f"{image.fileID} {matched_by}"),
        )
        self.finder = Finder(
            stand_in(client=stand_in(run=self.list)),
            inventory,
            self.in_flight,
            self.recorder,
            stand_in(keep=lambda images, last: images.append, match=lambda *_, **__: None),
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


# --- submitted alone, because another entry may have the same bytes -----------------------------------------


def listed(name: str, created: float, changed: float) -> dict[str, Any]:
    """Return the record of an image with these dates, in seconds after the submission."""
    return {"fileId": name, "filename": name, "createAt": BEGAN + created, "updateAt": BEGAN + changed}


class Alone(Scene):
    """The image in flight was submitted alone; another image of the list is stored already."""

    def __init__(self) -> None:
        super().__init__()
        self.images: list[dict[str, Any]] = []
        self.finder._inventory.record(1, ImageState.MIGRATED, Image.parse(listed("b.jpg", -900, -900)))
        self.in_flight.alone.add(0)
        self.pending.report_succeeded(BEGAN + 1)

    def list(self, flow: Any) -> None:
        page = Listing(tuple(map(Image.parse, self.images)), (), None)
        drive(flow, lambda step: page)


@pytest.mark.parametrize(
    ("images", "named", "found"),
    [
        pytest.param([("b.jpg", 2, 2)], False, True, id="replaced"),
        pytest.param([("b.jpg", -900, -900)], False, False, id="unchanged, though listed"),
        pytest.param([("b.jpg", -900, 2)], False, False, id="perhaps only downloaded"),
        pytest.param([("b.jpg", -900, 2)], True, True, id="changed, and a callback names it"),
        pytest.param([("b.jpg", 2, 2), ("other.jpg", 2, 2)], False, False, id="two"),
        pytest.param([("b.jpg", 2, 2), ("other.jpg", -900, -900)], False, True, id="beside an older one"),
        pytest.param([("other.jpg", 2, 2)], False, False, id="not of this list"),
    ],
)
def test_the_file_that_changed_since_is_taken(
    images: list[tuple[str, float, float]], named: bool, found: bool
) -> None:
    alone = Alone()
    alone.images = [listed(*each) for each in images]
    if named:
        alone.pending.deliver(Delivery("0" * 32, DeliveryStatus.SUCCEEDED, fileID="b.jpg"), BEGAN + 1)
    alone.finder.list_new()
    assert alone.found == (["b.jpg renamed"] if found else [])
