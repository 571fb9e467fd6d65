"""The worker is killed at each step between the check of the input and the end of the task, and tries again."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from airflow.sdk.exceptions import TaskDeferred

from airflow_provider_123pan.account.token import LoginTiming
from airflow_provider_123pan.exceptions import Pan123UnavailableError
from airflow_provider_123pan.hooks.pan123 import Pan123Hook
from airflow_provider_123pan.operators.offline_download import Pan123OfflineDownloadOperator
from airflow_provider_123pan.sandbox import Sandbox
from airflow_provider_123pan.service.client import Pan123Client
from tests.integration.conftest import MemoryStore, MemoryVariables
from tests.support import run

URL = "https://example.com/a.jpg"

pytestmark = pytest.mark.usefixtures("connect")


class Killed(BaseException):
    """Stands for SIGKILL: nothing after it runs, and no ``except Exception`` sees it."""


@pytest.fixture(autouse=True)
def _short(
    variables: MemoryVariables, monkeypatch: pytest.MonkeyPatch, set_timing: Callable[..., None]
) -> None:
    timing = LoginTiming(settle_seconds=0.0, lock_stale_seconds=0.2)
    monkeypatch.setattr("airflow_provider_123pan.account.account.login_timing", timing)
    set_timing(search=1.0)
    set_timing(search_interval=0.1)


@pytest.fixture
def kill_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[int | None], list[str]]:
    """Die before or after the n-th step outside of this process; gives the steps as they are taken."""
    steps: list[str] = []
    fatal: list[int | None] = [None]

    def step(name: str) -> None:
        if len(steps) == fatal[0]:
            raise Killed
        steps.append(name)

    def around(target: type, name: str, label: Callable[..., str]) -> None:
        original = getattr(target, name)

        def wrapped(*args: Any, **kwargs: Any) -> Any:
            step(f"before {label(*args)}")
            value = original(*args, **kwargs)
            step(f"after {label(*args)}")
            return value

        monkeypatch.setattr(target, name, wrapped)

    around(MemoryStore, "get", lambda *_: "get")
    around(MemoryStore, "set", lambda *_: "set")
    around(Pan123Client, "_send", lambda _, send: send.call.name)

    def arm(number: int | None) -> list[str]:
        fatal[0] = number
        steps.clear()
        return steps

    return arm


def operator(**more: Any) -> Pan123OfflineDownloadOperator:
    arguments: dict[str, Any] = {"task_id": "submit", "url": URL, "poke_interval": 0.05} | more
    return Pan123OfflineDownloadOperator(**arguments)


def submissions(sandbox: Sandbox) -> int:
    return int(sandbox.state()["counts"]["submissions"])


@pytest.mark.parametrize(
    "arguments",
    [{}, {"wait_for_completion": True}, {"wait_for_completion": True, "deferrable": True}],
    ids=["submit", "wait", "defer"],
)
def test_killed_at_each_step(
    arguments: dict[str, Any],
    kill_at: Callable[[int | None], list[str]],
    sandbox: Sandbox,
    variables: MemoryVariables,
    context: dict[str, Any],
) -> None:
    steps = kill_at(None)
    run(operator(**arguments), context)
    names = list(steps)
    sent, stored = (
        names.index("before create_offline_download"),
        len(names) - names[::-1].index("after set") - 1,
    )
    assert names.count("after set") == 2

    for number in itertools.count():
        sandbox.reset()
        sandbox.configure(delay=0.1 if arguments.get("deferrable") else 0)
        context["task_state_store"].values.clear()
        variables.values.clear()
        kill_at(number)
        try:
            run(operator(**arguments), context)
            break  # all steps of this run were taken
        except Killed:
            kill_at(None)
        found = run(operator(**arguments), context)
        # The image is in the directory soon after it was submitted, so not even the one more is needed.
        assert submissions(sandbox) == 1, number
        assert found["taskID"] is not None or sent < number < stored, number
    assert number > stored


def test_killed_before_the_taskid_is_stored_and_no_image_shows_up(
    kill_at: Callable[[int | None], list[str]], sandbox: Sandbox, context: dict[str, Any]
) -> None:
    sandbox.configure(stuck="a.jpg")
    Pan123Hook().test_connection()
    steps = kill_at(None)
    operator().execute(context)  # type: ignore[arg-type]
    kill_at(steps.index("after create_offline_download"))
    context["task_state_store"].values.clear()
    with pytest.raises(Killed):
        operator().execute(context)  # type: ignore[arg-type]
    kill_at(None)
    first = operator().execute(context)  # type: ignore[arg-type]
    assert submissions(sandbox) == 3  # the one that showed the steps, the lost one, one more
    assert operator().execute(context) == first  # type: ignore[arg-type]
    assert submissions(sandbox) == 3


def test_a_retry_goes_on_with_what_runs_and_submits_what_failed(
    sandbox: Sandbox, context: dict[str, Any]
) -> None:
    sandbox.configure(stuck="a.jpg")
    first = operator().execute(context)  # type: ignore[arg-type]
    assert operator().execute(context) == first  # type: ignore[arg-type]
    sandbox.configure(stuck=None, fail="a.jpg", callback="early")  # ends before the answer
    failed = operator(url=URL + "?2").execute(context)  # type: ignore[arg-type]
    assert operator(url=URL + "?2").execute(context)["taskID"] != failed["taskID"]  # type: ignore[arg-type]
    assert submissions(sandbox) == 3


def test_a_cleared_task_submits_anew(sandbox: Sandbox, context: dict[str, Any]) -> None:
    first = operator().execute(context)  # type: ignore[arg-type]
    context["ti"].max_tries += 1
    assert operator().execute(context)["taskID"] != first["taskID"]  # type: ignore[arg-type]
    assert submissions(sandbox) == 2


@pytest.mark.parametrize("changed", [{"url": URL + "?2"}, {"file_name": "b.jpg"}, {"directory_id": None}])
def test_another_request_submits_anew(
    changed: dict[str, Any], sandbox: Sandbox, context: dict[str, Any]
) -> None:
    operator().execute(context)  # type: ignore[arg-type]
    operator(**changed).execute(context)  # type: ignore[arg-type]
    assert submissions(sandbox) == (1 if changed == {"directory_id": None} else 2)


def test_without_a_store_a_retry_submits_again(sandbox: Sandbox, context: dict[str, Any]) -> None:
    del context["task_state_store"]  # Airflow 3.2
    operator().execute(context)  # type: ignore[arg-type]
    operator().execute(context)  # type: ignore[arg-type]
    assert submissions(sandbox) == 2


REDIRECT = {"status": 302, "headers": {"Location": "https://portal.example/"}}


@pytest.mark.parametrize(
    "answer",
    [
        {"action": "process-then-drop"},
        {"action": "process-then-answer", "status": 502},
        {"action": "process-then-answer", **REDIRECT},
        {"action": "process-then-answer", "body": {"code": 0, "message": "ok", "data": None}},
    ],
)
def test_an_ambiguous_answer_is_looked_for(
    answer: dict[str, Any], sandbox: Sandbox, context: dict[str, Any]
) -> None:
    sandbox.configure(delay=0, answers=[{"path": "offline/download$"} | answer])
    found = operator().execute(context)  # type: ignore[arg-type]
    assert (found["taskID"], submissions(sandbox)) == (None, 1)
    assert run(operator(wait_for_completion=True), context)["fileID"]
    assert submissions(sandbox) == 1


def test_a_submission_is_dated_by_when_it_was_sent(
    monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox, context: dict[str, Any]
) -> None:
    send = Pan123Client._send
    monkeypatch.setattr(Pan123Client, "_send", lambda *step: replace(send(*step), seconds=3600.0))
    found = operator().execute(context)  # type: ignore[arg-type]
    submitted_at = datetime.fromisoformat(found["submitted_at"])
    assert submitted_at < datetime.now(timezone.utc) - timedelta(minutes=50)


def test_no_log_of_a_retry_quotes_the_signature(
    sandbox: Sandbox, context: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    signed = f"{URL}?token=c0ffee5ecret"
    first = operator(url=signed).execute(context)  # type: ignore[arg-type]
    refused = {"code": 1, "message": "no task for c0ffee5ecret"}
    sandbox.configure(answers=[{"path": "process$", "body": refused}])
    assert operator(url=signed).execute(context) == first  # type: ignore[arg-type]
    assert "of an earlier try: get_offline_download: no task for ***" in caplog.text
    assert "c0ffee5ecret" not in caplog.text


def test_an_answer_that_does_not_come(connect: Any, sandbox: Sandbox, context: dict[str, Any]) -> None:
    connect(extra={"timeout": 0.3})
    answer = {"path": "offline/download$", "action": "process-then-answer", "delay": 2}
    sandbox.configure(delay=0, answers=[answer])
    found = operator().execute(context)  # type: ignore[arg-type]
    assert (found["taskID"], submissions(sandbox)) == (None, 1)


@pytest.mark.parametrize("answer", [{"action": "drop"}, REDIRECT])
def test_an_ambiguous_answer_that_created_nothing(
    answer: dict[str, Any], sandbox: Sandbox, context: dict[str, Any]
) -> None:
    sandbox.configure(answers=[{"path": "offline/download$"} | answer])
    assert operator().execute(context)["taskID"]  # type: ignore[arg-type]
    assert submissions(sandbox) == 1


def test_a_login_that_fails_is_no_submission(
    sandbox: Sandbox, variables: MemoryVariables, context: dict[str, Any]
) -> None:
    sandbox.configure(delay=0)
    operator().execute(context)  # type: ignore[arg-type]
    variables.values.clear()
    context["task_state_store"].values.clear()
    sandbox.configure(answers=[{"path": "access_token$", "status": 502, "body": "<html>"}])
    with pytest.raises(Pan123UnavailableError, match="^login: HTTP 502"):
        operator().execute(context)  # type: ignore[arg-type]
    assert context["task_state_store"].values == {}
    assert operator().execute(context)["taskID"]  # type: ignore[arg-type]
    assert submissions(sandbox) == 2


def test_an_image_of_yesterday_proves_nothing(
    sandbox: Sandbox, context: dict[str, Any], set_timing: Callable[..., None]
) -> None:
    set_timing(same_second=timedelta(seconds=-2), clock_skew=timedelta(seconds=-2))
    sandbox.configure(delay=0)
    operator().execute(context)  # type: ignore[arg-type]
    sandbox.configure(answers=[{"path": "offline/download$", "action": "drop"}])
    assert operator(url=URL + "?tonight").execute(context)["taskID"]  # type: ignore[arg-type]
    assert submissions(sandbox) == 2


def test_a_refused_call_leaves_no_record(sandbox: Sandbox, context: dict[str, Any]) -> None:
    sandbox.configure(answers=[{"path": "offline/download$", "body": {"code": 1, "message": "no"}}])
    with pytest.raises(Exception, match="no"):
        operator().execute(context)  # type: ignore[arg-type]
    assert context["task_state_store"].values == {}


def test_the_first_look_comes_before_the_deferral(sandbox: Sandbox, context: dict[str, Any]) -> None:
    sandbox.configure(callback="early")  # ends before the answer
    assert operator(wait_for_completion=True, deferrable=True).execute(context)["fileID"]  # type: ignore[arg-type]
    sandbox.configure(callback="normal", delay=1)
    with pytest.raises(TaskDeferred):
        operator(url=URL + "?2", wait_for_completion=True, deferrable=True).execute(context)  # type: ignore[arg-type]
