"""Clients that hang up or stop sending, as the receiver sees them through its server's interface."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest
from fastapi import FastAPI

from airflow_provider_123pan.callbacks.address import make_callback_url, make_read_token, new_callback_id
from airflow_provider_123pan.callbacks.delivery import DeliveryStatus
from airflow_provider_123pan.receiver.app import create_app
from airflow_provider_123pan.receiver.database import create_inbox_engine
from airflow_provider_123pan.receiver.inbox import Inbox
from airflow_provider_123pan.receiver.lifecycle import ReceiverTiming
from airflow_provider_123pan.receiver.reader import ReaderTiming
from tests.integration.receiver.support import CONN_ID, DAY_SECONDS, KEYS, Keys


@dataclass
class Client:
    """A client that sends the given parts, and then nothing until it hangs up.

    :ivar silent: set when the receiver waits for more.
    """

    parts: list[dict[str, Any]]
    silent: asyncio.Event = field(default_factory=asyncio.Event)
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    statuses: list[int] = field(default_factory=list)

    async def receive(self) -> dict[str, Any]:
        if self.parts:
            return {"type": "http.request", **self.parts.pop(0)}
        self.silent.set()
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.statuses.append(message["status"])

    async def request(self, app: FastAPI, path: str, token: str = "") -> None:
        headers = [(b"authorization", f"Bearer {token}".encode())]
        scope = {
            "type": "http",
            "method": "POST",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": headers,
        }
        await app(scope, self.receive, self.send)


@asynccontextmanager
async def running_app(uri: str, timing: ReceiverTiming) -> AsyncIterator[FastAPI]:
    """Run the receiver's app in this event loop."""
    app = create_app(lambda: create_inbox_engine(uri), Keys(), 30 * DAY_SECONDS, mounted=False, timing=timing)
    async with app.router.lifespan_context(app):
        yield app


def poll_of(epoch: str | None, after: int | None, timeout: float = 25) -> Client:
    """Return a client that makes a long poll."""
    query = {"epoch": epoch, "after": after, "timeout": timeout}
    return Client([{"body": json.dumps(query).encode()}])


async def test_a_long_poll_ends_when_its_client_hangs_up(sqlite: str) -> None:
    timing = ReceiverTiming(reader=ReaderTiming(check=1e6, max_open_polls=1))
    async with running_app(sqlite, timing) as app:
        token = make_read_token(CONN_ID, KEYS)
        state = Inbox(lambda: create_inbox_engine(sqlite)).state()
        first, second, third = (poll_of(*state) for _ in range(3))
        polling = asyncio.create_task(first.request(app, "/pan123/inbox/poll", token))
        await first.silent.wait()
        await second.request(app, "/pan123/inbox/poll", token)
        assert second.statuses == [503]
        first.gone.set()
        await polling
        assert first.statuses != [200]  # or it would have waited for its time-out
        third.gone.set()
        await third.request(app, "/pan123/inbox/poll", token)
        assert third.statuses == [404]  # it had a place, and hung up as well


@pytest.mark.parametrize("parts", [[], [{"body": b'{"status": 1, "fail', "more_body": True}]])
async def test_a_delivery_that_stops_arriving_still_wakes_its_wait(
    sqlite: str, parts: list[dict[str, Any]]
) -> None:
    async with running_app(sqlite, ReceiverTiming(body=0.05)) as app:
        callback_id = new_callback_id()
        path = urlsplit(make_callback_url("http://localhost", CONN_ID, callback_id, KEYS)).path
        client = Client(list(parts))
        await client.request(app, path)
        assert client.statuses == [200]
        (stored,) = Inbox(lambda: create_inbox_engine(sqlite)).lookup(CONN_ID, [callback_id])
        assert stored.delivery.status is DeliveryStatus.WOKEN


async def test_a_query_that_stops_arriving_is_rejected(sqlite: str) -> None:
    async with running_app(sqlite, ReceiverTiming(body=0.05)) as app:
        for route in ("poll", "lookup"):
            client = Client([{"body": b"{", "more_body": True}])
            await client.request(app, f"/pan123/inbox/{route}", make_read_token(CONN_ID, KEYS))
            assert client.statuses == [404]


async def test_a_client_that_hangs_up_while_it_sends_delivers_nothing(sqlite: str) -> None:
    async with running_app(sqlite, ReceiverTiming()) as app:
        callback_id = new_callback_id()
        path = urlsplit(make_callback_url("http://localhost", CONN_ID, callback_id, KEYS)).path
        client = Client([{"body": b'{"status": 1, "fail', "more_body": True}])
        client.gone.set()
        await client.request(app, path)
        assert client.statuses == [404]
        assert Inbox(lambda: create_inbox_engine(sqlite)).lookup(CONN_ID, [callback_id]) == []
