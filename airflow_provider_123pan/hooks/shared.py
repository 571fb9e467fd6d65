"""One async client per event loop and connection's content, shared by all triggers of a triggerer process."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

from airflow.sdk.exceptions import AirflowNotFoundException
from asgiref.sync import sync_to_async

from airflow_provider_123pan.hooks.pan123 import Pan123Hook, account_of, unknown_connection
from airflow_provider_123pan.hooks.settings import Settings
from airflow_provider_123pan.service.async_client import AsyncPan123Client

_clients: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Settings, asyncio.Future[AsyncPan123Client]]] = (
    WeakKeyDictionary()
)


async def async_client(pan123_conn_id: str) -> AsyncPan123Client:
    """The client for a connection; a connection that was changed gets a new one."""
    try:
        connection = await Pan123Hook.aget_connection(pan123_conn_id)
    except AirflowNotFoundException:
        raise unknown_connection(pan123_conn_id) from None
    settings = Settings.of(connection)
    clients = _clients.setdefault(asyncio.get_running_loop(), {})
    if settings not in clients:
        clients[settings] = asyncio.ensure_future(_make(settings))
    try:
        return await asyncio.shield(clients[settings])
    except Exception:
        clients.pop(settings, None)
        raise


async def _make(settings: Settings) -> AsyncPan123Client:
    tokens, throttle, _ = await in_thread(partial(account_of, settings))
    # Reading the certificates takes tens of milliseconds: not in the loop.
    client: AsyncPan123Client = await in_thread(
        partial(AsyncPan123Client, settings.endpoint, tokens, throttle, in_thread)
    )
    return client


async def in_thread(function: Any) -> Any:
    """Call a blocking function. ``sync_to_async`` lets Airflow's SDK find its way back to the triggerer's loop; not
    its one common thread, which other triggers need while this call waits."""
    return await sync_to_async(function, thread_sensitive=False)()
