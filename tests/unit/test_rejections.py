"""An image that review rejected is never a success, whichever record of it says so."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_123pan import exceptions
from airflow_provider_123pan.service.flow import Flow, drive
from airflow_provider_123pan.service.models import Image
from airflow_provider_123pan.service.protocol import MakeCall
from airflow_provider_123pan.sync.comparison import Comparison
from airflow_provider_123pan.sync.image_state import ImageState
from airflow_provider_123pan.sync.in_flight import InFlight, InFlightImage
from airflow_provider_123pan.sync.inventory import Inventory
from airflow_provider_123pan.sync.manifest import read_images
from airflow_provider_123pan.sync.recorder import Recorder
from airflow_provider_123pan.sync.timing import SyncTiming
from tests.support import Service, image

LISTED = {"status": 0, "download_url": None}
DETAILS = [image(status=104), image(status=104, download_url=None)]
REASON = "rejected by review (status 104)"


def answering(detail: Image | Exception, flow: Flow[Any]) -> Any:
    """Run a flow whose calls are all for an image's detail."""

    def perform(step: Any) -> Image:
        assert isinstance(step, MakeCall)
        if isinstance(detail, Exception):
            raise detail
        return detail

    return drive(flow, perform)


def inventory(*names: str) -> Inventory:
    made = Inventory()
    made.load(read_images([{"url": f"https://example.com/{name}"} for name in names]))
    return made


def compared(*names: str) -> tuple[Inventory, Comparison]:
    """Compare a list with a directory that has its images, in a listing without URLs."""
    made, contents = inventory(*names), SimpleNamespace(with_md5=lambda md5: [])
    comparison = Comparison(made, InFlight("seed"), contents, SyncTiming(), overwrite=False)  # type: ignore[arg-type]
    for number in range(len(names)):
        comparison.compare(image(made.entry(number).file_name, file_id=f"f{number}", **LISTED))
    return made, comparison


@pytest.mark.parametrize("detail", DETAILS)
@pytest.mark.parametrize("status", [2, lambda _: exceptions.Pan123ServiceError("no such task")])
def test_the_wait_for_one_image_fails_at_once(detail: Image, status: Any) -> None:
    service = Service(status if callable(status) else lambda _: status, lambda _: [image(**LISTED)])
    service.details["f1"] = detail
    found = service.wait()
    assert found is not None
    assert found.reason == REASON
    assert service.elapsed < 200


@pytest.mark.parametrize("detail", DETAILS)
def test_an_image_in_flight_fails(detail: Image) -> None:
    made, in_flight = inventory("a.png"), InFlight("seed")
    pending = InFlightImage(0, made.key(0), "digest", 0, 7, time.time(), time.time())
    in_flight.add(pending)
    hook: Any = SimpleNamespace(client=SimpleNamespace(run=lambda flow: answering(detail, flow)))
    Recorder(hook, made, in_flight, 3, time.time).found(pending, image(**LISTED), "name")
    assert (made.state(0), made.reason(0), len(in_flight)) == (ImageState.FAILED, REASON, 0)


@pytest.mark.parametrize("detail", DETAILS)
def test_an_image_that_is_there_at_the_start_fails(detail: Image) -> None:
    made, comparison = compared("a.png")
    answering(detail, comparison.find_urls())
    assert (made.state(0), made.reason(0)) == (ImageState.FAILED, REASON)


def test_an_image_in_verification_keeps_no_sync_from_its_start() -> None:
    made, comparison = compared("a.png", "b.png")
    answering(exceptions.Pan123VerifyingError("20103"), comparison.find_urls())
    assert [made.state(number) for number in (0, 1)] == [ImageState.FAILED] * 2


def test_one_image_without_an_answer_fails_but_several_stop_the_start() -> None:
    gone = exceptions.Pan123UnavailableError("HTTP 404 from the gateway")
    made, comparison = compared("a.png")
    answering(gone, comparison.find_urls())
    assert made.state(0) is ImageState.FAILED
    made, comparison = compared("a.png", "b.png")
    with pytest.raises(exceptions.Pan123UnavailableError):
        answering(gone, comparison.find_urls())


def test_a_record_keeps_what_the_other_one_lacks() -> None:
    listed = image(etag=None, size=None, user_url="https://own/f1.jpg", **LISTED)
    assert listed.completed_by(image()) == image(user_url="https://own/f1.jpg")
    assert image().completed_by(image(etag="f" * 32, size=9)) == image()
    assert image(status=101).completed_by(image()).rejected
