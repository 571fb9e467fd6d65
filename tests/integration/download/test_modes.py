"""The sensor means the same in poke, reschedule and deferrable mode: every end of a wait, and soft_fail."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
import requests
from airflow.sdk.exceptions import AirflowFailException, AirflowSensorTimeout, AirflowSkipException

from airflow_provider_123pan import exceptions
from airflow_provider_123pan.exceptions import Pan123DownloadFailedError, Pan123Error
from airflow_provider_123pan.operators.offline_download import Pan123OfflineDownloadOperator
from airflow_provider_123pan.sandbox import Sandbox
from dev.waiting import wait_for
from tests.support import MODES, run, sensor

URL = "https://example.com/pictures/a.jpg"
KEYS = [
    "taskID",
    "url",
    "fileID",
    "file_name",
    "directory_id",
    "download_url",
    "user_url",
    "etag",
    "size",
    "matched_by",
]
UNKNOWN_STATUS = {"code": 0, "message": "ok", "data": {"process": 5, "status": 8}, "x-traceID": "trace-8"}

pytestmark = [pytest.mark.usefixtures("connect"), pytest.mark.parametrize("mode", MODES)]


def submit(context: dict[str, Any], **arguments: Any) -> dict[str, Any]:
    given: dict[str, Any] = {"url": URL, "file_name": "a.jpg"} | arguments
    return Pan123OfflineDownloadOperator(task_id="submit", **given).execute(context)  # type: ignore[arg-type]


def progress(status: int = 200, **more: Any) -> dict[str, Any]:
    return {"path": "process$", "status": status} | more


def clock_of(sandbox: Sandbox) -> int:
    """Return the Unix time of the sandbox's answers, which lags behind on a busy machine."""
    answer = requests.get(sandbox.base_url, timeout=30)
    return int(parsedate_to_datetime(answer.headers["Date"]).timestamp())


def test_success(mode: str, sandbox: Sandbox, context: dict[str, Any]) -> None:
    submission = submit(context)
    found = run(sensor(mode, submission), context)
    stored = sandbox.state()["files"][0]
    assert list(found) == KEYS
    assert found["taskID"] == submission["taskID"]
    assert (found["url"], found["file_name"]) == (URL, "a.jpg")
    assert found["fileID"] == stored["fileId"]
    assert found["download_url"] == stored["downloadURL"]
    assert (found["etag"], found["size"]) == (stored["etag"], stored["size"])


def test_bare_taskid(mode: str, context: dict[str, Any]) -> None:
    task_id = submit(context)["taskID"]
    found = run(sensor(mode, task_id), context)
    assert found == dict.fromkeys(KEYS) | {"taskID": task_id}


@pytest.mark.parametrize("soft_fail", [True, False])
def test_soft_fail_on_timeout(mode: str, soft_fail: bool, sandbox: Sandbox, context: dict[str, Any]) -> None:
    sandbox.configure(stuck="a.jpg")
    with pytest.raises(AirflowSkipException if soft_fail else AirflowSensorTimeout):
        run(sensor(mode, submit(context), timeout=0.6, soft_fail=soft_fail), context)


@pytest.mark.parametrize("soft_fail", [True, False])
def test_soft_fail_on_a_failed_download(
    mode: str, soft_fail: bool, sandbox: Sandbox, context: dict[str, Any]
) -> None:
    sandbox.configure(fail="a.jpg")
    with pytest.raises(AirflowSkipException if soft_fail else AirflowFailException) as caught:
        run(sensor(mode, submit(context), soft_fail=soft_fail), context)
    if not soft_fail:
        assert URL in str(caught.value)


@pytest.mark.parametrize("soft_fail", [True, False])
@pytest.mark.parametrize("first", [True, False], ids=["at the first look", "later"])
def test_soft_fail_on_a_service_error(
    mode: str, soft_fail: bool, first: bool, sandbox: Sandbox, context: dict[str, Any]
) -> None:
    sandbox.configure(stuck="a.jpg")
    submission = submit(context)
    running = [] if first else [progress(action="pass")]
    sandbox.configure(answers=[*running, progress(body=UNKNOWN_STATUS, times=None)])
    with pytest.raises(Pan123Error, match="unknown status 8.*trace-8") as caught:
        run(sensor(mode, submission, soft_fail=soft_fail), context)
    assert caught.value.retryable


@pytest.mark.parametrize("soft_fail", [True, False])
def test_soft_fail_on_what_no_retry_mends(
    mode: str, soft_fail: bool, connect: Callable[..., None], context: dict[str, Any]
) -> None:
    connect(password="wrong")
    with pytest.raises(AirflowFailException, match="login"):
        run(sensor(mode, 7, soft_fail=soft_fail), context)
    with pytest.raises(AirflowFailException, match="^submission: "):
        run(sensor(mode, ("taskID", 7), soft_fail=soft_fail), context)


def test_silent_fail_goes_on(mode: str, sandbox: Sandbox, context: dict[str, Any]) -> None:
    submission = submit(context)
    sandbox.configure(answers=[progress(body=UNKNOWN_STATUS, times=2)])
    assert run(sensor(mode, submission, silent_fail=True), context)["fileID"]


def test_never_fail_skips(mode: str, sandbox: Sandbox, context: dict[str, Any]) -> None:
    submission = submit(context)
    sandbox.configure(answers=[progress(body=UNKNOWN_STATUS, times=None)])
    with pytest.raises(AirflowSkipException):
        run(sensor(mode, submission, never_fail=True), context)


@pytest.mark.parametrize(
    "trouble",
    [
        pytest.param(progress(429, body={"code": 429, "message": "请求太频繁"}, times=2), id="429"),
        pytest.param(progress(502, body="<html>", times=2), id="502"),
        pytest.param(progress(503, body="", times=2), id="503"),
        pytest.param(progress(504, body="<html>", times=2), id="504"),
        pytest.param(progress(body={"code": 401, "message": "token is expired"}, times=3), id="401"),
        pytest.param(progress(action="drop", times=2), id="hung up"),
    ],
)
def test_trouble_does_not_end_the_wait(
    mode: str, trouble: dict[str, Any], sandbox: Sandbox, context: dict[str, Any]
) -> None:
    submission = submit(context)
    # The first poll is the worker's in every mode; the trouble begins with the second, which in deferrable mode is
    # the trigger's.
    running = {"code": 0, "data": {"process": 0, "status": 0}}
    sandbox.configure(answers=[progress(body=running), trouble])
    assert run(sensor(mode, submission), context)["fileID"]
    assert sum(sandbox.state()["answers_left"]) == 0


def test_network_gone_and_back(mode: str, sandbox: Sandbox, context: dict[str, Any]) -> None:
    sandbox.configure(delay=0)
    submission = submit(context)
    sandbox.configure(answers=[{"path": "/api/", "action": "drop", "times": 4}])
    assert run(sensor(mode, submission), context)["fileID"]


def test_the_service_kills_the_token(mode: str, sandbox: Sandbox, context: dict[str, Any]) -> None:
    submission = submit(context)
    assert sandbox.kill_tokens() == 1
    assert run(sensor(mode, submission), context)["fileID"]
    assert sandbox.state()["counts"]["logins"] == 2


def test_a_file_visible_late(mode: str, sandbox: Sandbox, context: dict[str, Any]) -> None:
    sandbox.configure(delay=0, visible_after=1)
    assert run(sensor(mode, submit(context)), context)["fileID"]


def test_a_taskid_unknown_early(mode: str, sandbox: Sandbox, context: dict[str, Any]) -> None:
    sandbox.configure(unknown_task=1)
    assert run(sensor(mode, submit(context)), context)["fileID"]


def test_a_taskid_unknown_late(
    mode: str, sandbox: Sandbox, context: dict[str, Any], set_timing: Callable[..., None]
) -> None:
    set_timing(unknown_grace=0.0)
    set_timing(unknown_recheck=0.1)
    submission = submit(context) | {"taskID": 1, "file_name": "other.jpg"}
    with pytest.raises(AirflowFailException, match="does not know taskID 1"):
        run(sensor(mode, submission), context)


def test_review_rejection(mode: str, sandbox: Sandbox, context: dict[str, Any]) -> None:
    sandbox.configure(review="a.jpg")
    with pytest.raises(AirflowFailException, match="rejected by review"):
        run(sensor(mode, submit(context)), context)


def test_retrying_is_waited_for(mode: str, sandbox: Sandbox, context: dict[str, Any]) -> None:
    sandbox.configure(retrying="a.jpg")
    assert run(sensor(mode, submit(context)), context)["fileID"]


@pytest.mark.parametrize(("same_etag", "dates"), [("rename", "refresh"), ("rename", "keep")])
def test_an_image_that_is_there_already(
    mode: str,
    same_etag: str,
    dates: str,
    sandbox: Sandbox,
    context: dict[str, Any],
    set_timing: Callable[..., None],
) -> None:
    as_if_later = timedelta(seconds=-1)
    set_timing(same_second=as_if_later, clock_skew=as_if_later, visible_within=1.0)
    sandbox.configure(delay=0, same_etag=same_etag, same_etag_dates=dates)
    first = run(sensor(mode, submit(context)), context)
    context["task_state_store"].values.clear()
    again = run(sensor(mode, submit(context)), context)
    assert again["fileID"] == first["fileID"]


def test_waiting_operator(mode: str, sandbox: Sandbox, context: dict[str, Any]) -> None:
    operator = Pan123OfflineDownloadOperator(
        task_id="migrate",
        url=URL,
        wait_for_completion=True,
        deferrable=mode == "deferrable",
        poke_interval=0.1,
    )
    found = run(operator, context)
    assert set(found) == {*KEYS, "callback_id", "submitted_at"}
    assert found["download_url"]
    assert context["ti"].pushed["taskID"] == found["taskID"]


def test_waiting_operator_fails_retryably(mode: str, sandbox: Sandbox, context: dict[str, Any]) -> None:
    sandbox.configure(fail="a.jpg")
    operator = Pan123OfflineDownloadOperator(
        task_id="migrate",
        url=URL,
        wait_for_completion=True,
        deferrable=mode == "deferrable",
        poke_interval=0.1,
    )
    with pytest.raises(Pan123DownloadFailedError):
        run(operator, context)
    sandbox.configure(fail=None)
    assert run(operator, context)["fileID"]
    assert sandbox.state()["counts"]["submissions"] == 2


def test_waiting_operator_times_out_and_goes_on(mode: str, sandbox: Sandbox, context: dict[str, Any]) -> None:
    sandbox.configure(delay=2)
    operator = Pan123OfflineDownloadOperator(
        task_id="migrate",
        url=URL,
        wait_for_completion=True,
        deferrable=mode == "deferrable",
        poke_interval=0.1,
        timeout=0.4,
    )
    with pytest.raises(exceptions.Pan123WaitTimeoutError):
        run(operator, context)
    operator.timeout = 20
    assert run(operator, context)["fileID"]
    assert sandbox.state()["counts"]["submissions"] == 1


def test_answers_without_sense_are_errors(mode: str, sandbox: Sandbox, context: dict[str, Any]) -> None:
    submission = submit(context)
    body = {"code": 0, "message": "ok", "data": {"process": 5}, "x-traceID": "trace-9"}
    sandbox.configure(answers=[progress(body=body, times=None)])
    with pytest.raises(Pan123Error, match="status is None") as caught:
        run(sensor(mode, submission), context)
    assert (caught.value.call, caught.value.trace_id) == ("get_offline_download", "trace-9")


def test_no_data_for_a_new_taskid_is_not_yet(mode: str, sandbox: Sandbox, context: dict[str, Any]) -> None:
    submission = submit(context)
    body = {"code": 0, "message": "ok", "data": None}
    sandbox.configure(answers=[progress(body=body, times=3)])
    assert run(sensor(mode, submission), context)["fileID"]


def test_never_fail_does_not_hide_the_timeout(mode: str, sandbox: Sandbox, context: dict[str, Any]) -> None:
    sandbox.configure(stuck="a.jpg")
    with pytest.raises(AirflowSensorTimeout):
        run(sensor(mode, submit(context), timeout=0.4, never_fail=True), context)


def test_a_name_that_is_taken(
    mode: str, sandbox: Sandbox, context: dict[str, Any], set_timing: Callable[..., None]
) -> None:
    """The service renames the new one; the older one of the name, and those alike, are not taken for it."""
    set_timing(same_second=timedelta(), clock_skew=timedelta())
    sandbox.configure(delay=0)
    for url, name in (("https://example.com/1/a.jpg", "a.jpg"), ("https://example.com/a.png", "a.png")):
        run(sensor(mode, submit(context, url=url, file_name=name)), context)
    second = int(time.time())
    wait_for(lambda: clock_of(sandbox) > second, what="another second: dates have whole ones", timeout=30)
    sandbox.configure(visible_after=0.5)
    found = run(sensor(mode, submit(context)), context)
    assert found["file_name"] == "a(1).jpg"


def test_rejected_by_review_needs_no_submission_of_the_past(
    mode: str, sandbox: Sandbox, context: dict[str, Any]
) -> None:
    sandbox.configure(review="a.jpg")
    operator = Pan123OfflineDownloadOperator(
        task_id="migrate",
        url=URL,
        wait_for_completion=True,
        deferrable=mode == "deferrable",
        poke_interval=0.1,
    )
    for _ in range(2):
        with pytest.raises(Pan123DownloadFailedError, match="review"):
            run(operator, context)
    assert sandbox.state()["counts"]["submissions"] == 2
