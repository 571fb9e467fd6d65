"""Which errors end a sync's wait in the triggerer."""

from __future__ import annotations

import time
from datetime import datetime, timezone
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_123pan.exceptions import (
    Pan123AccessTokenError,
    Pan123CredentialsError,
    Pan123Error,
    Pan123RedirectError,
)
from airflow_provider_123pan.triggers.sync_images import Pan123SyncImagesTrigger, _Check


def checking(*errors: Pan123Error | None) -> _Check:
    """Return checks that list a directory, of which each listing fails with the next of these errors."""
    left = iter(errors)

    async def run(_: Any) -> int:
        if error := next(left):
            raise error
        return 0

    async def enqueue(_: float) -> None:
        pass

    trigger = Pan123SyncImagesTrigger(
        pan123_conn_id="pan123_default",
        active={"a": [None, 0, False]},
        directory_id="d",
        since=datetime.now(timezone.utc).isoformat(),
        seed=None,
        want=1,
        until=time.time() + 3600,
    )
    client = SimpleNamespace(run=run, throttle=SimpleNamespace(rate=1.0))
    return _Check(trigger, SimpleNamespace(client=client, queue=SimpleNamespace(enqueue=enqueue)))  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", [Pan123RedirectError, Pan123AccessTokenError])
async def test_an_error_that_no_retry_fixes_ends_the_wait_only_if_it_stays(kind: type[Pan123Error]) -> None:
    check = checking(kind("1"), None, kind("2"), kind("3"))
    for _ in range(3):
        assert not await check.check()
    with pytest.raises(kind, match="3"):
        await check.check()


async def test_wrong_credentials_end_the_wait_at_once() -> None:
    with pytest.raises(Pan123CredentialsError):
        await checking(Pan123CredentialsError("wrong")).check()
