"""From the service's POST to the end of the wait: in every order, with false callbacks, and without any."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException, TaskDeferred

from airflow_provider_123pan.operators.offline_download import Pan123OfflineDownloadOperator
from airflow_provider_123pan.sandbox import Sandbox
from tests.integration.receiver.support import until
from tests.support import MODES, run, sensor

URL = "https://example.com/a.jpg"
ALL_MODES = pytest.mark.parametrize("mode", MODES)


@pytest.fixture(autouse=True)
def base_url(
    receiver: str,
    connect: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    set_timing: Callable[..., None],
) -> str:
    """Configure callbacks, and return their base URL."""
    connect(extra={"callback_base_url": receiver})
    monkeypatch.setenv("AIRFLOW__PAN123__INBOX_URL", receiver)
    # Without polls during the test, so that only a delivery can end a deferred wait.
    set_timing(fallback_poll=(1000.0, 1000.0))
    return receiver


def submit(context: dict[str, Any], **arguments: Any) -> dict[str, Any]:
    """Run the operator, and return the submission."""
    given: dict[str, Any] = {"url": URL} | arguments
    found: dict[str, Any] = Pan123OfflineDownloadOperator(task_id="submit", **given).execute(context)  # type: ignore[arg-type]
    return found


@ALL_MODES
@pytest.mark.parametrize("callback", ["normal", "late", "twice", "twice-at-once", "early", "wrong-file"])
@pytest.mark.parametrize("file_id_as", ["string", "number"])
def test_a_callback_of_a_success_ends_the_wait_in_every_order(
    mode: str, callback: str, file_id_as: str, sandbox: Sandbox, context: dict[str, Any]
) -> None:
    sandbox.configure(callback=callback, callback_delay=0.3, file_id_as=file_id_as)
    submission = submit(context)
    assert submission["callback_id"]
    found = run(sensor(mode, submission), context)
    stored = sandbox.state()["files"][0]
    assert (found["fileID"], found["download_url"]) == (stored["fileId"], stored["downloadURL"])


@ALL_MODES
@pytest.mark.parametrize("spelling", ["failReason", "fileReason"])
def test_a_failure_has_the_reason_of_its_callback(
    mode: str, spelling: str, sandbox: Sandbox, context: dict[str, Any]
) -> None:
    sandbox.configure(fail="a.jpg", fail_reason="源站拒绝", reason_spelling=spelling)
    with pytest.raises(AirflowFailException, match=r"a\.jpg \(taskID \d+\): the callback reports: 源站拒绝"):
        run(sensor(mode, submit(context)), context)
    with pytest.raises(AirflowSkipException):
        run(sensor(mode, submit(context, url=URL + "?2"), soft_fail=True), context)


@ALL_MODES
def test_a_false_failure_changes_nothing(mode: str, sandbox: Sandbox, context: dict[str, Any]) -> None:
    sandbox.configure(callback="lying")
    assert run(sensor(mode, submit(context)), context)["fileID"]


@ALL_MODES
def test_a_false_success_is_a_failure_without_an_invented_reason(
    mode: str, sandbox: Sandbox, context: dict[str, Any], set_timing: Callable[..., None]
) -> None:
    set_timing(reason_wait=0.5)
    sandbox.configure(delay=0)
    run(sensor(mode, submit(context, url="https://example.com/healthy.jpg")), context)
    sandbox.configure(callback="lying", fail="a.jpg")
    with pytest.raises(AirflowFailException, match="could not download or keep the image"):
        run(sensor(mode, submit(context)), context)


@ALL_MODES
def test_a_callback_before_the_wait_is_found(mode: str, sandbox: Sandbox, context: dict[str, Any]) -> None:
    sandbox.configure(delay=0)
    submission = submit(context)
    assert run(sensor(mode, submission), context)["fileID"]


def test_a_callback_between_the_deferral_and_the_trigger_is_found(
    sandbox: Sandbox, context: dict[str, Any]
) -> None:
    submission = submit(context)
    with pytest.raises(TaskDeferred) as deferred:
        sensor("deferrable", submission).execute(context)  # type: ignore[arg-type]
    until(lambda: sandbox.state()["counts"]["callbacks"])
    trigger = deferred.value.trigger
    event = asyncio.run(_event(trigger))
    assert event["outcome"]["fileID"]


async def _event(trigger: Any) -> dict[str, Any]:
    async for event in trigger.run():
        return dict(event.payload)
    raise AssertionError("no event")


def test_a_delivery_does_not_end_the_wait_for_a_running_task(
    sandbox: Sandbox, context: dict[str, Any]
) -> None:
    """The callback arrives early, while progress is still "running"."""
    sandbox.configure(callback="early", delay=0.5, retrying="a.jpg")
    assert run(sensor("deferrable", submit(context)), context)["fileID"]


def test_progress_is_polled_without_a_callback(
    sandbox: Sandbox, context: dict[str, Any], set_timing: Callable[..., None]
) -> None:
    set_timing(fallback_poll=(0.5, 1.0))
    sandbox.configure(callback="never")
    assert run(sensor("deferrable", submit(context)), context)["fileID"]


def test_an_unreachable_inbox_fails_no_task(
    sandbox: Sandbox,
    context: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    set_timing: Callable[..., None],
) -> None:
    set_timing(reason_wait=0.5)
    monkeypatch.setenv("AIRFLOW__PAN123__INBOX_URL", "http://127.0.0.1:1")
    submission = submit(context)
    assert run(sensor("deferrable", submission), context)["fileID"]
    assert caplog.text.count("out of reach") == 1
    sandbox.configure(fail="b.jpg")
    with pytest.raises(AirflowFailException, match="could not download"):
        run(sensor("poke", submit(context, url="https://example.com/b.jpg")), context)


def test_an_answer_of_another_server_fails_no_task(
    sandbox: Sandbox, context: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__PAN123__INBOX_URL", sandbox.base_url)
    assert run(sensor("deferrable", submit(context)), context)["fileID"]


def test_use_callback_decides_whether_settings_are_required(
    connect: Callable[..., None], sandbox: Sandbox, context: dict[str, Any]
) -> None:
    assert submit(context, use_callback=False)["callback_id"] is None
    connect()
    assert submit(context, url=URL + "?2")["callback_id"] is None
    with pytest.raises(AirflowFailException, match="^use_callback: .* no callback_base_url"):
        submit(context, url=URL + "?3", use_callback=True)
    connect(extra={"callback_base_url": "https://airflow.example.com", "callback_secret": "short"})
    assert submit(context, url=URL + "?4")["callback_id"] is None
    with pytest.raises(AirflowFailException, match="^use_callback: .*callback_secret"):
        submit(context, url=URL + "?5", use_callback=True)
    connect(extra={"callback_base_url": "airflow.example.com"})
    with pytest.raises(AirflowFailException, match="callback_base_url must be an http"):
        submit(context, url=URL + "?6")
    assert [task["callBackUrl"] for task in sandbox.state()["tasks"]] == ["", "", ""]


def test_the_callback_url_is_in_no_log_and_no_xcom(
    sandbox: Sandbox, context: dict[str, Any], caplog: pytest.LogCaptureFixture, capsys: Any, tmp_path: Path
) -> None:
    submission = submit(context)
    result = run(sensor("deferrable", submission), context)
    token = sandbox.state()["tasks"][0]["callBackUrl"].rsplit("/", 1)[-1]
    out, err = capsys.readouterr()
    seen = caplog.text + out + err + json.dumps([submission, result, context["task_state_store"].values])
    assert token not in seen


def test_a_retry_continues_with_the_callback_of_the_first_try(
    sandbox: Sandbox, context: dict[str, Any]
) -> None:
    assert submit(context)["callback_id"] == submit(context)["callback_id"]
    assert sandbox.state()["counts"]["submissions"] == 1


def test_a_delivery_wakes_a_waiting_operator(sandbox: Sandbox, context: dict[str, Any]) -> None:
    operator = Pan123OfflineDownloadOperator(
        task_id="migrate", url=URL, wait_for_completion=True, deferrable=True, poke_interval=1000
    )
    found = run(operator, context)
    assert found["fileID"]
    assert found["callback_id"]


def test_no_event_before_the_scheduler_knows_of_the_deferral(
    sandbox: Sandbox,
    context: dict[str, Any],
    set_timing: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    set_timing(min_to_event=1e6)
    with pytest.raises(TaskDeferred) as deferred:
        sensor("deferrable", submit(context)).execute(context)  # type: ignore[arg-type]
    sleep, long_sleeps = asyncio.sleep, []

    async def skip_long_sleeps(seconds: float) -> None:
        if seconds < 1e5:
            await sleep(seconds)
        else:
            long_sleeps.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", skip_long_sleeps)
    assert asyncio.run(_event(deferred.value.trigger))["outcome"]["fileID"]
    assert len(long_sleeps) == 1
