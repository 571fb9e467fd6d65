"""The app that receives the service's callbacks, and lets workers and triggerers read them.

* ``POST …/callbacks/<token>``: a delivery; 200 once it is committed. Any method but HEAD and OPTIONS, and any body,
  counts if the URL is valid: what is not understood still wakes the wait.
* ``POST …/inbox/poll`` and ``…/inbox/lookup``: read deliveries, with ``Authorization: Bearer <read token>``.
* ``GET …/health``: whether the inbox is available, and how many connections can receive callbacks.

Every rejected request gets an identical 404, as early as possible. A request that cannot be checked or served now gets
a 503 with ``Retry-After``.
"""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Annotated, Any, TypeVar

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field, StringConstraints
from sqlalchemy.engine import Engine
from starlette.types import Receive, Scope, Send

from airflow_provider_123pan.callbacks.address import (
    claimed_connection_id,
    verify_callback_token,
    verify_read_token,
)
from airflow_provider_123pan.callbacks.contract import MARKER, MAX_ITEMS, MAX_POLL_SECONDS
from airflow_provider_123pan.callbacks.delivery import Delivery
from airflow_provider_123pan.receiver import metrics
from airflow_provider_123pan.receiver.inbox import Inbox, StoreResult
from airflow_provider_123pan.receiver.keyring import KeySource
from airflow_provider_123pan.receiver.lifecycle import Lifecycle, ReceiverTiming
from airflow_provider_123pan.receiver.masking import mask_scope
from airflow_provider_123pan.receiver.reader import DeliveryPage
from airflow_provider_123pan.receiver.time_limit import TimeLimit
from airflow_provider_123pan.receiver.writer import UnavailableError

log = logging.getLogger(__name__)

MAX_BODY_BYTES = 16 * 1024  # of a delivery
MAX_QUERY_BYTES = 64 * 1024  # of a request to read: a thousand callback_ids take 36 KB

_CALLBACKS = "/callbacks/"
_RETRY_AFTER_SECONDS = "5"
_Result = TypeVar("_Result")


class _PollQuery(BaseModel):
    epoch: str | None = None
    after: int | None = Field(None, ge=0, lt=2**63)
    timeout: float = Field(MAX_POLL_SECONDS, ge=0, le=MAX_POLL_SECONDS)
    limit: int = Field(MAX_ITEMS, ge=1, le=MAX_ITEMS)


class _LookupQuery(BaseModel):
    callback_ids: list[Annotated[str, StringConstraints(pattern="^[0-9a-f]{32}$")]] = Field(
        max_length=MAX_ITEMS
    )


class RefusedError(Exception):
    """A request that gets the 404 of all rejected requests."""


def create_app(
    connect: Callable[[], Engine],
    source: KeySource,
    retention: float,
    *,
    prefix: str = "/pan123",
    mounted: bool = True,
    timing: ReceiverTiming | None = None,
) -> FastAPI:
    """Return the receiver's app.

    :param connect: makes the engine of the inbox's database.
    :param source: provides the connections' keys.
    :param retention: seconds for which a callback URL is valid, and deliveries are kept.
    :param prefix: the path of the routes if the app is not mounted there.
    :param mounted: whether the app is a part of Airflow's API server.
    """
    durations = timing or ReceiverTiming()

    def make() -> Lifecycle:
        return Lifecycle(Inbox(connect), source, retention, durations)

    return _App(Receiver(make, retention, prefix, mounted, TimeLimit(durations.body)))


class _App(FastAPI):
    """FastAPI's lifespan, which Airflow requires, around routes without FastAPI's dozen layers.

    A delivery waits for its commit. What waits with it in each layer costs the garbage collector more than everything
    else costs together.
    """

    def __init__(self, receiver: Receiver) -> None:
        super().__init__(lifespan=receiver.lifespan)
        self._receiver = receiver

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            response = await self._receiver.answer(Request(scope, receive))
            mask_scope(scope)
            await response(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


class Receiver:
    """The routes.

    :param make: makes the parts behind the routes, in the event loop that runs them.
    :param body_limit: of reading a body.
    """

    def __init__(
        self,
        make: Callable[[], Lifecycle],
        retention: float,
        prefix: str,
        mounted: bool,
        body_limit: TimeLimit,
    ) -> None:
        self._make = make
        self._retention = retention
        self._prefix = prefix
        self._mounted = mounted
        self._body_limit = body_limit
        self._runtime: Lifecycle | None = None

    @asynccontextmanager
    async def lifespan(self, app: FastAPI) -> AsyncIterator[None]:
        """Start and stop the parts behind the routes; never raise, which would stop Airflow's API server."""
        await asyncio.to_thread(metrics.start, self._mounted)
        runtime = self._runtime = self._make()
        await runtime.start()
        if not self._mounted:
            # Otherwise every full garbage collection would traverse all imported modules of Airflow.
            gc.freeze()
        yield
        self._runtime = None
        await runtime.stop()

    async def answer(self, request: Request) -> Response:
        """Answer any request, without details about a rejection or an error."""
        scope = request.scope
        path = scope["path"].removeprefix(scope.get("root_path", "")).removeprefix(self._prefix)
        try:
            if path.startswith(_CALLBACKS):
                return await self._deliver(request, path.removeprefix(_CALLBACKS))
            route = {
                ("POST", "/inbox/poll"): self._poll,
                ("POST", "/inbox/lookup"): self._lookup,
                ("GET", "/health"): self._health,
            }.get((request.method, path))
            if route:
                return await route(request)
        except RefusedError:
            if path.startswith(_CALLBACKS):
                metrics.count("refused")
        except UnavailableError:
            return _unavailable()
        except Exception:
            log.exception("A request failed with an unexpected error; the client got a 503")
            return _unavailable()
        return JSONResponse({"detail": "Not Found"}, status_code=404)

    async def _deliver(self, request: Request, token: str) -> Response:
        conn_id = claimed_connection_id(token)
        if conn_id is None or request.method in ("HEAD", "OPTIONS"):
            raise RefusedError
        runtime = self._running()
        callback_id = await runtime.keyring.verify(
            conn_id, lambda keys: verify_callback_token(token, keys, self._retention)
        )
        if callback_id is None:
            raise RefusedError
        delivery = Delivery.parse(
            callback_id,
            await self._body(request, MAX_BODY_BYTES) or b"",
            request.headers.get("content-type", ""),
            request.url.query,
        )
        if await self._ready().writer.store(conn_id, delivery) is StoreResult.REFUSED:
            raise RefusedError
        return JSONResponse({"code": 0, "message": "ok"})

    async def _poll(self, request: Request) -> Response:
        conn_id = await self._reader_of(request)
        query = _parsed(_PollQuery, await self._body(request, MAX_QUERY_BYTES))
        poll = self._ready().reader.poll(
            conn_id,
            "" if query.after is None else query.epoch or "",
            query.after or 0,
            query.limit,
            query.timeout,
        )
        return _page(await _while_connected(request, poll))

    async def _lookup(self, request: Request) -> Response:
        conn_id = await self._reader_of(request)
        query = _parsed(_LookupQuery, await self._body(request, MAX_QUERY_BYTES))
        return _page(await self._ready().reader.lookup(conn_id, query.callback_ids))

    async def _health(self, request: Request) -> Response:
        runtime = self._running()
        ready = await runtime.is_healthy()
        return JSONResponse(
            {"inbox": "ready" if ready else "unavailable", "connections": runtime.keyring.usable},
            status_code=200 if ready else 503,
        )

    async def _body(self, request: Request, max_bytes: int) -> bytes | None:
        """Return the body, or None if it is too long or takes too long to arrive."""
        try:
            return await self._body_limit.run(_read(request, max_bytes))
        except TimeoutError:
            return None

    async def _reader_of(self, request: Request) -> str:
        """Return the id of the connection whose deliveries a request may read."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        conn_id = claimed_connection_id(token)
        if scheme.lower() != "bearer" or conn_id is None:
            raise RefusedError
        if not await self._running().keyring.verify(
            conn_id, lambda keys: verify_read_token(token, keys) or None
        ):
            raise RefusedError
        return conn_id

    def _running(self) -> Lifecycle:
        if self._runtime is None:
            raise UnavailableError
        return self._runtime

    def _ready(self) -> Lifecycle:
        runtime = self._running()
        if not runtime.ready:
            raise UnavailableError
        return runtime


def _unavailable() -> Response:
    return JSONResponse(
        {"detail": "Service Unavailable"}, status_code=503, headers={"Retry-After": _RETRY_AFTER_SECONDS}
    )


async def _read(request: Request, max_bytes: int) -> bytes | None:
    """Return the body, or None as soon as more than ``max_bytes`` have arrived."""
    body, more = b"", True
    while more:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise RefusedError
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > max_bytes:
            return None
    return body


async def _while_connected(request: Request, work: Coroutine[Any, Any, _Result]) -> _Result:
    """Return the result of some work, or cancel it when the client hangs up.

    :param request: its body has been read.
    """
    working = asyncio.ensure_future(work)
    waiting = asyncio.ensure_future(request.receive())
    try:
        await asyncio.wait({working, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise RefusedError
    finally:
        for task in (working, waiting):
            task.cancel()
        await asyncio.gather(working, waiting, return_exceptions=True)


def _parsed(model: type[Any], body: bytes | None) -> Any:
    if body is None:
        raise RefusedError
    try:
        return model.model_validate_json(body)
    except ValueError:
        raise RefusedError from None


def _page(page: DeliveryPage) -> Response:
    deliveries = [{"seq": seq, **delivery.as_dict()} for seq, delivery in page.deliveries]
    return JSONResponse(
        {"epoch": page.epoch, "last": page.last, "deliveries": deliveries}, headers={MARKER: "1"}
    )
