"""Events of triggers: what a task receives is an outcome or an error, and a trigger always fires one event."""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import pytest
from airflow.triggers.base import BaseTrigger
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_123pan.download.events import from_event, to_event
from airflow_provider_123pan.download.timing import WaitTiming
from airflow_provider_123pan.download.wait import Outcome
from airflow_provider_123pan.exceptions import (
    Pan123Error,
    Pan123ServiceError,
    Pan123WaitError,
    Pan123WaitTimeoutError,
)
from airflow_provider_123pan.sync.timing import SyncTiming
from airflow_provider_123pan.triggers.offline_download import Pan123OfflineDownloadTrigger
from airflow_provider_123pan.triggers.sync_images import Pan123SyncImagesTrigger
from tests.fuzz.properties import run_properties, value_or_error
from tests.fuzz.submissions import SUBMISSION, xcoms
from tests.fuzz.values import DEEP_JSON, any_json, changed, texts

EXAMPLES = 2000

# No connection of type 123pan, so that a trigger with a valid submission fires an error, too.
CONNECTION = {"AIRFLOW_CONN_PAN123_FUZZ": '{"conn_type": "http"}'}
CONN_ID = "pan123_fuzz"

optional_texts = st.none() | texts
outcomes = st.builds(
    Outcome,
    taskID=st.none() | st.integers(),
    url=optional_texts,
    fileID=optional_texts,
    file_name=optional_texts,
    directory_id=optional_texts,
    download_url=optional_texts,
    user_url=optional_texts,
    etag=optional_texts,
    size=st.none() | st.integers(),
    matched_by=optional_texts,
    reason=optional_texts,
)
errors = st.builds(
    Pan123ServiceError, texts, call=optional_texts, code=st.none() | st.integers(), trace_id=optional_texts
)
near_events = (
    changed(to_event(Outcome(7, "https://example.com/a.jpg")))
    | changed(to_event(Pan123ServiceError("message", call="get_image", code=1, trace_id="trace")))
    | st.dictionaries(texts, any_json).map(lambda more: {**more, "status": "woken"})
)


@given(near_events | any_json)
@example({"status": "ended", "outcome": {"taskID": 7}})
@example({"status": "ended", "outcome": {"unknown": 7}})
@example({"status": "error", "retryable": 1, "message": "m", "facts": {}})
@example(DEEP_JSON)
def an_event_is_an_outcome_or_an_error(event: Any) -> None:
    value_or_error(lambda: from_event(event), Outcome)


@given(outcomes | errors | st.none())
def an_event_arrives_as_it_was_sent(end: Outcome | Pan123Error | None) -> None:
    event = json.loads(json.dumps(to_event(end)))
    if isinstance(end, Outcome):
        assert from_event(event, end.url) == end
    elif end is None:
        with pytest.raises(Pan123WaitTimeoutError):
            from_event(event)
    else:
        with pytest.raises(Pan123WaitError) as raised:
            from_event(event)
        assert raised.value.description == end.description


class _Single(Pan123OfflineDownloadTrigger):
    timing = WaitTiming(min_to_event=0.0)


class _Batch(Pan123SyncImagesTrigger):
    timing = replace(SyncTiming(), wait=WaitTiming(min_to_event=0.0))


def fired(trigger: BaseTrigger) -> dict[str, Any]:
    """Return the content of the one event of a trigger, as the task receives it."""

    async def run() -> list[Any]:
        return [event.payload async for event in trigger.run()]

    with patch.dict(os.environ, CONNECTION):
        (event,) = asyncio.run(run())
    received: dict[str, Any] = json.loads(json.dumps(event))
    return received


@given(xcoms)
@example([SUBMISSION, SUBMISSION])
@example({**SUBMISSION, "callback_id": "0" * 31 + "G"})
def a_trigger_fires_for_any_submission(submission: Any) -> None:
    event = fired(_Single(submission=submission, pan123_conn_id=CONN_ID, deadline=0.0, poke_interval=1.0))
    assert value_or_error(lambda: from_event(event), Outcome) is None


@given(st.dictionaries(texts, any_json | st.lists(any_json)), optional_texts, texts)
def a_trigger_fires_for_any_images_in_flight(active: dict[str, Any], seed: str | None, since: str) -> None:
    trigger = _Batch(
        pan123_conn_id=CONN_ID, directory_id=None, active=active, seed=seed, since=since, want=1, until=0.0
    )
    assert value_or_error(lambda: from_event(fired(trigger)), Outcome) is None


def fuzz(examples: int, seed: int) -> str:
    """Check the properties."""
    return run_properties(
        (
            an_event_is_an_outcome_or_an_error,
            an_event_arrives_as_it_was_sent,
            a_trigger_fires_for_any_submission,
            a_trigger_fires_for_any_images_in_flight,
        ),
        examples,
        seed,
    )
