"""The files that callbacks name: a failing detail of one changes nothing but the time."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from airflow_provider_123pan import exceptions
from airflow_provider_123pan.callbacks.delivery import Delivery, DeliveryStatus
from airflow_provider_123pan.service.models import Image
from tests.support import Service, image

TRANSIENT = [
    exceptions.Pan123UnavailableError("HTTP 404 from the gateway"),
    exceptions.Pan123VerifyingError("20103"),
    exceptions.Pan123RateLimitError("429"),
    exceptions.Pan123TokenError("401"),
]
OLD = 86_400


def service(images: Callable[[float], list[Image]], details: dict[str, Image | Exception]) -> Service:
    """Return a service that ended the offline task, and whose callbacks name files."""
    made = Service(lambda _: 2, images)
    made.details = details
    made.deliveries = tuple(Delivery("0" * 32, DeliveryStatus.SUCCEEDED, fileID=fileID) for fileID in details)
    return made


@pytest.mark.parametrize("error", TRANSIENT)
@pytest.mark.parametrize("named", ["100", "f1"])
def test_the_image_is_found_in_the_first_listing(error: Exception, named: str) -> None:
    made = service(lambda _: [image()], {named: error})
    found = made.wait()
    assert found is not None
    assert (found.fileID, found.download_url) == ("f1", "https://vip/f1.jpg")
    assert made.asked == ["get_offline_download", "get_image", "list_images", "list_images"]


def test_an_error_that_concerns_the_account_is_raised() -> None:
    wrong = exceptions.Pan123CredentialsError("wrong secret")
    with pytest.raises(exceptions.Pan123CredentialsError):
        service(lambda _: [image()], {"100": wrong}).wait()


def test_after_a_refusal_no_other_named_file_is_looked_at_before_the_listing() -> None:
    made = service(
        lambda _: [image()], {str(number): exceptions.Pan123RateLimitError("429") for number in range(4)}
    )
    assert made.wait() is not None
    assert made.asked.count("get_image") == 1


@pytest.mark.parametrize("error", TRANSIENT)
def test_an_older_image_is_not_taken_while_the_named_one_is_verified(error: Exception) -> None:
    made = service(lambda _: [image(age=OLD, file_id="old")], {"new": error})
    if isinstance(error, exceptions.Pan123VerifyingError):
        with pytest.raises(exceptions.Pan123InvisibleError):
            made.wait()
    else:  # as without a callback
        found = made.wait()
        assert found is not None
        assert (found.fileID, found.matched_by) == ("old", "older")
    assert made.elapsed > 300


def test_an_earlier_look_at_a_named_file_still_counts_when_a_later_one_fails() -> None:
    """A new image of a foreign name may explain the submission, so the older one is not taken."""
    made = service(lambda _: [image(age=OLD, file_id="old")], {"new": image("odd.jpg", file_id="new")})
    perform = made.perform

    def failing_later(step: object) -> object:
        if made.elapsed > 100:
            made.details["new"] = exceptions.Pan123UnavailableError("502")
        return perform(step)

    made.perform = failing_later  # type: ignore[method-assign]
    with pytest.raises(exceptions.Pan123InvisibleError):
        made.wait()


def test_a_file_that_is_named_by_a_number_is_the_one_with_the_id_of_its_detail() -> None:
    made = service(lambda _: [image("odd.jpg")], {"100": image("odd.jpg")})
    found = made.wait()
    assert found is not None
    assert (found.fileID, found.matched_by) == ("f1", "renamed")


def test_a_rejection_in_the_detail_counts_though_the_listing_shows_none() -> None:
    made = service(lambda _: [image(age=OLD)], {"f1": image(age=OLD, status=104)})
    found = made.wait()
    assert found is not None
    assert (found.matched_by, found.reason) == ("older", "rejected by review (status 104)")
