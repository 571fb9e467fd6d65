"""Whether a submission arrived whose answer was lost, and what a later try makes of it."""

from __future__ import annotations

from collections.abc import Generator
from itertools import count
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_123pan.callbacks.delivery import Delivery, DeliveryStatus
from airflow_provider_123pan.download.events import from_event, to_event
from airflow_provider_123pan.download.submit import STORE_KEY, _has_arrived, forgetting_unconfirmed
from airflow_provider_123pan.download.timing import WaitTiming
from airflow_provider_123pan.exceptions import (
    Pan123Error,
    Pan123InvisibleError,
    Pan123UnavailableError,
    Pan123WaitError,
)
from airflow_provider_123pan.service.flow import Sleep, drive
from airflow_provider_123pan.service.models import Image, Listing
from tests.support import image, submission

LOST = submission(taskID=None, callback_id="0" * 32, directory_id="dir")


def arrived(statuses: list[DeliveryStatus], images: list[Image]) -> bool:
    """Return whether a submission arrived, by its deliveries and what its directory holds."""

    def deliveries() -> Generator[Any, Any, tuple[Delivery, ...]]:
        yield from ()
        return tuple(Delivery("0" * 32, status) for status in statuses)

    def perform(step: Any) -> Any:
        return None if isinstance(step, Sleep) else Listing(tuple(images), (), None)

    strategy: Any = SimpleNamespace(timing=WaitTiming(), deliveries=deliveries)
    seconds = count(step=5)
    return drive(_has_arrived(LOST, strategy, lambda: float(next(seconds))), perform)


@pytest.mark.parametrize(
    ("statuses", "images", "expected"),
    [
        pytest.param([DeliveryStatus.SUCCEEDED], [], True, id="success"),
        pytest.param([DeliveryStatus.FAILED], [], False, id="failure"),
        pytest.param([DeliveryStatus.FAILED, DeliveryStatus.SUCCEEDED], [], True, id="both"),
        pytest.param([DeliveryStatus.WOKEN], [], False, id="not understood"),
        pytest.param([DeliveryStatus.WOKEN], [image()], True, id="not understood, and an image"),
        pytest.param([DeliveryStatus.WOKEN], [image(age=60)], False, id="not understood, and an older image"),
        pytest.param([], [image()], True, id="an image"),
    ],
)
def test_a_submission_arrived_if_its_image_or_a_success_says_so(
    statuses: list[DeliveryStatus], images: list[Image], expected: bool
) -> None:
    assert arrived(statuses, images) is expected


def in_triggerer(error: Pan123Error) -> Pan123WaitError:
    """Return what a task raises after this error ended its wait in the triggerer."""
    with pytest.raises(Pan123WaitError) as raised:
        from_event(to_event(error))
    return raised.value


@pytest.mark.parametrize(
    ("taskID", "error", "forgotten"),
    [
        (None, Pan123InvisibleError("no image"), True),
        (7, Pan123InvisibleError("no image"), False),
        (None, Pan123UnavailableError("502"), False),
        (None, in_triggerer(Pan123InvisibleError("no image in its directory is certainly 'a.jpg'")), True),
        (None, in_triggerer(Pan123UnavailableError("502")), False),
    ],
)
def test_the_next_try_submits_again_what_has_neither_a_taskid_nor_an_image(
    taskID: int | None, error: Exception, forgotten: bool
) -> None:
    deleted: list[str] = []
    context: Any = {"task_state_store": SimpleNamespace(delete=deleted.append)}
    with (
        pytest.raises(type(error)),
        forgetting_unconfirmed(context, submission(taskID=taskID)),
    ):
        raise error
    assert deleted == ([STORE_KEY] if forgotten else [])
