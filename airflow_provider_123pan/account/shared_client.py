"""What the triggers of one event loop share for one connection's content."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException
from asgiref.sync import sync_to_async

from airflow_provider_123pan.account.account import account_of
from airflow_provider_123pan.account.connection import ConnectionSettings, unknown_connection
from airflow_provider_123pan.service.async_client import AsyncPan123Client
from airflow_provider_123pan.service.progress_queue import ProgressQueue

#: Requests a second. Callbacks may come for many waits at once; should it be too much, a question or two is refused.
TRIGGERERS_FIRST_RATE = 8.0


@dataclass(eq=False, slots=True)
class SharedClient:
    """One client, and one queue for questions about progress.

    :ivar users: how many triggers hold this; the last one to leave closes it.
    """

    settings: ConnectionSettings
    client: AsyncPan123Client
    queue: ProgressQueue
    users: int = 0


class _LoopClients:
    """What an event loop knows: the look-ups under way, and what is shared for each content."""

    def __init__(self) -> None:
        self.looking: dict[str, asyncio.Task[SharedClient]] = {}
        self.shared: dict[ConnectionSettings, SharedClient] = {}


_known: WeakKeyDictionary[asyncio.AbstractEventLoop, _LoopClients] = WeakKeyDictionary()


async def acquire(pan123_conn_id: str) -> SharedClient:
    """What is shared for a connection, until :func:`leave`; one whose content changed begins anew.

    Thousands of triggers start at once when a triggerer does: they share one look-up.
    """
    known = _known.setdefault(asyncio.get_running_loop(), _LoopClients())
    while True:
        if (looking := known.looking.get(pan123_conn_id)) is None:
            looking = known.looking[pan123_conn_id] = asyncio.create_task(_look_up(pan123_conn_id, known))
            looking.add_done_callback(lambda _: known.looking.pop(pan123_conn_id))
        found = await asyncio.shield(looking)
        if known.shared.get(found.settings) is found:  # else its last user has left meanwhile
            found.users += 1
            return found


async def release(shared: SharedClient) -> None:
    """What was joined is not needed any more."""
    shared.users -= 1
    if not shared.users:
        known = _known[asyncio.get_running_loop()]
        if known.shared.get(shared.settings) is shared:
            del known.shared[shared.settings]
        await shared.client.aclose()


async def _look_up(pan123_conn_id: str, known: _LoopClients) -> SharedClient:
    try:
        connection = await BaseHook.aget_connection(pan123_conn_id)
    except AirflowNotFoundException:
        raise unknown_connection(pan123_conn_id) from None
    settings = ConnectionSettings.of(connection)
    if settings not in known.shared:
        known.shared[settings] = await _make(settings)
    return known.shared[settings]


async def _make(settings: ConnectionSettings) -> SharedClient:
    tokens, throttle, rate = await in_thread(partial(account_of, settings, TRIGGERERS_FIRST_RATE))
    # Reading the certificates takes tens of milliseconds: not in the loop.
    client = await in_thread(partial(AsyncPan123Client, settings.endpoint, tokens, throttle, in_thread))
    return SharedClient(settings, client, ProgressQueue(throttle, found=rate.found))


async def in_thread(function: Callable[[], Any]) -> Any:
    """Call a blocking function. ``sync_to_async`` lets Airflow's SDK find its way back to the triggerer's loop; not
    its one common thread, which other triggers need while this call waits."""
    return await sync_to_async(function, thread_sensitive=False)()
