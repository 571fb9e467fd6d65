"""The app that takes the service's callbacks, and lets triggerers read them.

* ``POST …/callbacks/<token>``: a delivery; 200 once it is committed.
* ``POST …/inbox/poll`` and ``…/inbox/lookup``: read, with ``Authorization: Bearer <read token>``.
* ``GET …/health``: what works.

Whatever is refused, for whatever reason, gets one and the same 404, as early as it can be known. What cannot be served
now gets a 503 with ``Retry-After``; nothing else goes wrong.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field, StringConstraints
from sqlalchemy.engine import Engine
from starlette.types import ASGIApp, Receive, Scope, Send

from airflow_provider_123pan.callbacks import metrics
from airflow_provider_123pan.callbacks.address import check, check_read_token, peek
from airflow_provider_123pan.callbacks.delivery import Delivery
from airflow_provider_123pan.callbacks.inbox import Inbox, Stored
from airflow_provider_123pan.callbacks.keys import Source
from airflow_provider_123pan.callbacks.reader import Page
from airflow_provider_123pan.callbacks.runtime import Runtime
from airflow_provider_123pan.callbacks.writer import UnavailableError

log = logging.getLogger(__name__)

MARKER = "X-Pan123-Inbox"
MOST_BODY = 16 * 1024  # bytes of a delivery
MOST_QUESTION = 64 * 1024  # bytes: a thousand callback_ids and then some
MOST_ITEMS = 1000
MOST_SECONDS = 25.0  # of a long poll: below the usual 30 s of proxies and of a graceful shutdown

_CALLBACKS = "/callbacks/"
_BODY_SECONDS = 10.0
_RETRY_AFTER = "5"


class _PollQuestion(BaseModel):
    epoch: str | None = None
    after: int | None = Field(None, ge=0, lt=2**63)
    timeout: float = Field(MOST_SECONDS, ge=0, le=MOST_SECONDS)
    limit: int = Field(MOST_ITEMS, ge=1, le=MOST_ITEMS)


class _LookupQuestion(BaseModel):
    callback_ids: list[Annotated[str, StringConstraints(pattern="^[0-9a-f]{32}$")]] = Field(
        max_length=MOST_ITEMS
    )


class RefusedError(Exception):
    """This request gets the same answer as every other one that is refused."""


def create_app(
    connect: Callable[[], Engine], source: Source, retention: float, *, prefix: str = "", mounted: bool = True
) -> FastAPI:
    """The receiver.

    :param connect: makes the engine of the inbox's database.
    :param source: knows the connections' keys.
    :param retention: seconds for which an address is valid, and deliveries are kept.
    :param prefix: path under which it answers, where it is not mounted under one.
    :param mounted: whether this is a part of Airflow's API server.
    """
    receiver = Receiver(lambda: Runtime(Inbox(connect), source, retention), retention, mounted)
    app = FastAPI(
        lifespan=receiver.lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        exception_handlers={404: _refuse, 405: _refuse},
    )
    app.add_middleware(_HideToken)
    # Plain routes: nothing of a request is parsed before it is known to be worth it.
    for method, path, endpoint in (
        ("POST", f"{_CALLBACKS}{{token}}", receiver.deliver),
        ("POST", "/inbox/poll", receiver.poll),
        ("POST", "/inbox/lookup", receiver.lookup),
        ("GET", "/health", receiver.health),
    ):
        app.add_route(prefix + path, _answered(endpoint), methods=[method])
    return app


class Receiver:
    """The routes."""

    def __init__(self, make: Callable[[], Runtime], retention: float, mounted: bool) -> None:
        self._make = make
        self._retention = retention
        self._mounted = mounted
        self._runtime: Runtime | None = None

    @asynccontextmanager
    async def lifespan(self, app: FastAPI) -> AsyncIterator[None]:
        """Never raises: that would stop Airflow's API server."""
        metrics.start(self._mounted)
        runtime = self._runtime = self._make()
        await runtime.start()
        yield
        self._runtime = None
        await runtime.stop()

    async def deliver(self, request: Request) -> Response:
        token: str = request.path_params["token"]
        conn_id = peek(token)
        if conn_id is None:
            raise RefusedError
        runtime = self._running()
        callback_id = await runtime.keyring.verify(conn_id, lambda keys: check(token, keys, self._retention))
        if callback_id is None:
            raise RefusedError
        body = await _body(request, MOST_BODY)
        try:
            delivery = Delivery.parse(callback_id, body)
        except ValueError:
            raise RefusedError from None
        if await self._ready().writer.store(conn_id, delivery) is Stored.REFUSED:
            raise RefusedError
        return JSONResponse({"code": 0, "message": "ok"})

    async def poll(self, request: Request) -> Response:
        conn_id = await self._reader_of(request)
        question = _parsed(_PollQuestion, await _body(request, MOST_QUESTION))
        return _page(
            await self._ready().reader.poll(
                conn_id,
                "" if question.after is None else question.epoch or "",
                question.after or 0,
                question.limit,
                question.timeout,
            )
        )

    async def lookup(self, request: Request) -> Response:
        conn_id = await self._reader_of(request)
        question = _parsed(_LookupQuestion, await _body(request, MOST_QUESTION))
        return _page(await self._ready().reader.lookup(conn_id, question.callback_ids))

    async def health(self, request: Request) -> Response:
        runtime = self._running()
        ready = await runtime.check()
        return JSONResponse(
            {"inbox": "ready" if ready else "unavailable", "connections": runtime.keyring.usable},
            status_code=200 if ready else 503,
        )

    async def _reader_of(self, request: Request) -> str:
        """The connection whose deliveries a request may read."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        conn_id = peek(token)
        if scheme.lower() != "bearer" or conn_id is None:
            raise RefusedError
        if not await self._running().keyring.verify(
            conn_id, lambda keys: check_read_token(token, keys) or None
        ):
            raise RefusedError
        return conn_id

    def _running(self) -> Runtime:
        if self._runtime is None:
            raise UnavailableError
        return self._runtime

    def _ready(self) -> Runtime:
        runtime = self._running()
        if not runtime.ready:
            raise UnavailableError
        return runtime


class _HideToken:
    """Keeps callback addresses out of the access log of the server around it, which writes paths whole."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        inner = dict(scope)
        before, found, _ = scope.get("path", "").partition(_CALLBACKS)
        if found:
            scope["path"] = f"{before}{found}***"
            scope["raw_path"] = scope["path"].encode()
        await self._app(inner, receive, send)


_Endpoint = Callable[[Request], Awaitable[Response]]


def _answered(endpoint: _Endpoint) -> _Endpoint:
    """An endpoint that always answers, and says no more than it must."""

    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except RefusedError as error:
            return await _refuse(request, error)
        except UnavailableError:
            pass
        except Exception:
            log.exception("The receiver failed")
        return JSONResponse(
            {"detail": "Service Unavailable"}, status_code=503, headers={"Retry-After": _RETRY_AFTER}
        )

    return answer


async def _refuse(request: Request, error: Exception) -> Response:
    if "token" in request.path_params:
        metrics.count("refused")
    return JSONResponse({"detail": "Not Found"}, status_code=404)


async def _body(request: Request, most: int) -> bytes:
    """What was sent, read no further than ``most`` bytes and a few seconds."""

    async def read() -> bytes:
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > most:
                raise RefusedError
        return bytes(body)

    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length[:20]) > most:
        raise RefusedError
    try:
        return await asyncio.wait_for(read(), _BODY_SECONDS)
    except asyncio.TimeoutError:
        raise RefusedError from None


def _parsed(model: type[Any], body: bytes) -> Any:
    try:
        return model.model_validate_json(body)
    except ValueError:
        raise RefusedError from None


def _page(page: Page) -> Response:
    deliveries = [{"seq": seq, **delivery.as_dict()} for seq, delivery in page.deliveries]
    return JSONResponse(
        {"epoch": page.epoch, "last": page.last, "deliveries": deliveries}, headers={MARKER: "1"}
    )
