"""What the answer to a submission says about times."""

from __future__ import annotations

from datetime import datetime, timezone

from airflow_provider_123pan.service.models import OfflineTask
from airflow_provider_123pan.sync.in_flight import InFlight, InFlightImage

NOW = datetime(2026, 11, 23, 8, tzinfo=timezone.utc).timestamp()


def test_an_image_may_be_as_old_as_its_submission_and_the_clocks_differ_as_the_answer_says() -> None:
    in_flight = InFlight("seed")
    pending = InFlightImage(0, "key", "digest", 0, None, NOW - 5, NOW - 5, calling=True)
    in_flight.add(pending)
    answered_at = datetime.fromtimestamp(NOW + 60, timezone.utc)  # the service's clock is a minute ahead
    in_flight.accept(pending, OfflineTask.created({"taskID": 7}, answered_at, call_seconds=4.0), NOW)
    assert pending.submitted_at == in_flight.began_at == NOW + 56
    assert in_flight.ahead == 60
