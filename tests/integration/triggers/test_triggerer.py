"""A trigger gets every option of its sensor, and never blocks the triggerer's event loop."""

from __future__ import annotations

import asyncio
import inspect
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import aclosing
from datetime import timedelta
from typing import Any

import pytest
import requests
from airflow.sdk import BaseHook
from airflow.sdk.exceptions import (
    AirflowNotFoundException,
    AirflowSensorTimeout,
    AirflowSkipException,
    TaskDeferralError,
    TaskDeferred,
)
from airflow.triggers.base import BaseTrigger

from airflow_provider_123pan.account import shared_client
from airflow_provider_123pan.arrivals.watch import ArrivalTiming
from airflow_provider_123pan.download.events import DEFERRAL_GRACE_SECONDS
from airflow_provider_123pan.operators.offline_download import Pan123OfflineDownloadOperator
from airflow_provider_123pan.operators.sync_images import Pan123SyncImagesOperator
from airflow_provider_123pan.sandbox import Sandbox
from airflow_provider_123pan.triggers.image_arrivals import Pan123ImageArrivalTrigger
from airflow_provider_123pan.triggers.offline_download import Pan123OfflineDownloadTrigger
from tests.integration.conftest import MemoryVariables
from tests.support import addresses, sensor

URL = "https://example.com/a.jpg"


def deferral(task: Any, context: dict[str, Any]) -> BaseTrigger:
    with pytest.raises(TaskDeferred) as deferred:
        task.execute(context)
    trigger: BaseTrigger = deferred.value.trigger
    return trigger


def submit(context: dict[str, Any]) -> dict[str, Any]:
    given: dict[str, Any] = Pan123OfflineDownloadOperator(task_id="submit", url=URL).execute(context)  # type: ignore[arg-type]
    return given


@pytest.mark.usefixtures("connect")
def test_the_trigger_is_told_all_that_the_sensor_was_told(sandbox: Sandbox, context: dict[str, Any]) -> None:
    sandbox.configure(stuck="a.jpg")
    submission = submit(context)
    began = time.time()
    deliveries = sensor(
        "deferrable",
        submission,
        poke_interval=7,
        timeout=90,
        exponential_backoff=True,
        max_wait=timedelta(seconds=40),
        silent_fail=True,
    )
    _, arguments = deferral(deliveries, context).serialize()
    assert began + 90 <= arguments.pop("deadline") <= time.time() + 90
    assert arguments == {
        "submission": submission,
        "pan123_conn_id": "pan123_default",
        "poke_interval": 7,
        "exponential_backoff": True,
        "max_wait": 40,
        "silent_fail": True,
    }
    assert {*arguments, "deadline"} == set(inspect.signature(Pan123OfflineDownloadTrigger).parameters)


@pytest.mark.usefixtures("connect")
def test_airflow_ends_a_deferral_only_long_after_the_trigger(
    sandbox: Sandbox, context: dict[str, Any]
) -> None:
    sandbox.configure(stuck="a.jpg")
    operator = Pan123OfflineDownloadOperator(
        task_id="migrate", url=URL, wait_for_completion=True, deferrable=True, timeout=90
    )
    for task in (operator, sensor("deferrable", submit(context), timeout=90)):
        with pytest.raises(TaskDeferred) as deferred:
            task.execute(context)  # type: ignore[arg-type]
        assert deferred.value.timeout == timedelta(seconds=90 + DEFERRAL_GRACE_SECONDS)


@pytest.mark.parametrize(
    ("soft_fail", "kind"), [(False, AirflowSensorTimeout), (True, AirflowSkipException)], ids=["hard", "soft"]
)
@pytest.mark.usefixtures("connect")
def test_the_backstop_is_a_timeout_and_a_broken_trigger_an_error(
    soft_fail: bool, kind: type[Exception], context: dict[str, Any]
) -> None:
    task = sensor("deferrable", 7, soft_fail=soft_fail)
    with pytest.raises(kind, match="no trigger ended the wait"):
        task.resume_execution("__fail__", {"error": "Trigger timeout"}, context)  # type: ignore[arg-type]
    with pytest.raises(TaskDeferralError):
        task.resume_execution("__fail__", {"error": "Trigger failure"}, context)  # type: ignore[arg-type]


@pytest.fixture
def blocking(monkeypatch: pytest.MonkeyPatch, variables: MemoryVariables) -> list[str]:
    """What blocks, called in this thread, which runs the loop."""
    loops_thread, found = threading.get_ident(), list[str]()

    def watch(target: Any, name: str) -> None:
        original = getattr(target, name)

        def watched(*args: Any, **kwargs: Any) -> Any:
            if threading.get_ident() == loops_thread:
                found.append(name)
            return original(*args, **kwargs)

        monkeypatch.setattr(target, name, watched)

    watch(time, "sleep")
    watch(requests.Session, "send")
    watch(BaseHook, "get_connection")
    watch(ssl, "create_default_context")
    watch(socket, "create_connection")
    watch(socket, "getaddrinfo")
    for name in ("get", "set"):
        watch(variables, name)
    return found


async def event(trigger: BaseTrigger) -> Any:
    [fired] = [each async for each in type(trigger)(**trigger.serialize()[1]).run()]
    return fired.payload


@pytest.mark.parametrize("callback", [True, False])
@pytest.mark.parametrize("batch", [False, True], ids=["image", "batch"])
async def test_nothing_blocks_the_loop(
    receiver: str,
    connect: Callable[..., None],
    variables: MemoryVariables,
    sandbox: Sandbox,
    context: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    set_timing: Callable[..., None],
    request: pytest.FixtureRequest,
    callback: bool,
    batch: bool,
) -> None:
    connect(extra={"callback_base_url": receiver if callback else ""})
    monkeypatch.setenv("AIRFLOW__PAN123__INBOX_URL", receiver)
    set_timing(idle_before_deferral=0.1)
    sandbox.configure(hold="example")
    if batch:
        task: Any = Pan123SyncImagesOperator(
            task_id="sync", images=addresses(3), directory="photos", deferrable=True
        )
    else:
        task = sensor("deferrable", submit(context))
    trigger = deferral(task, context)
    variables.values.clear()  # the triggerer has to log in
    blocking = request.getfixturevalue("blocking")
    sandbox.configure(hold=None)
    blocking.clear()
    assert json.loads(json.dumps(await event(trigger)))["status"] in ("ended", "woken")
    assert blocking == []
    called_back = batch and callback  # nothing is to be asked then
    assert sandbox.state()["counts"]["logins"] == (1 if called_back else 2)


async def test_a_watch_does_not_block_the_loop(
    receiver: str,
    connect: Callable[..., None],
    variables: MemoryVariables,
    context: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    connect(extra={"callback_base_url": receiver})
    monkeypatch.setenv("AIRFLOW__PAN123__INBOX_URL", receiver)
    monkeypatch.setattr("airflow_provider_123pan.arrivals.cursor_store.AirflowVariables", lambda: variables)
    monkeypatch.setattr(Pan123ImageArrivalTrigger, "timing", ArrivalTiming(stored_within=0.0))
    submit(context)
    variables.values.clear()
    blocking = request.getfixturevalue("blocking")
    async with aclosing(Pan123ImageArrivalTrigger(poke_interval=0.1).run()) as events:
        assert (await anext(events)).payload["file_name"].startswith("a-")
        stored = asyncio.create_task(anext(events))  # after its event, the watch goes on to keep its cursor

        def seen() -> list[Any]:
            kept = [value for name, value in variables.values.items() if name.startswith("pan123_arrivals__")]
            return [cursor for cursor in map(json.loads, kept) if cursor["seen"]]

        while not seen():  # noqa: ASYNC110 - a Variable has no events
            await asyncio.sleep(0.01)
        stored.cancel()
        await asyncio.gather(stored, return_exceptions=True)
    assert blocking == []


@pytest.mark.usefixtures("connect")
async def test_a_triggerer_begins_faster_than_a_task_unless_a_rate_was_found(
    variables: MemoryVariables, monkeypatch: pytest.MonkeyPatch
) -> None:
    for found, expected in (
        (None, shared_client.TRIGGERERS_FIRST_RATE),
        ('{"rate": 3, "process": "x"}', 3.0),
    ):
        monkeypatch.setattr("airflow_provider_123pan.account.account._throttles", {})
        monkeypatch.setattr(variables, "get", lambda name, found=found: found)
        async with shared_client.shared_client("pan123_default") as shared:
            assert shared.client.throttle.rate == expected


@pytest.mark.usefixtures("connect")
@pytest.mark.parametrize("failures", [1, 10])
async def test_a_connection_that_is_not_found_is_looked_up_again_before_waits_fail(
    failures: int, sandbox: Sandbox, context: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    real, asked = BaseHook.aget_connection, 0

    async def find(conn_id: str) -> Any:
        nonlocal asked
        asked += 1
        if asked <= failures:
            raise AirflowNotFoundException(conn_id)
        return await real(conn_id)

    submission = await asyncio.to_thread(submit, context)
    monkeypatch.setattr(shared_client, "CONNECTION_PAUSES", (0.0, 0.0))
    monkeypatch.setattr(BaseHook, "aget_connection", find)
    arguments: Any = {"pan123_conn_id": "pan123_default", "deadline": time.time() + 60, "poke_interval": 0.1}

    async def run() -> Any:
        trigger = Pan123OfflineDownloadTrigger(submission=submission, **arguments)
        (event,) = [event.payload async for event in trigger.run()]
        return event

    statuses = {event["status"] for event in await asyncio.gather(*(run() for _ in range(3)))}
    assert statuses == ({"ended"} if failures == 1 else {"error"})
    assert asked == (2 if failures == 1 else 3)
