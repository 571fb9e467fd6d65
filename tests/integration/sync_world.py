"""Batches against the sandbox, with short waits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_123pan.operators.sync_images import Pan123SyncImagesOperator
from airflow_provider_123pan.sandbox import Sandbox
from tests.integration.modes import run


@pytest.fixture(autouse=True)
def short(set_timing: Callable[..., None]) -> None:
    set_timing(
        trigger_check=(0.3, 0.5),
        idle_before_deferral=0.5,
        recheck=1.0,
        silent=(1.0, 3.0),
        settling=0.5,
        skew=timedelta(seconds=2),
    )


def addresses(count: int, start: int = 0) -> list[str]:
    return [f"https://example.com/{number}.png" for number in range(start, start + count)]


def sync(context: dict[str, Any], **arguments: Any) -> dict[str, Any]:
    given: dict[str, Any] = {"directory": "photos/2026", "deferrable": False, "timeout": 60} | arguments
    result: dict[str, Any] = run(Pan123SyncImagesOperator(task_id="sync", **given), context)
    return result


def counts(result: dict[str, Any]) -> tuple[int, int, int]:
    return result["present"], result["migrated"], result["failed"]


def submitted(sandbox: Sandbox) -> Counter[str]:
    return Counter(task["url"] for task in sandbox.state(100_000)["tasks"])


def names(sandbox: Sandbox, directory: str = "2026") -> set[str]:
    return {
        file["filename"] for file in sandbox.state(100_000)["files"] if file["parentFilename"] == directory
    }
