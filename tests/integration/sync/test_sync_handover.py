"""What a worker leaves to the triggerer and to the next worker ends as it would have ended in one worker."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import TaskDeferred

from airflow_provider_123pan.exceptions import Pan123UnavailableError, Pan123WaitTimeoutError
from airflow_provider_123pan.operators.sync_images import Pan123SyncImagesOperator
from airflow_provider_123pan.sandbox import Sandbox
from airflow_provider_123pan.sync.results import read_results
from airflow_provider_123pan.sync.submitter import Submitter
from airflow_provider_123pan.triggers.sync_images import Pan123SyncImagesTrigger
from dev.waiting import wait_for
from tests.support import addresses, counts, sync

pytestmark = pytest.mark.usefixtures("connect")


def test_after_the_deadline_a_resumed_worker_still_finds_what_has_ended(
    context: dict[str, Any], sandbox: Sandbox, tmp_path: Path
) -> None:
    sandbox.configure(hold=".")
    results = str(tmp_path / "results.jsonl")
    given: Any = {"directory": "photos", "results": results, "deferrable": True, "timeout": 3600}
    operator = Pan123SyncImagesOperator(task_id="sync", images=addresses(6), **given)
    with pytest.raises(TaskDeferred) as deferred:
        operator.execute(context)  # type: ignore[arg-type]
    state = json.loads(json.dumps(deferred.value.kwargs))
    (checkpoint,) = (value for value in state.values() if isinstance(value, dict) and "deadline" in value)
    last_look = Pan123SyncImagesTrigger.timing.last_look
    assert deferred.value.trigger.until == pytest.approx(checkpoint["deadline"] - last_look)
    sandbox.configure(hold="/2.png")
    wait_for(lambda: len(sandbox.state()["files"]) == 5, what="five images", timeout=60)
    checkpoint["deadline"] = time.time() - 1
    state["event"] = {"status": "woken", "ended": []}
    with pytest.raises(Pan123WaitTimeoutError):
        operator.resume_execution(deferred.value.method_name, state, context)  # type: ignore[arg-type]
    statuses = {record.url: record.status for record in read_results(results)}
    assert statuses == dict.fromkeys(addresses(6), "migrated") | {addresses(6)[2]: "failed"}


def test_a_taskid_that_the_service_no_longer_knows_ends_its_image(
    context: dict[str, Any], sandbox: Sandbox, set_timing: Callable[..., None]
) -> None:
    set_timing(unknown_grace=0.0, unknown_recheck=1.0)
    unknown = {"path": "process$", "times": 1000, "body": {"code": 1, "message": "no task", "data": None}}
    sandbox.configure(stuck=".", answers=[unknown])
    result = sync(context, images=addresses(1), max_failures=1, deferrable=True)
    assert "does not know its taskID" in result["failures"][0]["reason"]


def test_an_image_without_a_url_ends(
    context: dict[str, Any], sandbox: Sandbox, set_timing: Callable[..., None]
) -> None:
    set_timing(visible_within=1.0, unknown_recheck=1.5)  # longer than an idle worker lives
    sandbox.configure(image_urls="nowhere")
    result = sync(context, images=addresses(2), max_failures=2, deferrable=True)
    assert {failure["reason"] for failure in result["failures"]} == {
        "123pan stored it, but gives no URL for it"
    }


def test_an_image_whose_submissions_are_lost_fails_alone(
    context: dict[str, Any], set_timing: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    create = Submitter._create

    def lose_one(self: Submitter, pending: Any, entry: Any) -> Any:
        if entry.url.endswith("/0.png"):
            raise Pan123UnavailableError("HTTP 504", call="create_offline_download", ambiguous=True)
        return create(self, pending, entry)

    monkeypatch.setattr(Submitter, "_create", lose_one)
    # No question to its source keeps the worker busy.
    set_timing(search=1.0, retry_for=60.0, resubmit_after=0.0)
    assert counts(sync(context, images=addresses(2), max_failures=1, deferrable=True)) == (0, 1, 1)
