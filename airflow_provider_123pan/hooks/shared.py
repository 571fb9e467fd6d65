"""What the triggers of one event loop share for one connection's content."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

from airflow.sdk.exceptions import AirflowNotFoundException
from asgiref.sync import sync_to_async

from airflow_provider_123pan.hooks.pan123 import Pan123Hook, account_of, unknown_connection
from airflow_provider_123pan.hooks.settings import Settings
from airflow_provider_123pan.service.async_client import AsyncPan123Client
from airflow_provider_123pan.service.questions import Questions


@dataclass(frozen=True, slots=True)
class Shared:
    """One client, and one queue for questions about progress."""

    settings: Settings
    client: AsyncPan123Client
    questions: Questions


_shared: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Settings, asyncio.Future[Shared]]] = (
    WeakKeyDictionary()
)


async def shared(pan123_conn_id: str) -> Shared:
    """What is shared for a connection; one whose content changed begins anew."""
    try:
        connection = await Pan123Hook.aget_connection(pan123_conn_id)
    except AirflowNotFoundException:
        raise unknown_connection(pan123_conn_id) from None
    settings = Settings.of(connection)
    known = _shared.setdefault(asyncio.get_running_loop(), {})
    if settings not in known:
        known[settings] = asyncio.ensure_future(_make(settings))
    try:
        return await asyncio.shield(known[settings])
    except Exception:
        known.pop(settings, None)
        raise


async def _make(settings: Settings) -> Shared:
    tokens, throttle, rate = await in_thread(partial(account_of, settings))
    # Reading the certificates takes tens of milliseconds: not in the loop.
    client = await in_thread(partial(AsyncPan123Client, settings.endpoint, tokens, throttle, in_thread))
    return Shared(settings, client, Questions(throttle, found=rate.found))


async def in_thread(function: Callable[[], Any]) -> Any:
    """Call a blocking function. ``sync_to_async`` lets Airflow's SDK find its way back to the triggerer's loop; not
    its one common thread, which other triggers need while this call waits."""
    return await sync_to_async(function, thread_sensitive=False)()
