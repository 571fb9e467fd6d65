"""Hundreds of waits share one follower, and a malformed submission among them costs no other wait its callback."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest
from airflow.triggers.base import BaseTrigger

from airflow_provider_123pan.callbacks.address import make_callback_url, new_callback_id, secret_keys
from airflow_provider_123pan.hooks.pan123 import Pan123Hook
from airflow_provider_123pan.sandbox import Sandbox
from airflow_provider_123pan.triggers.offline_download import Pan123OfflineDownloadTrigger
from tests.integration.receiver.support import until

WAITS, MALFORMED = 300, 150
HANGS_AFTER_SECONDS = 240
CONN_ID = "pan123_default"


async def event_of(trigger: BaseTrigger) -> Any:
    """Return the content of the one event of a trigger."""
    (event,) = [event.payload async for event in trigger.run()]
    return event


async def events_of(triggers: list[BaseTrigger]) -> list[Any]:
    """Run all triggers in one loop, as a triggerer does."""
    return await asyncio.wait_for(asyncio.gather(*map(event_of, triggers)), HANGS_AFTER_SECONDS)


def test_a_malformed_submission_among_hundreds_fails_alone(
    receiver: str,
    connect: Callable[..., None],
    sandbox: Sandbox,
    set_timing: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connect(extra={"callback_base_url": receiver})
    monkeypatch.setenv("AIRFLOW__PAN123__INBOX_URL", receiver)
    set_timing(fallback_poll=(10_000.0, 10_000.0))  # only a delivery wakes a wait
    sandbox.configure(delay=0)
    keys = secret_keys(sandbox.client_secret, None)
    submissions = []
    hook = Pan123Hook(CONN_ID)
    for number in range(WAITS):
        url, name, callback_id = f"https://example.com/{number}.png", f"{number}.png", new_callback_id()
        callback_url = make_callback_url(receiver, CONN_ID, callback_id, keys)
        task = hook.create_offline_download(url, name, callback_url=callback_url)
        submissions.append(
            {
                "taskID": task.taskID,
                "url": url,
                "file_name": name,
                "callback_id": callback_id,
                "submitted_at": task.seen_at.isoformat(),
            }
        )
    # All deliveries are stored before the waits begin, so the waits depend on the look-up of their callback ids.
    until(lambda: sandbox.state()["counts"]["callbacks"] == WAITS)
    submissions[MALFORMED]["callback_id"] = "g" * 32
    triggers = [
        Pan123OfflineDownloadTrigger(
            submission=submission, pan123_conn_id=CONN_ID, deadline=time.time() + 86_400, poke_interval=1000
        )
        for submission in submissions
    ]
    events = asyncio.run(events_of(triggers))
    error = events.pop(MALFORMED)
    assert (error["status"], error["retryable"]) == ("error", False)
    assert error["message"].startswith("submission: callback_id is not 32 lower-case hex digits")
    del submissions[MALFORMED]
    assert [(event["status"], event["outcome"]["url"]) for event in events] == [
        ("ended", submission["url"]) for submission in submissions
    ]
    assert len({event["outcome"]["fileID"] for event in events}) == WAITS - 1
