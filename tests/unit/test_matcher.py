"""Which listed image a sync takes for one in flight: by what the directory held before, by dates, and by claims."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timezone
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_123pan.callbacks.delivery import Delivery, DeliveryStatus
from airflow_provider_123pan.service.models import Image
from airflow_provider_123pan.source.digests import SourceDigest
from airflow_provider_123pan.source.naming import Naming
from airflow_provider_123pan.sync.first_scan import Change, FirstScan
from airflow_provider_123pan.sync.image_state import ImageState
from airflow_provider_123pan.sync.in_flight import InFlight, InFlightImage
from airflow_provider_123pan.sync.inventory import Inventory
from airflow_provider_123pan.sync.matcher import Matcher
from airflow_provider_123pan.sync.raw_entries import RawEntry
from airflow_provider_123pan.sync.timing import SyncTiming

BEGAN = 1_780_000_000.0
MINUTE, DAY, UTC = 60.0, 86_400.0, -8 * 3600.0
LONG = "a long name that the service may cut at its end"  # 47 characters


def stored(
    file_name: str,
    at: float | None = 10.0,
    fileID: str = "f1",
    etag: str = "0" * 32,
    directory_id: str = "d",
    created: float | None = None,
) -> Image:
    """Return a stored image.

    :param at: the date of its last change, in seconds after the first submission.
    :param created: the date of its creation, likewise.
    """
    changed_at, created_at = (
        None if date is None else datetime.fromtimestamp(BEGAN + date, timezone.utc) for date in (at, created)
    )
    return Image(
        *(fileID, file_name, directory_id, "photos", etag, 100, 2),
        changed_at,
        "https://example.com/new.jpg",
        None,
        created_at=created_at,
    )


class Sync:
    """A sync whose images are all in flight.

    :param resumed: whether they were submitted before the first scan.
    """

    def __init__(
        self,
        *names: str,
        scanned: Iterable[Image] | None = (),
        overwrite: bool = False,
        resumed: bool = False,
        **more: Any,
    ):
        self.inventory, self.size = Inventory(Naming(keep_tree=True)), len(names)
        self.inventory.locate({"x": "dx", "y": "dy"})
        rows = [
            {"url": f"https://example.com/{at}.jpg", "file_name": name} | more
            for at, name in enumerate(names)
        ]
        self.inventory.load(RawEntry(str(number), row) for number, row in enumerate(rows))
        self.in_flight = InFlight("seed", BEGAN)
        self.matches: dict[int, tuple[str, str]] = {}
        self.reasons: dict[int, str] = {}
        scan = None if scanned is None else FirstScan()
        for image in scanned or ():
            assert scan
            scan.add(image, self.inventory.folder_of(image))
        self.now = BEGAN + 20
        if resumed:
            self.submit()
        self.matcher = Matcher(
            self.inventory,
            self.in_flight,
            SimpleNamespace(found=self.record, failed=self.fail),  # type: ignore[arg-type]
            scan,
            overwrite=overwrite,
            timing=SyncTiming(),
            clock=lambda: self.now,
        )
        if not resumed:
            self.submit()

    def submit(self) -> None:
        """Submit all images."""
        for number in range(self.size):
            pending = InFlightImage(number, self.inventory.key(number), "", 0, 7 + number, BEGAN, BEGAN)
            pending.report_succeeded(BEGAN + 10)
            self.in_flight.add(pending)

    def record(self, pending: InFlightImage, image: Image, matched_by: str) -> None:
        """Record a match."""
        self.matches[pending.number] = (image.fileID, matched_by)
        self.in_flight.remove(pending.number)
        self.inventory.record(pending.number, ImageState.MIGRATED, image)

    def fail(self, pending: InFlightImage, reason: str) -> None:
        """Record a failure."""
        self.reasons[pending.number] = reason

    def pending(self, number: int) -> InFlightImage:
        """Return an image in flight."""
        found = self.in_flight.get(number)
        assert found
        return found

    def match(self, *images: Image, last: bool = False, complete: bool = True) -> dict[int, tuple[str, str]]:
        """Match images; return what was found."""
        self.matcher.match(images, list(self.in_flight) if last else (), complete=complete)
        return self.matches


@pytest.fixture
def scan() -> FirstScan:
    made = FirstScan()
    made.add(stored("a.jpg"))
    return made


def test_the_first_scan_knows_what_has_changed(scan: FirstScan) -> None:
    assert scan.compare(stored("a.jpg")) is Change.NONE
    assert scan.compare(stored("renamed.jpg")) is Change.NONE
    assert scan.compare(stored("a.jpg", at=11)) is Change.CHANGED
    assert scan.compare(stored("a.jpg", etag="1" * 32)) is Change.CHANGED
    assert scan.compare(stored("a.jpg", at=11, created=10)) is Change.TOUCHED
    assert scan.compare(stored("a.jpg", created=11)) is Change.CHANGED
    assert scan.compare(stored("a.jpg", fileID="f2")) is Change.ADDED
    assert (scan.has_name("a"), scan.has_name("b")) == (True, False)


OLD = stored("a.jpg", at=-DAY, fileID="old")
TOUCHED = stored("a.jpg", at=10, fileID="old", created=-DAY)


@pytest.mark.parametrize(
    ("image", "overwrite", "scanned", "expected"),
    [
        # What was not there is new by any clock, unless it may have been listed late.
        pytest.param(stored("a.jpg"), False, (), "name", id="new"),
        pytest.param(stored("a.jpg", UTC), False, (), "name", id="in UTC"),
        pytest.param(stored("a.jpg", None), False, (), "name", id="undated"),
        pytest.param(stored("a.jpg", -MINUTE), False, (), None, id="listed late"),
        pytest.param(stored("a.jpg"), True, (), "name", id="overwriting"),
        pytest.param(stored("a.jpg", UTC), True, (), None, id="overwriting, perhaps an old one"),
        pytest.param(stored("a.jpg", None), True, (), None, id="overwriting, undated"),
        pytest.param(stored("a.jpg", -MINUTE), True, (), None, id="overwriting, listed late"),
        # The first scan showed the older image.
        pytest.param(OLD, True, (OLD,), None, id="the older image"),
        pytest.param(stored("a.jpg", UTC), True, (OLD,), "name", id="beside the older image, in UTC"),
        pytest.param(stored("a.jpg", None), True, (OLD,), "name", id="beside the older image, undated"),
        pytest.param(stored("a.jpg", -MINUTE, "old"), True, (OLD,), "name", id="the older image has changed"),
        pytest.param(stored("a.jpg", 10, "old"), True, (stored("a.jpg", 10, "old"),), None, id="dated ahead"),
        pytest.param(TOUCHED, True, (OLD,), "name", id="only its last change is new"),
        # Without a first scan, as after a deferral, dates decide; a sync that skips had only missing names.
        pytest.param(stored("a.jpg"), True, None, "name", id="no scan"),
        pytest.param(stored("a.jpg", UTC), True, None, None, id="no scan, in UTC"),
        pytest.param(stored("a.jpg", None), True, None, None, id="no scan, undated"),
        pytest.param(stored("a.jpg", UTC), False, None, "name", id="no scan, skipping, in UTC"),
        pytest.param(stored("a.jpg", -MINUTE), False, None, None, id="no scan, skipping, listed late"),
        # A variant counts once the image has succeeded and settled.
        pytest.param(stored("a(1).jpg"), True, (), "variant", id="numbered"),
        pytest.param(stored("a_1.jpg"), True, (), None, id="perhaps another image"),
        pytest.param(stored("a.png"), False, (), "name", id="another extension"),
        pytest.param(stored("b.jpg"), False, (), None, id="another name"),
    ],
)
def test_an_image_is_new(
    image: Image, overwrite: bool, scanned: tuple[Image, ...] | None, expected: str | None
) -> None:
    sync = Sync("a.jpg", scanned=scanned, overwrite=overwrite)
    assert sync.match(image) == ({} if expected is None else {0: (image.fileID, expected)})


@pytest.mark.parametrize("scanned", [(OLD,), None], ids=["scan", "no scan"])
def test_an_older_image_whose_last_change_is_new_comes_after_a_new_one(
    scanned: tuple[Image, ...] | None,
) -> None:
    sync = Sync("a.jpg", scanned=scanned, overwrite=True)
    sync.pending(0).succeeded_at = sync.now
    assert sync.match(TOUCHED) == {}  # a download may count as a change, and the new one may be listed soon
    sync.now += SyncTiming().wait.settling + 1
    assert sync.match(TOUCHED, complete=False) == {}
    hashed = stored(f"{'2' * 32}.jpg", fileID="f2", etag="2" * 32)
    assert sync.match(TOUCHED, hashed) == {}
    assert sync.match(TOUCHED, stored("a(1).jpg", etag="1" * 32)) == {0: ("f1", "variant")}


def test_progress_decides_whether_an_overwritten_image_has_arrived() -> None:
    sync = Sync("a.jpg", overwrite=True)
    pending = sync.pending(0)
    pending.succeeded_at = None
    pending.poll_again(BEGAN + 1000)
    assert sync.match(stored("a.jpg")) == {}
    assert pending.poll_at == sync.now


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        pytest.param([OLD], ("old", "older"), id="equal content that kept its date"),
        pytest.param([OLD, stored("b.jpg", fileID="f2")], None, id="beside a new one"),
        pytest.param([stored("a-1.jpg")], ("f1", "variant"), id="a name that others use as well"),
        pytest.param([stored(f"{'0' * 32}.jpg")], ("f1", "renamed"), id="named after its content"),
        pytest.param([stored("b.jpg")], None, id="another name"),
    ],
)
def test_the_end_of_the_window(images: list[Image], expected: tuple[str, str] | None) -> None:
    sync = Sync("a.jpg", scanned=(OLD,), overwrite=True)
    assert sync.match(*images) == {}
    assert sync.match(*images, last=True) == ({} if expected is None else {0: expected})


def test_an_image_belongs_to_one_entry() -> None:
    sync = Sync("a.jpg", "a(1).jpg", f"{LONG} 1.jpg", f"{LONG} 2.jpg")
    assert sync.match(stored("a(1).jpg"), last=True) == {1: ("f1", "name")}  # not a variant of the first
    assert sync.match(stored(f"{LONG}.jpg", fileID="f2"), last=True) == {
        1: ("f1", "name")
    }  # cut: which of both?


def test_an_image_is_claimed_once() -> None:
    sync = Sync("a.jpg", "b.jpg")
    for number in range(2):
        sync.pending(number).deliver(Delivery("0" * 32, DeliveryStatus.SUCCEEDED, fileID="f1"), BEGAN)
    sync.match(stored("new.jpg"), last=True)
    assert len(sync.matches) == 1


def test_only_the_same_md5_lets_two_entries_share_an_image() -> None:
    sync = Sync("a.jpg", "b.jpg", md5="0" * 32)
    assert sync.match(stored("whatever.jpg")) == {0: ("f1", "content"), 1: ("f1", "content")}


def test_what_a_header_states_proves_only_an_image_of_its_size() -> None:
    """Hosts may send an image that they have resized with the ETag of the original, which is on the list as well."""
    sync = Sync("original.jpg", "small.jpg")
    sync.in_flight.add_digest(sync.pending(1), SourceDigest("0" * 32, 99))
    assert sync.match(stored("original.jpg"), last=True) == {0: ("f1", "name")}
    sync.in_flight.add_digest(sync.pending(1), SourceDigest("0" * 32, 100))
    assert sync.match(stored("original.jpg"))[1] == ("f1", "content")


def test_a_digest_that_no_image_has_changes_nothing() -> None:
    sync = Sync("a.jpg")
    sync.in_flight.add_digest(sync.pending(0), SourceDigest("1" * 32, 100))
    assert sync.match(stored("a.jpg")) == {0: ("f1", "name")}
    assert sync.reasons == {}


def test_the_md5_of_the_list_counts_more_than_that_of_the_source() -> None:
    sync = Sync("a.jpg", md5="1" * 32)
    sync.in_flight.add_digest(sync.pending(0), SourceDigest("0" * 32, 100))
    assert sync.match(stored("whatever.jpg")) == {}
    assert sync.match(stored("other.jpg", etag="1" * 32)) == {0: ("f1", "content")}


def test_what_differs_from_the_list_has_failed() -> None:
    sync = Sync("a.jpg", md5="1" * 32)
    assert sync.match(stored("a.jpg")) == {}
    assert sync.reasons == {0: f"the stored image's MD5 is {'0' * 32}, the list says {'1' * 32}"}


def test_an_older_image_that_differs_from_the_list_changes_nothing() -> None:
    sync = Sync("a.jpg", scanned=None, md5="1" * 32)
    assert sync.match(stored("a.jpg", at=-DAY)) == {}
    assert sync.reasons == {}


def test_an_image_that_was_submitted_before_the_first_scan_may_be_in_it() -> None:
    image = stored("a.jpg")
    assert Sync("a.jpg", scanned=(image,), overwrite=True).match(image) == {}
    assert Sync("a.jpg", scanned=(image,), overwrite=True, resumed=True).match(image) == {0: ("f1", "name")}


def numbered(count: int, at: float) -> list[Image]:
    """Return images whose names are not in the list."""
    return [stored(f"{number}.png", at, fileID=str(number)) for number in range(count)]


@pytest.mark.parametrize(("count", "proves"), [(999, True), (1000, False)])
def test_too_many_unknown_images_prove_nothing(count: int, proves: bool) -> None:
    sync = Sync("a.jpg", scanned=None, overwrite=True)
    unknown = numbered(count, at=-DAY / 2)
    assert sync.match(OLD, *unknown, last=True) == ({0: ("old", "older")} if proves else {})


def test_images_of_the_first_scan_are_known() -> None:
    unknown = numbered(1000, at=-DAY / 2)
    sync = Sync("a.jpg", scanned=[OLD, *unknown], overwrite=True)
    assert sync.match(OLD, *unknown, last=True) == {0: ("old", "older")}


def test_images_of_other_entries_are_known() -> None:
    renamed = numbered(1000, at=10)
    sync = Sync("a.jpg", *(f"{number}.jpg" for number in range(2000, 3000)), scanned=[OLD], overwrite=True)
    for number, image in enumerate(renamed, 1):
        sync.record(sync.pending(number), image, "renamed")
    assert sync.match(OLD, *renamed, last=True)[0] == ("old", "older")


@pytest.mark.parametrize("directory_id", ["d", "dx", "dy"])
@pytest.mark.parametrize("name", ["a.jpg", "a(1).jpg"])
@pytest.mark.parametrize("overwrite", [False, True])
def test_an_image_belongs_to_the_entry_of_its_folder(directory_id: str, name: str, overwrite: bool) -> None:
    sync = Sync("a.jpg", "x/a.jpg", "y/a.jpg", overwrite=overwrite)
    number = ["d", "dx", "dy"].index(directory_id)
    assert sync.match(stored(name, directory_id=directory_id)).keys() == {number}


def test_a_cut_name_is_one_of_its_folder() -> None:
    sync = Sync(f"x/{LONG} 1.jpg", f"y/{LONG} 2.jpg")
    assert sync.match(stored(f"{LONG}.jpg", directory_id="dy")).keys() == {1}


def test_an_older_image_of_another_folder_proves_nothing() -> None:
    older = stored("a.jpg", at=-DAY, fileID="old", directory_id="dx")
    sync = Sync("y/a.jpg", scanned=(older,), overwrite=True)
    beside = stored("a.jpg", UTC, directory_id="dy")
    assert sync.match(older, last=True) == {}
    assert sync.match(beside) == {}
    same_folder = stored("a.jpg", at=-DAY, fileID="old", directory_id="dy")
    assert Sync("y/a.jpg", scanned=(same_folder,), overwrite=True).match(beside) == {0: ("f1", "name")}


def test_the_only_new_image_of_another_folder_is_not_taken() -> None:
    sync = Sync("x/a.jpg", "y/a.jpg")
    for number in range(2):
        sync.pending(number).deliver(Delivery("0" * 32, DeliveryStatus.SUCCEEDED, fileID="f1"), BEGAN)
    assert sync.match(stored("new.jpg", directory_id="dy"), last=True).keys() == {1}
