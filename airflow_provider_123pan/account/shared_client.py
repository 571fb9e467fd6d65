"""The client that all triggers of one event loop share for one connection."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

from airflow.sdk import BaseHook, Connection
from airflow.sdk.exceptions import AirflowNotFoundException
from asgiref.sync import sync_to_async

from airflow_provider_123pan.account.account import account_of
from airflow_provider_123pan.account.connection import ConnectionSettings, unknown_connection
from airflow_provider_123pan.service.async_client import AsyncPan123Client
from airflow_provider_123pan.service.progress_queue import ProgressQueue

#: Requests per second with which a triggerer begins. Callbacks for many waits may arrive at once; if this rate is too
#: high, the service refuses one or two polls.
TRIGGERERS_FIRST_RATE = 8.0
#: Seconds before each new attempt to read a connection that Airflow does not find: Airflow says the same when a secrets
#: backend or the API server does not answer.
CONNECTION_PAUSES = (1.0, 2.0, 4.0, 8.0)

log = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class SharedClient:
    """A connection's settings, its client, and the queue of its polls.

    :ivar users: number of triggers that use this object; the last one closes the client.
    """

    settings: ConnectionSettings
    client: AsyncPan123Client
    queue: ProgressQueue
    users: int = 0


def shared_client(pan123_conn_id: str) -> AbstractAsyncContextManager[SharedClient]:
    """Share a connection's client within ``async with``.

    If the connection's content has changed, a new client is made, while earlier users keep the old one.

    :param pan123_conn_id: the connection.
    """
    return _Lease(pan123_conn_id)


class _Lease:
    """One use of a shared client.

    A class with slots needs less memory than ``asynccontextmanager``, and thousands of triggers wait within it.
    """

    __slots__ = ("_conn_id", "_shared")

    def __init__(self, pan123_conn_id: str) -> None:
        self._conn_id = pan123_conn_id
        self._shared: SharedClient | None = None

    async def __aenter__(self) -> SharedClient:
        self._shared = await _acquire(self._conn_id)
        return self._shared

    async def __aexit__(self, *_: object) -> None:
        if self._shared is not None:
            await _release(self._shared)


class _LoopClients:
    """The clients of one event loop.

    :ivar lookups: running look-ups of connections, by connection id.
    :ivar shared: clients in use, by the content of their connection.
    """

    def __init__(self) -> None:
        self.lookups: dict[str, asyncio.Task[SharedClient]] = {}
        self.shared: dict[ConnectionSettings, SharedClient] = {}


_loops: WeakKeyDictionary[asyncio.AbstractEventLoop, _LoopClients] = WeakKeyDictionary()


async def _acquire(pan123_conn_id: str) -> SharedClient:
    clients = _loops.setdefault(asyncio.get_running_loop(), _LoopClients())
    while True:
        # Thousands of triggers start together with the triggerer: they share one look-up.
        if (lookup := clients.lookups.get(pan123_conn_id)) is None:
            lookup = clients.lookups[pan123_conn_id] = asyncio.create_task(_look_up(pan123_conn_id, clients))
            lookup.add_done_callback(lambda _: clients.lookups.pop(pan123_conn_id))
        shared = await asyncio.shield(lookup)
        if clients.shared.get(shared.settings) is shared:  # else its last user has closed it meanwhile
            shared.users += 1
            return shared


async def _release(shared: SharedClient) -> None:
    shared.users -= 1
    if not shared.users:
        clients = _loops[asyncio.get_running_loop()]
        if clients.shared.get(shared.settings) is shared:
            del clients.shared[shared.settings]
        await shared.client.aclose()


async def _look_up(pan123_conn_id: str, clients: _LoopClients) -> SharedClient:
    settings = ConnectionSettings.of(await _read_connection(pan123_conn_id))
    if settings not in clients.shared:
        clients.shared[settings] = await _make(settings)
    return clients.shared[settings]


async def _read_connection(pan123_conn_id: str) -> Connection:
    """Return a connection, trying again if Airflow does not find it: a worker found it, and an error ends all waits."""
    for pause in CONNECTION_PAUSES:
        try:
            return await BaseHook.aget_connection(pan123_conn_id)
        except AirflowNotFoundException:
            log.warning(
                "Airflow does not find the connection %r; trying again in %g s", pan123_conn_id, pause
            )
        await asyncio.sleep(pause)
    try:
        return await BaseHook.aget_connection(pan123_conn_id)
    except AirflowNotFoundException:
        raise unknown_connection(pan123_conn_id) from None


async def _make(settings: ConnectionSettings) -> SharedClient:
    tokens, throttle, rate = await _in_thread(partial(account_of, settings, TRIGGERERS_FIRST_RATE))
    # In a thread, since reading the certificates takes tens of milliseconds.
    client = await _in_thread(partial(AsyncPan123Client, settings.endpoint, tokens, throttle, _in_thread))
    return SharedClient(settings, client, ProgressQueue(throttle, found=rate.found))


async def _in_thread(function: Callable[[], Any]) -> Any:
    """Call a blocking function in a thread.

    ``sync_to_async`` lets Airflow's SDK find the triggerer's event loop. With ``thread_sensitive`` the call would
    block the one thread that all triggers share.
    """
    return await sync_to_async(function, thread_sensitive=False)()
