"""Callbacks that come too late, or that say something else than others or than the truth: the outcome is the same."""

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
from tests.integration.receiver_world import Running
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
    """Of an image that is held; the service itself does not call."""
    connect(extra={"callback_base_url": receiver})
    monkeypatch.setenv("AIRFLOW__PAN123__INBOX_URL", receiver)
    # No question about progress in the tests' time: what ends a deferred wait is the delivery.
    set_timing(fallback_poll=(1000.0, 1000.0))
    sandbox.configure(callback="never", delay=0, hold="example")
    found: dict[str, Any] = Pan123OfflineDownloadOperator(task_id="submit", url=URL).execute(context)  # type: ignore[arg-type]
    return found


@pytest.fixture
def call_back(receiver: str, sandbox: Sandbox, submission: dict[str, Any]) -> Callable[..., None]:
    """As the service would."""
    address = callback_address(
        receiver, "pan123_default", submission["callback_id"], client_secret=sandbox.client_secret
    )

    def post(status: int, **more: Any) -> None:
        answer = requests.post(address, json={"url": URL, "status": status} | more, timeout=5)
        assert answer.status_code == 200

    return post


@pytest.fixture
def waiting(mode: str, submission: dict[str, Any], context: dict[str, Any]) -> Iterator[Callable[[], Any]]:
    """Start the wait; calling what comes back gives its end."""
    with ThreadPoolExecutor(1) as threads:
        yield threads.submit(run, sensor(mode, submission), context).result


def test_a_lie_first_and_the_truth_after_it(
    waiting: Callable[[], Any], call_back: Callable[..., None], sandbox: Sandbox
) -> None:
    call_back(1, failReason="a lie")
    sandbox.configure(hold=None)
    call_back(0, fileID="no-such-file")
    assert waiting()["fileID"] == sandbox.state()["files"][0]["fileId"]


def test_a_lie_about_a_failure_first_and_its_reason_after_it(
    waiting: Callable[[], Any], call_back: Callable[..., None], sandbox: Sandbox
) -> None:
    call_back(0, fileID="no-such-file")
    sandbox.configure(hold=None, fail="example")
    call_back(1, failReason="the truth")
    with pytest.raises(AirflowFailException, match="the truth"):
        waiting()


def test_failed_after_success(
    waiting: Callable[[], Any], call_back: Callable[..., None], sandbox: Sandbox
) -> None:
    sandbox.configure(hold=None)
    call_back(0)
    call_back(1, failReason="a lie")
    assert waiting()["fileID"] == sandbox.state()["files"][0]["fileId"]


def test_twice_at_once_on_two_api_servers(
    waiting: Callable[[], Any],
    submission: dict[str, Any],
    receiver: str,
    second_receiver: Running,
    sandbox: Sandbox,
) -> None:
    sandbox.configure(hold=None)
    callback_id = submission["callback_id"]
    together = Barrier(8)

    def post(base: str) -> int:
        address = callback_address(base, "pan123_default", callback_id, client_secret=sandbox.client_secret)
        together.wait(20)
        return requests.post(address, json={"url": URL, "status": 0, "fileID": 1}, timeout=20).status_code

    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(post, [receiver, second_receiver.base] * 4)) == {200}
    assert waiting()["fileID"] == sandbox.state()["files"][0]["fileId"]
    assert len(second_receiver.lookup(callback_id, conn_id="pan123_default")["deliveries"]) == 1


def test_after_the_timeout(
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
    context["ti"].get_first_reschedule_date = lambda _: None  # a person cleared the task
    assert run(sensor(mode, submission), context)["fileID"]
