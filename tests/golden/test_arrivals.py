"""What a watch stores and reports."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from typing import Any

import pytest

from airflow_provider_123pan.arrivals.cursor import Cursor, key_of
from airflow_provider_123pan.arrivals.cursor_store import cursor_name
from airflow_provider_123pan.hooks.pan123 import Pan123Hook
from airflow_provider_123pan.triggers.image_arrivals import Pan123ImageArrivalTrigger
from tests.support import image


def test_a_watch_keeps_a_golden_cursor(golden: Any) -> None:
    key = key_of(image(file_id="yk6baz03t0l000d7w33fbyq51l4izkne", etag="0cc175b9c0f1b6a831c399e269772661"))
    golden.check("arrivals_cursor", Cursor(1_800_000_000, [key]).dump())
    assert Cursor.load(golden.load("arrivals_cursor")).knows(key)


def test_the_name_of_a_cursor_is_golden(golden: Any) -> None:
    watched = (("pan123_default", None, None), ("c", "id", None), ("c", None, "photos/2026"))
    golden.check("arrivals_names", {json.dumps(what): cursor_name(*what) for what in watched})


@pytest.mark.usefixtures("connections")
def test_a_watch_sends_golden_payloads(golden: Any) -> None:
    hook = Pan123Hook("main")
    directory_id = hook.make_directory("golden arrivals").directory_id
    hook.create_offline_download("https://example.com/arrival.jpg", "arrival.jpg", directory_id)

    async def first() -> Any:
        trigger = Pan123ImageArrivalTrigger(
            directory_id=directory_id, poke_interval=0.1, pan123_conn_id="main"
        )
        async with aclosing(trigger.run()) as events:
            return (await anext(events)).payload

    golden.check("arrival_event", asyncio.run(first()))
