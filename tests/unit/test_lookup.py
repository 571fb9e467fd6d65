"""The image of a task that ended: when it is there, and which one is meant."""

from __future__ import annotations

import unicodedata
from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_123pan import exceptions
from airflow_provider_123pan.callbacks.delivery import Delivery, DeliveryStatus
from airflow_provider_123pan.download.lookup import (
    Evidence,
    Stage,
    choose_image,
    newness_by_dates,
)
from airflow_provider_123pan.download.names import Likeness, compare_names
from airflow_provider_123pan.download.search import ImageSearch
from airflow_provider_123pan.download.timing import WaitTiming
from airflow_provider_123pan.service.flow import drive
from airflow_provider_123pan.service.models import Image, Listing
from airflow_provider_123pan.service.protocol import MakeCall
from tests.support import START, Service, image, submission


def test_an_earlier_try_found_again_without_its_taskid() -> None:
    service = Service(lambda _: AssertionError())
    found = service.wait(submission(taskID=None))
    assert found is not None
    assert found.fileID == "f1"


@pytest.mark.parametrize(
    "old", [image(age=86_400), image(created_at=START - timedelta(days=7)), image(age=60)]
)
def test_without_a_taskid_only_what_is_certainly_new_is_taken(old: Image) -> None:
    """Nothing says that such a submission succeeded."""
    service = Service(lambda _: AssertionError(), lambda _: [old])
    with pytest.raises(exceptions.Pan123InvisibleError):
        service.wait(submission(taskID=None))


@pytest.mark.parametrize(
    "status", [exceptions.Pan123ServiceError("no such task"), 0], ids=["unknown", "still running"]
)
def test_an_old_image_that_was_changed_is_no_proof_that_a_task_succeeded(status: Any) -> None:
    service = Service(lambda _: status, lambda _: [image(created_at=START - timedelta(days=7))])
    if isinstance(status, Exception):
        with pytest.raises(exceptions.Pan123UnknownTaskError):
            service.wait()
    else:
        assert service.wait(timeout=300) is None


def test_a_file_visible_late() -> None:
    service = Service(lambda _: 2, lambda t: [image()] if t > 100 else [])
    assert service.wait() is not None
    assert 100 < service.elapsed < 200


def test_a_file_that_never_shows_up_is_a_retryable_error() -> None:
    service = Service(lambda _: 2, lambda _: [])
    with pytest.raises(exceptions.Pan123InvisibleError, match=r"a\.jpg") as caught:
        service.wait()
    assert caught.value.retryable
    assert 200 < service.elapsed <= 301


def test_a_file_that_never_shows_up_does_not_move_the_deadline() -> None:
    service = Service(lambda _: 2, lambda _: [])
    assert service.wait(timeout=50) is None
    assert service.elapsed <= 50


def test_a_listing_that_fails_is_no_end() -> None:
    failures = iter([exceptions.Pan123UnavailableError("502")] * 3)
    service = Service(lambda _: 2)
    perform = service.perform

    def flaky(step: Any) -> Any:
        if isinstance(step, MakeCall) and step.call.name == "list_images" and (error := next(failures, None)):
            raise error
        return perform(step)

    service.perform = flaky  # type: ignore[method-assign]
    assert service.wait() is not None


def test_review_rejection_is_a_failure() -> None:
    found = Service(lambda _: 2, lambda _: [image(status=101)]).wait()
    assert found is not None
    assert "review (status 101)" in (found.reason or "")


def test_a_listing_without_addresses_is_completed_by_the_detail() -> None:
    class Detailed(Service):
        def perform(self, step: Any) -> Any:
            if isinstance(step, MakeCall) and step.call.name == "get_image":
                return image()
            return super().perform(step)

    found = Detailed(lambda _: 2, lambda _: [image(download_url=None)]).wait()
    assert found is not None
    assert found.download_url == "https://vip/f1.jpg"


def test_a_given_directory_is_not_looked_up() -> None:
    service = Service(lambda _: 2)
    assert service.wait(submission(directory_id="dir")) is not None
    assert service.asked == ["get_offline_download", "list_images"]


def test_the_sole_older_image_is_taken_only_at_the_end_of_the_window() -> None:
    service = Service(lambda _: 2, lambda _: [image(age=86_400)])
    found = service.wait()
    assert found is not None
    assert found.matched_by == "older"
    assert service.elapsed >= WaitTiming().visible_within


UTC = 8 * 3600 - 1  # the age that a new image seems to have if its date is in UTC
OLD, NEW = 9999, -1
HASHED = "e" * 32 + ".jpg"
LAST_WEEK = START - timedelta(days=7)
TOUCHED = image(file_id="touched", created_at=LAST_WEEK)  # an old image, changed or only downloaded just now


def other(name: str, age: float = NEW, **more: Any) -> Image:
    return image(name, age=age, file_id=name, **more)


@pytest.mark.parametrize(
    ("images", "stage", "expected"),
    [
        # Rule 3: the name, and new by a strict reading of its date.
        ([image(age=0, file_id="new"), image(age=OLD, file_id="old")], Stage.FIRST, ("new", "name")),
        ([image(age=-5, file_id="newer"), image(age=0, file_id="new")], Stage.FIRST, ("newer", "name")),
        ([image("a.JPEG", file_id="spelled otherwise")], Stage.FIRST, ("spelled otherwise", "name")),
        ([other("b.jpg")], Stage.FINAL, None),
        ([other("xa.jpg")], Stage.FINAL, None),
        # An older image of the name is not the new one, at whatever age, while a newer explanation is possible.
        ([image(age=OLD)], Stage.SETTLED, None),
        ([image(age=60)], Stage.SETTLED, None),
        ([image(age=UTC)], Stage.SETTLED, None),
        ([image(changed_at=None)], Stage.SETTLED, None),
        # Rule 3: a variant of the name, once settled.
        ([image(age=OLD), other("a(1).jpg")], Stage.FIRST, None),
        ([image(age=OLD), other("a(1).jpg")], Stage.SETTLED, ("a(1).jpg", "variant")),
        ([image(age=OLD), other("a (1).jpg")], Stage.SETTLED, ("a (1).jpg", "variant")),
        ([image(age=OLD), other("a_20261125120000.jpg")], Stage.SETTLED, ("a_20261125120000.jpg", "variant")),
        ([other("a(2).jpeg")], Stage.SETTLED, ("a(2).jpeg", "variant")),
        ([other("a(1).jpg"), other("a(2).jpg")], Stage.FINAL, None),
        ([other("a(1).jpg", OLD)], Stage.SETTLED, None),
        # A name that people write as well counts at the end only.
        ([image(age=OLD), other("a-1.jpg")], Stage.SETTLED, None),
        ([image(age=OLD), other("a-1.jpg")], Stage.FINAL, ("a-1.jpg", "variant")),
        ([image(age=OLD), other("a_1.jpg")], Stage.FINAL, ("a_1.jpg", "variant")),
        ([other("a.png")], Stage.SETTLED, None),
        ([other("a.png")], Stage.FINAL, ("a.png", "variant")),
        # Rule 3: an older image that was changed counts once settled, and after whatever new one may be ours.
        ([TOUCHED], Stage.FIRST, None),
        ([TOUCHED], Stage.SETTLED, ("touched", "name")),
        ([TOUCHED, other("neighbour.jpg")], Stage.SETTLED, ("touched", "name")),
        ([TOUCHED, image(file_id="new")], Stage.FIRST, ("new", "name")),
        ([TOUCHED, other("a(1).jpg")], Stage.SETTLED, ("a(1).jpg", "variant")),
        ([TOUCHED, other("a-1.jpg")], Stage.SETTLED, None),
        ([TOUCHED, other("a-1.jpg")], Stage.FINAL, None),
        ([TOUCHED, other("a_20261125.jpg")], Stage.FINAL, None),
        ([TOUCHED, other("a(1).jpg"), other("a(2).jpg")], Stage.FINAL, None),
        ([TOUCHED, other(HASHED)], Stage.FINAL, None),
        ([other("a(1).jpg", created_at=LAST_WEEK)], Stage.SETTLED, None),
        ([other("a(1).jpg", created_at=LAST_WEEK)], Stage.FINAL, ("a(1).jpg", "variant")),
        ([other("a(1).jpg", created_at=LAST_WEEK), other("neighbour.jpg")], Stage.FINAL, None),
        ([other(HASHED, created_at=LAST_WEEK)], Stage.FINAL, (HASHED, "renamed")),
        ([TOUCHED, other("a-1.jpg", created_at=LAST_WEEK)], Stage.SETTLED, ("touched", "name")),
        ([image(created_at=START, changed_at=None, file_id="new")], Stage.FIRST, ("new", "name")),
        # Rule 4: a name made of the content, if nothing else is new.
        ([other(HASHED)], Stage.SETTLED, None),
        ([other(HASHED)], Stage.FINAL, (HASHED, "renamed")),
        ([other(HASHED), image(age=OLD)], Stage.FINAL, None),
        ([other(HASHED), other("neighbour.jpg")], Stage.FINAL, None),
        # Rule 5: the older image of the name, if nothing is new.
        ([image(age=OLD, file_id="old")], Stage.FINAL, ("old", "older")),
        ([image(age=OLD), other("neighbour.jpg")], Stage.FINAL, None),
        ([image(age=OLD), image(age=8888, file_id="old2")], Stage.FINAL, None),
        ([image(changed_at=None, file_id="undated")], Stage.FINAL, ("undated", "older")),
        # Dates read loosely, at the end only, and only where one image is possible.
        (
            [image(age=60, file_id="by another clock"), image(age=OLD)],
            Stage.FINAL,
            ("by another clock", "name"),
        ),
        ([image(age=UTC, file_id="new"), image(age=UTC + OLD)], Stage.FINAL, ("new", "name")),
        ([other("a(1).jpg", UTC)], Stage.FINAL, ("a(1).jpg", "variant")),
        ([image(age=99_999), other("a(1).jpg", UTC)], Stage.FINAL, None),
        # Nothing explains an image that may be new, whatever its name.
        ([image(age=OLD), other("a[1].jpg", UTC)], Stage.FINAL, None),
        ([image(age=OLD), other("neighbour.jpg", UTC)], Stage.FINAL, None),
        ([image(age=OLD, file_id="old"), other("neighbour.jpg", UTC + OLD)], Stage.FINAL, ("old", "older")),
        ([image(age=UTC, file_id="new"), other("neighbour.jpg", UTC)], Stage.FINAL, ("new", "name")),
        ([image(changed_at=None), other("a - 副本.jpg", changed_at=None)], Stage.FINAL, None),
    ],
)
def test_which_image_is_meant(images: list[Image], stage: Stage, expected: tuple[str, str] | None) -> None:
    assert chosen(images, stage) == expected


def test_a_changed_image_named_after_its_content_is_certain() -> None:
    mine = other(HASHED, created_at=LAST_WEEK)
    match = choose_image(
        [mine, other("f" * 32 + ".jpg", etag="f" * 32)],
        Evidence(HASHED),
        newness_by_dates(START, WaitTiming().same_second, START),
        Stage.SETTLED,
    )
    assert match is not None
    assert match.image is mine


def test_without_siblings_a_changed_image_of_a_similar_name_may_be_ours() -> None:
    similar = other("a-1.jpg", created_at=LAST_WEEK)
    assert chosen([TOUCHED, similar], Stage.SETTLED, excludes_siblings=True) is None


def chosen(images: list[Image], stage: Stage, **evidence: Any) -> tuple[str, str] | None:
    match = choose_image(
        images,
        Evidence("a.jpg", **evidence),
        newness_by_dates(START, WaitTiming().same_second, START),
        stage,
    )
    return (match.image.fileID, match.matched_by) if match else None


@pytest.mark.parametrize(
    ("images", "named", "stage", "expected"),
    [
        ([other("a.jpg")], "a.jpg", Stage.FIRST, "callback"),
        ([other("a(1).jpg"), image(age=OLD)], "a(1).jpg", Stage.FIRST, "callback"),
        ([other("a-1.jpg"), image(age=OLD)], "a-1.jpg", Stage.FIRST, "callback"),
        ([image(age=OLD, file_id="old")], "old", Stage.SETTLED, None),
        ([other("neighbour.jpg")], "neighbour.jpg", Stage.SETTLED, None),
        ([other("odd.jpg")], "odd.jpg", Stage.FINAL, "renamed"),
        ([other("odd.jpg"), other("neighbour.jpg")], "odd.jpg", Stage.FINAL, None),
        ([other("neighbour.jpg"), image(age=OLD)], "neighbour.jpg", Stage.FINAL, None),
        ([other(HASHED), image(age=OLD)], HASHED, Stage.FINAL, "renamed"),
    ],
)
def test_a_delivery_alone_proves_nothing(
    images: list[Image], named: str, stage: Stage, expected: str | None
) -> None:
    assert chosen(images, stage, fileIDs={named}) == ((named, expected) if expected else None)


def test_the_content_is_proof_whatever_the_name() -> None:
    found = other("odd.jpg", OLD, etag="c" * 32)
    assert chosen([found, image()], Stage.FIRST, md5="c" * 32) == ("odd.jpg", "content")


def test_an_md5_that_a_header_states_proves_only_an_image_of_its_size() -> None:
    found = other("odd.jpg", OLD, etag="c" * 32)
    size = found.size or 0
    assert chosen([found], Stage.FIRST, md5="c" * 32, size=size) == ("odd.jpg", "content")
    assert chosen([found], Stage.FINAL, md5="c" * 32, size=size + 1) is None


def test_another_md5_proves_nothing() -> None:
    assert chosen([image()], Stage.FIRST, md5="c" * 32, size=1) == chosen([image()], Stage.FIRST)


def test_no_image_is_given_to_two_submissions() -> None:
    assert chosen([image(file_id="new")], Stage.FINAL, claimed={"new"}) is None


@pytest.mark.parametrize(
    ("stored", "sent", "likeness"),
    [
        ("café.jpg", unicodedata.normalize("NFD", "café.jpg"), Likeness.SAME),
        ("a.b.TIFF", "a.b.tif", Likeness.SAME),
        ("axb.jpg", "a.b.jpg", Likeness.OTHER),
        ("x" * 40 + ".jpg", "x" * 60 + ".jpg", Likeness.VARIANT),
        ("img.jpg", "img_of_a_cat.jpg", Likeness.OTHER),
        ("a1764072000.jpg", "a.jpg", Likeness.VARIANT),
    ],
)
def test_names_compare_as_the_service_may_write_them(stored: str, sent: str, likeness: Likeness) -> None:
    assert compare_names(stored, sent) is likeness


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        (image(), True),
        (image(directory_name="来自：离线下载"), True),
        (image("a(1).jpg"), True),
        (image("b.jpg"), False),
        (image(directory_name="elsewhere"), False),
        (image(age=60), False),
    ],
)
def test_a_file_that_a_delivery_names_is_looked_at_first(named: Image, expected: bool) -> None:
    def perform(step: Any) -> Any:
        assert isinstance(step, MakeCall)
        return named if step.call.name == "get_image" else Listing((), (), None)

    search = ImageSearch(submission(directory_id=None), WaitTiming(), has_succeeded=True)
    deliveries = [Delivery("0" * 32, DeliveryStatus.SUCCEEDED, fileID="f1")]
    match = drive(search.find(deliveries, Stage.SETTLED), perform)
    assert (match.image if match else None) == (named if expected else None)


@pytest.mark.parametrize("age", [UTC, None], ids=["UTC", "undated"])
def test_where_dates_do_not_help_an_image_that_appeared_later_is_taken_at_the_end(age: float | None) -> None:
    def dated(file_id: str) -> Image:
        return image(file_id=file_id, changed_at=None) if age is None else image(file_id=file_id, age=age)

    images = [dated("old")]

    def perform(step: Any) -> Any:
        return Listing(tuple(images), (), None)

    search = ImageSearch(submission(directory_id="dir"), WaitTiming(), has_succeeded=True)
    assert drive(search.find((), Stage.SETTLED), perform) is None
    images.append(dated("new"))
    assert drive(search.find((), Stage.SETTLED), perform) is None  # perhaps an older one that is listed late
    match = drive(search.find((), Stage.FINAL), perform)
    assert match is not None
    assert match.image.fileID == "new"


@pytest.mark.parametrize(("later", "expected"), [([], "old"), (["b.jpg"], None)], ids=["nothing", "an image"])
def test_an_older_undated_image_is_taken_if_nothing_appeared_since_the_first_look(
    later: list[str], expected: str | None
) -> None:
    images = [image(file_id="old", changed_at=None), other("neighbour.jpg", changed_at=None)]

    def perform(step: Any) -> Any:
        return Listing(tuple(images), (), None)

    search = ImageSearch(submission(directory_id="dir"), WaitTiming(), has_succeeded=True)
    assert drive(search.find((), Stage.SETTLED), perform) is None
    images.extend(other(name, changed_at=None) for name in later)
    match = drive(search.find((), Stage.FINAL), perform)
    assert (match.image.fileID if match else None) == expected
