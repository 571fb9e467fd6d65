"""The image of a task that ended: when it is there, and which one is meant."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_123pan import exceptions
from airflow_provider_123pan.callbacks.delivery import Delivery, DeliveryStatus
from airflow_provider_123pan.download.lookup import choose_image, find_image
from airflow_provider_123pan.download.timing import WaitTiming
from airflow_provider_123pan.download.wait_strategy import WorkerWait
from airflow_provider_123pan.service.flow import Flow, drive
from airflow_provider_123pan.service.models import Image, Listing
from airflow_provider_123pan.service.protocol import MakeCall
from tests.support import Service, image, submission


def test_an_earlier_try_found_again_without_its_taskid() -> None:
    service = Service(lambda _: AssertionError())
    found = service.wait(submission(taskID=None))
    assert found is not None
    assert found.fileID == "f1"


def test_a_file_visible_late() -> None:
    service = Service(lambda _: 2, lambda t: [image()] if t > 100 else [])
    assert service.wait() is not None
    assert 100 < service.elapsed < 200


def test_a_file_that_never_shows_up_is_a_retryable_error() -> None:
    service = Service(lambda _: 2, lambda _: [])
    with pytest.raises(exceptions.Pan123InvisibleError, match=r"a\.jpg") as caught:
        service.wait()
    assert caught.value.retryable
    assert 200 < service.elapsed <= 300


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


def test_the_sole_older_file_is_taken_only_after_the_new_one_had_its_time() -> None:
    service = Service(lambda _: 2, lambda _: [image(age=86_400)])
    assert service.wait() is not None
    assert service.elapsed >= WaitTiming().settling


UTC = 8 * 3600 - 1  # the age that a new image seems to have if its date is UTC's


@pytest.mark.parametrize(
    ("images", "settled", "expected"),
    [
        ([image(age=0, file_id="new"), image(age=9999, file_id="old")], False, "new"),
        ([image(age=-5, file_id="newer"), image(age=0, file_id="new")], False, "newer"),
        ([image("b.jpg")], True, None),
        ([image(age=9999, file_id="old")], False, None),
        ([image(age=9999, file_id="old")], True, "old"),
        ([image(age=9999, file_id="old"), image(age=8888, file_id="old2")], True, None),
        ([image(age=9999, file_id="old"), image("a(1).jpg", file_id="renamed")], True, "renamed"),
        ([image(age=9999, file_id="old"), image("a(1).jpg", file_id="renamed")], False, None),
        ([image(age=9999, file_id="old"), image("a(1).jpg", age=8888)], True, None),
        ([image("a(1).jpg", file_id="renamed"), image(file_id="same")], True, "same"),
        ([image("a(1).jpg", age=9999)], True, None),
        ([image("a.png")], True, None),
        ([image("a(1).png")], True, None),
        ([image("xa.jpg")], True, None),
        ([image(age=60, file_id="just before")], False, None),
        ([image(age=60, file_id="just before"), image("a(1).jpg", file_id="renamed")], True, "renamed"),
        ([image(age=60, file_id="by another clock"), image(age=9999)], True, "by another clock"),
        ([image("a.JPEG", file_id="spelled otherwise")], True, "spelled otherwise"),
        ([image("a.JPEG")], False, None),
        ([image("a.JPEG", age=9999)], True, None),
        ([image("a(2).jpeg", file_id="both")], True, "both"),
        ([image(age=UTC, file_id="new"), image(age=UTC + 9999)], True, "new"),
        ([image(age=UTC, file_id="new"), image(age=UTC + 9999)], False, None),
        ([image(age=99_999), image("a(1).jpg", age=UTC, file_id="renamed")], True, "renamed"),
        ([image(age=UTC), image("a(1).jpg", age=0, file_id="renamed")], True, "renamed"),
        ([image(changed_at=None, file_id="undated")], True, "undated"),
        ([image(changed_at=None)], False, None),
    ],
)
def test_which_image_is_meant(images: list[Image], settled: bool, expected: str | None) -> None:
    found = choose_image(images, submission(), WaitTiming(), renamed=settled, settled=settled, older=settled)
    assert (found.fileID if found else None) == expected


def test_names_are_no_patterns() -> None:
    images = [image("axb.jpg"), image("axb(1).jpg")]
    assert (
        choose_image(
            images, submission(file_name="a.b.jpg"), WaitTiming(), renamed=True, settled=True, older=True
        )
        is None
    )


@pytest.mark.parametrize(
    ("deliveries", "settled", "expected"),
    [
        (image(), False, True),
        (image(changed_at=None), False, True),
        (image("a(1).jpg"), False, True),
        (image("b.jpg"), False, False),
        (image("b.jpg", changed_at=None), False, False),
        (image(directory_name="elsewhere"), False, False),
        (image(age=60), False, False),
        (image(age=60), True, True),
        (image(age=9999), True, False),
    ],
)
def test_a_file_that_was_called_back_is_taken_only_if_it_is_the_right_one(
    deliveries: Image, settled: bool, expected: bool
) -> None:
    class DeliveryReader(WorkerWait):
        def deliveries(self) -> Flow[tuple[Delivery, ...]]:
            yield from ()
            return (Delivery("0" * 32, DeliveryStatus.SUCCEEDED, fileID="f1"),)

    def perform(step: Any) -> Any:
        assert isinstance(step, MakeCall)
        return deliveries if step.call.name == "get_image" else Listing((), (), None)

    found = drive(
        find_image(submission(directory_id=None), DeliveryReader(None, None, WaitTiming()), settled=settled),
        perform,
    )
    assert found == (deliveries if expected else None)
