"""What the operator and the sensor for one image store, return, and hand over to the triggerer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import pytest
from airflow.sdk.exceptions import TaskDeferred

from airflow_provider_123pan.operators.images import Pan123CopyFromDriveOperator
from airflow_provider_123pan.operators.offline_download import Pan123OfflineDownloadOperator
from airflow_provider_123pan.sandbox import Sandbox
from airflow_provider_123pan.sensors.offline_download import Pan123OfflineDownloadSensor
from airflow_provider_123pan.triggers.copy_from_drive import Pan123CopyFromDriveTrigger
from airflow_provider_123pan.triggers.image_arrivals import Pan123ImageArrivalTrigger
from airflow_provider_123pan.triggers.offline_download import Pan123OfflineDownloadTrigger
from airflow_provider_123pan.triggers.sync_images import Pan123SyncImagesTrigger

pytestmark = pytest.mark.usefixtures("connections")


def submit(url: str, **arguments: Any) -> Pan123OfflineDownloadOperator:
    given: dict[str, Any] = {"pan123_conn_id": "callbacks", "poke_interval": 0.05, **arguments}
    return Pan123OfflineDownloadOperator(task_id="task", url=f"https://example.com/{url}", **given)


def deferred_by(task: Any, context: dict[str, Any]) -> TaskDeferred:
    with pytest.raises(TaskDeferred) as raised:
        task.execute(context)
    return raised.value


def submissions(sandbox: Sandbox) -> int:
    return int(sandbox.state()["counts"]["submissions"])


def test_the_operator_keeps_the_intent_and_then_the_task_id(
    golden: Any, context: dict[str, Any], account: Callable[[str], str]
) -> None:
    result = submit("submitted.jpg").execute(context)
    golden.check("operator_xcom", result)
    store = context["task_state_store"]
    assert store.written[-1][1]["submission"] == result
    for _, record in store.written:
        request = (account("main"), *(result[key] for key in ("url", "file_name", "directory_id")))
        assert record.pop("digest") == sha256(repr(request).encode()).hexdigest()
    golden.check("submission_records", store.written)


def test_a_retry_honours_a_golden_submission_record(
    golden: Any, sandbox: Sandbox, context: dict[str, Any], new_context: Callable[[], dict[str, Any]]
) -> None:
    first = submit("retried.jpg").execute(context)
    record = context["task_state_store"].get("pan123_submission")
    template = golden.load("submission_records")[-1][1]
    template["submission"] |= {key: first[key] for key in ("url", "file_name")}
    retry = new_context()
    retry["task_state_store"].set(
        "pan123_submission", {**golden.filled(template, record), "digest": record["digest"]}
    )
    before = submissions(sandbox)
    assert submit("retried.jpg").execute(retry) == first
    assert submissions(sandbox) == before


def test_the_waiting_operator_and_the_sensor_push_the_image(golden: Any, context: dict[str, Any]) -> None:
    result = submit("waited.jpg", wait_for_completion=True).execute(context)
    golden.check("waiting_operator_xcom", result)
    golden.check("waiting_operator_pushed", context["ti"].pushed)
    submission = {key: result[key] for key in golden.load("operator_xcom")}
    sensor = Pan123OfflineDownloadSensor(task_id="task", submission=submission, pan123_conn_id="callbacks")
    golden.check("sensor_xcom", sensor.execute(context))


def test_the_waiting_operator_defers_with_a_golden_trigger(golden: Any, context: dict[str, Any]) -> None:
    task = submit("held-operator.jpg", wait_for_completion=True, deferrable=True)
    deferred = deferred_by(task, context)
    golden.check(
        "operator_deferral",
        [deferred.trigger.serialize(), deferred.method_name, deferred.kwargs],
    )


def test_the_sensor_defers_with_a_golden_trigger(golden: Any, context: dict[str, Any]) -> None:
    submission = submit("held-sensor.jpg").execute(context)
    sensor = Pan123OfflineDownloadSensor(
        task_id="task",
        submission=submission,
        deferrable=True,
        pan123_conn_id="callbacks",
        poke_interval=7,
        exponential_backoff=True,
        max_wait=60,
        silent_fail=True,
    )
    deferred = deferred_by(sensor, context)
    golden.check("sensor_deferral", [deferred.trigger.serialize(), deferred.method_name, deferred.kwargs])


@pytest.mark.parametrize(
    "kind",
    [
        Pan123CopyFromDriveTrigger,
        Pan123ImageArrivalTrigger,
        Pan123OfflineDownloadTrigger,
        Pan123SyncImagesTrigger,
    ],
)
def test_a_trigger_serializes_the_arguments_that_it_was_given(golden: Any, kind: Any) -> None:
    name = f"trigger_{kind.__name__}"
    class_path, arguments = golden.load(name)
    golden.check(name, kind(**arguments).serialize())
    assert class_path == f"{kind.__module__}.{kind.__qualname__}"


def test_a_copy_from_the_drive_keeps_a_golden_record_and_defers_with_a_golden_trigger(
    golden: Any, sandbox: Sandbox, context: dict[str, Any]
) -> None:
    sandbox.configure(drive_files=[{"file_id": "1000", "filename": "a.png"}], copy_delay=3600)
    task = Pan123CopyFromDriveOperator(
        task_id="copy", file_ids=["1000"], directory="copies", deferrable=True, pan123_conn_id="callbacks"
    )
    deferred = deferred_by(task, context)
    key, record = context["task_state_store"].written[-1]
    assert len(record.pop("digest")) == 64
    golden.check("copy_record", [key, record])
    golden.check("copy_deferral", [deferred.trigger.serialize(), deferred.method_name, deferred.kwargs])


def test_triggers_send_golden_events(golden: Any, context: dict[str, Any]) -> None:
    submission = submit("fired.jpg").execute(context)
    failing = submit("broken-fired.jpg").execute(context)
    held = submit("held-fired.jpg").execute(context)

    def download(of: dict[str, Any], deadline: float, conn_id: str = "main") -> Any:
        arguments: dict[str, Any] = {"submission": of, "pan123_conn_id": conn_id, "poke_interval": 0.05}
        return Pan123OfflineDownloadTrigger(deadline=deadline, **arguments)

    later = time.time() + 60
    _, arguments = golden.load("trigger_Pan123SyncImagesTrigger")
    triggers = {
        "ended": download(submission, later),
        "failed": download(failing, later),
        "timeout": download(held, time.time()),
        "error": download(held, later, "missing"),
        "woken": Pan123SyncImagesTrigger(
            **arguments | {"pan123_conn_id": "main", "seed": None, "until": 0.0}
        ),
    }

    async def event(trigger: Any) -> Any:
        (found,) = [event async for event in trigger.run()]
        return found.payload

    async def events() -> list[Any]:
        found = await asyncio.gather(*map(event, triggers.values()))
        await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()}, return_exceptions=True)
        return found

    sent = dict(zip(triggers, asyncio.run(events()), strict=True))
    assert isinstance(sent["error"].pop("message"), str)
    golden.check("trigger_events", sent)


def test_golden_events_resume_the_operator_and_the_sensor(golden: Any, context: dict[str, Any]) -> None:
    event = golden.load("trigger_events")["ended"]
    event["outcome"]["taskID"] = 403316
    submission = {
        **golden.load("operator_xcom"),
        "taskID": 403316,
        "callback_id": "0" * 32,
        "submitted_at": "2026-01-01T00:00:00+00:00",
    }
    image = golden.load("sensor_xcom")
    sensor = Pan123OfflineDownloadSensor(task_id="task", submission=submission)
    assert sensor.execute_complete(context, event).keys() == image.keys()
    found = submit("fired.jpg").execute_complete(context, event, submission=submission)
    assert found.keys() == {*submission, *image}
