"""Callbacks that are late, false or contradictory: the outcome is the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
import requests
from airflow.sdk.exceptions import AirflowFailException, AirflowSensorTimeout

from airflow_provider_123pan.callbacks.address import callback_address
from airflow_provider_123pan.operators.offline_download import Pan123OfflineDownloadOperator
from airflow_provider_123pan.sandbox import Sandbox
from tests.integration.receiver.support import ReceiverServer
from tests.support import MODES, run, sensor

URL = "https://example.com/a.jpg"

pytestmark = pytest.mark.parametrize("mode", MODES)


@pytest.fixture
def submission(
    receiver: str,
    connect: Callable[..., None],
    sandbox: Sandbox,
    context: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    set_timing: Callable[..., None],
) -> dict[str, Any]:
    """Return the submission of an image that is not ready before the test says so; the service calls nothing back."""
    connect(extra={"callback_base_url": receiver})
    monkeypatch.setenv("AIRFLOW__PAN123__INBOX_URL", receiver)
    # Without polls during the test, so that only a delivery can end a deferred wait.
    set_timing(fallback_poll=(1000.0, 1000.0))
    sandbox.configure(callback="never", delay=0, hold="example")
    found: dict[str, Any] = Pan123OfflineDownloadOperator(task_id="submit", url=URL).execute(context)  # type: ignore[arg-type]
    return found


@pytest.fixture
def call_back(receiver: str, sandbox: Sandbox, submission: dict[str, Any]) -> Callable[..., None]:
    """Return a function that calls back as the service would."""
    callback_url = callback_address(
        receiver, "pan123_default", submission["callback_id"], client_secret=sandbox.client_secret
    )

    def post(status: int, **more: Any) -> None:
        answer = requests.post(callback_url, json={"url": URL, "status": status} | more, timeout=5)
        assert answer.status_code == 200

    return post


@pytest.fixture
def waiting(mode: str, submission: dict[str, Any], context: dict[str, Any]) -> Iterator[Callable[[], Any]]:
    """Start a wait, and return a function that returns its result."""
    with ThreadPoolExecutor(1) as threads:
        yield threads.submit(run, sensor(mode, submission), context).result


def test_a_true_success_after_a_false_failure_ends_the_wait(
    waiting: Callable[[], Any], call_back: Callable[..., None], sandbox: Sandbox
) -> None:
    call_back(1, failReason="false")
    sandbox.configure(hold=None)
    call_back(0, fileID="no-such-file")
    assert waiting()["fileID"] == sandbox.state()["files"][0]["fileId"]


def test_a_true_failure_after_a_false_success_gives_the_reason(
    waiting: Callable[[], Any], call_back: Callable[..., None], sandbox: Sandbox
) -> None:
    call_back(0, fileID="no-such-file")
    sandbox.configure(hold=None, fail="example")
    call_back(1, failReason="the truth")
    with pytest.raises(AirflowFailException, match="the truth"):
        waiting()


def test_a_false_failure_after_a_true_success_changes_nothing(
    waiting: Callable[[], Any], call_back: Callable[..., None], sandbox: Sandbox
) -> None:
    sandbox.configure(hold=None)
    call_back(0)
    call_back(1, failReason="false")
    assert waiting()["fileID"] == sandbox.state()["files"][0]["fileId"]


def test_equal_callbacks_to_two_api_servers_are_stored_once(
    waiting: Callable[[], Any],
    submission: dict[str, Any],
    receiver: str,
    second_receiver: ReceiverServer,
    sandbox: Sandbox,
) -> None:
    sandbox.configure(hold=None)
    callback_id = submission["callback_id"]
    together = Barrier(8)

    def post(base: str) -> int:
        callback_url = callback_address(
            base, "pan123_default", callback_id, client_secret=sandbox.client_secret
        )
        together.wait(20)
        return requests.post(
            callback_url, json={"url": URL, "status": 0, "fileID": 1}, timeout=20
        ).status_code

    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(post, [receiver, second_receiver.base_url] * 4)) == {200}
    assert waiting()["fileID"] == sandbox.state()["files"][0]["fileId"]
    assert len(second_receiver.lookup(callback_id, conn_id="pan123_default")["deliveries"]) == 1


def test_a_callback_after_the_timeout_is_found_by_a_cleared_task(
    mode: str,
    submission: dict[str, Any],
    call_back: Callable[..., None],
    sandbox: Sandbox,
    context: dict[str, Any],
) -> None:
    with pytest.raises(AirflowSensorTimeout):
        run(sensor(mode, submission, timeout=0.5), context)
    sandbox.configure(hold=None)
    call_back(0)
    context["ti"].get_first_reschedule_date = lambda _: None  # a user cleared the task
    assert run(sensor(mode, submission), context)["fileID"]
