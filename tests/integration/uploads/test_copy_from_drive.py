"""A task that copies files from the cloud drive."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred

from airflow_provider_123pan.exceptions import (
    Pan123ServiceError,
    Pan123WaitError,
    Pan123WaitTimeoutError,
)
from airflow_provider_123pan.operators.images import Pan123CopyFromDriveOperator
from airflow_provider_123pan.sandbox import Sandbox
from airflow_provider_123pan.service.copies import CopyStatus, CopyTask
from airflow_provider_123pan.service.flow import Sleep
from airflow_provider_123pan.service.flow import drive as drive_flow
from airflow_provider_123pan.sync.drive_copies import wait_for_copies
from tests.support import names, resume, run

pytestmark = pytest.mark.usefixtures("connect")

COPY = "/api/v1/oss/source/copy"
MODES = pytest.mark.parametrize("deferrable", [False, True], ids=["worker", "triggerer"])


def task(file_ids: Any, **arguments: Any) -> Pan123CopyFromDriveOperator:
    given: dict[str, Any] = {"directory": "photos/2026", "poke_interval": 0.05, "timeout": 60} | arguments
    return Pan123CopyFromDriveOperator(task_id="copy", file_ids=file_ids, **given)


def files(sandbox: Sandbox, count: int, failing: int = 0, delay: float = 0) -> list[str]:
    """Put files onto the cloud drive, the first of which cannot be copied."""
    found = [
        {"file_id": str(1000 + number), "filename": f"{number}.png", "fails": number < failing}
        for number in range(count)
    ]
    sandbox.configure(drive_files=found, copy_delay=delay)
    return [str(file["file_id"]) for file in found]


def submissions(sandbox: Sandbox) -> int:
    count: int = sandbox.state()["counts"]["requests"].get(COPY, 0)
    return count


@MODES
def test_files_are_copied(context: dict[str, Any], sandbox: Sandbox, deferrable: bool) -> None:
    ids = files(sandbox, 205, delay=0.2)
    result = run(task(ids, deferrable=deferrable), context)
    assert (result["files"], result["failed"], result["failures"]) == (205, 0, [])
    assert len(result["task_ids"]) == submissions(sandbox) == 3
    assert names(sandbox) == {f"{number}.png" for number in range(205)}
    assert {file["parentFileId"] for file in sandbox.state(300)["files"]} == {result["directory_id"]}


@MODES
def test_failures_are_listed(context: dict[str, Any], sandbox: Sandbox, deferrable: bool) -> None:
    ids = files(sandbox, 30, failing=25)
    result = run(task(ids, deferrable=deferrable, max_failures=25), context)
    assert (result["files"], result["failed"], len(result["failures"])) == (30, 25, 20)
    assert result["failures"][0] == {
        "file_id": "1000",
        "file_name": "0.png",
        "reason": "123pan did not copy it",
    }


@MODES
def test_too_many_failures_fail_the_task_without_a_retry(
    context: dict[str, Any], sandbox: Sandbox, deferrable: bool
) -> None:
    ids = files(sandbox, 5, failing=1)
    pushed: dict[str, Any] = {}
    context["ti"].xcom_push = pushed.__setitem__
    with pytest.raises(
        AirflowFailException, match=r"^1 files were not copied, max_failures is 0: 0.png: 123"
    ):
        run(task(ids, deferrable=deferrable), context)
    assert (pushed["failed"], pushed["failures"][0]["file_id"]) == (1, "1000")


def test_all_files_of_a_task_that_failed_have_failed(
    context: dict[str, Any], sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    ids = [*files(sandbox, 2), "nowhere"]
    result = run(task(ids, max_failures="100%"), context)
    assert "file_id nowhere: task 1 failed: file nowhere does not exist" in caplog.messages
    assert [failure["file_id"] for failure in result["failures"]] == ids
    assert result["failures"][0]["reason"] == "task 1 failed: file nowhere does not exist"


def test_a_failure_that_no_page_lists_counts(
    context: dict[str, Any], sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    ids = files(sandbox, 3)
    body = {"code": 0, "message": "ok", "data": {"total": 2, "list": None}}
    sandbox.configure(answers=[{"path": f"{COPY}/fail", "body": body, "times": None}])
    result = run(task(ids, max_failures="100%"), context)
    reason = "123pan says that it did not copy all files, and does not list this one"
    assert (result["failed"], result["failures"]) == (
        2,
        [{"file_id": None, "file_name": None, "reason": reason}] * 2,
    )
    assert f"a file of task 1: {reason}" in caplog.messages


def test_a_retry_continues_with_what_was_submitted(context: dict[str, Any], sandbox: Sandbox) -> None:
    ids = files(sandbox, 205)
    refused = {"path": f"{COPY}$", "body": {"code": 1, "message": "no", "data": None}}
    sandbox.configure(answers=[{"path": f"{COPY}$", "action": "pass"}] * 2 + [refused])
    with pytest.raises(Pan123ServiceError):
        run(task(ids), context)
    assert submissions(sandbox) == 3
    assert run(task(ids), context)["failed"] == 0
    assert submissions(sandbox) == 4
    assert len(names(sandbox)) == 205


@pytest.mark.parametrize("change", ["another list", "another directory", "a clear"])
def test_another_copy_is_submitted_again(context: dict[str, Any], sandbox: Sandbox, change: str) -> None:
    ids = files(sandbox, 2)
    run(task(ids), context)
    if change == "a clear":
        context["ti"].max_tries += 1
    given = {"directory": "elsewhere"} if change == "another directory" else {}
    run(task(ids[:1] if change == "another list" else ids, **given), context)
    assert submissions(sandbox) == 2


def test_the_record_of_another_shape_is_ignored(context: dict[str, Any], sandbox: Sandbox) -> None:
    ids, store = files(sandbox, 1), context["task_state_store"]
    run(task(ids), context)
    store.set("pan123_copy", store.get("pan123_copy") | {"task_ids": [7]})
    run(task(ids), context)
    assert submissions(sandbox) == 2


@MODES
def test_a_wait_ends_at_its_timeout(context: dict[str, Any], sandbox: Sandbox, deferrable: bool) -> None:
    ids = files(sandbox, 1, delay=3600)
    with pytest.raises(Pan123WaitTimeoutError):
        run(task(ids, deferrable=deferrable, timeout=0.1), context)


def test_an_error_in_the_triggerer_fails_the_task(context: dict[str, Any], sandbox: Sandbox) -> None:
    ids = files(sandbox, 1, delay=3600)
    copy = task(ids, deferrable=True)
    with pytest.raises(TaskDeferred) as deferred:
        copy.execute(context)  # type: ignore[arg-type]
    body = {"code": 1, "message": "no such task", "data": None}
    sandbox.configure(answers=[{"path": f"{COPY}/process", "body": body, "times": None}])
    with pytest.raises(Pan123WaitError, match="no such task"):
        resume(copy, deferred.value, context)


def test_a_list_that_has_changed_during_the_wait_fails_the_task(
    context: dict[str, Any], sandbox: Sandbox
) -> None:
    copy = task(files(sandbox, 1, delay=0.2), deferrable=True)
    with pytest.raises(TaskDeferred) as deferred:
        copy.execute(context)  # type: ignore[arg-type]
    copy.file_ids = [str(number) for number in range(1000, 1101)]
    with pytest.raises(AirflowFailException, match="^file_ids: the list has changed"):
        resume(copy, deferred.value, context)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"directory": None}, "^directory: give directory or directory_id, to which"),
        ({"directory_id": "1"}, "^directory: give either"),
        ({"file_ids": []}, "^file_ids: it is empty"),
        ({"file_ids": "1000"}, "^file_ids: give a list"),
        ({"max_failures": "many"}, "^max_failures: 'many' is neither"),
    ],
)
def test_arguments_are_checked(
    context: dict[str, Any], sandbox: Sandbox, given: dict[str, Any], message: str
) -> None:
    with pytest.raises(AirflowFailException, match=message):
        run(task(**{"file_ids": ["1000"]} | given), context)
    assert sandbox.state()["counts"]["requests"] == {}


def test_polls_pause_until_all_tasks_have_ended() -> None:
    now, polled, pauses = 0.0, [], []

    def perform(step: Any) -> Any:
        nonlocal now
        if isinstance(step, Sleep):
            pauses.append(step.seconds)
            now += step.seconds
            return None
        task_id = step.call.params["taskID"]
        polled.append(task_id)
        ends = {"1": 20.0, "2": 5.0}
        return CopyTask(task_id, CopyStatus.ENDED if now >= ends[task_id] else CopyStatus.WAITING, None)

    assert drive_flow(wait_for_copies(["1", "2"], 100.0, 10.0, lambda: now), perform)
    assert (polled, pauses) == (["1", "1", "1", "2"], [10.0, 10.0])
    now, polled, pauses = 0.0, [], []
    assert not drive_flow(wait_for_copies(["1"], 15.0, 10.0, lambda: now), perform)
    assert pauses == [10.0, 5.0]
