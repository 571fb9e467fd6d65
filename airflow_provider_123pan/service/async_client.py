"""The async client, which performs the steps of flows with ``httpx``."""

from __future__ import annotations

import asyncio
import os
import ssl
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import httpx
from anyio import fail_after

from airflow_provider_123pan.service.body import BodyError, BodyReader
from airflow_provider_123pan.service.endpoint import HEADERS, Endpoint
from airflow_provider_123pan.service.exchange import exchange
from airflow_provider_123pan.service.flow import (
    Await,
    Blocking,
    Flow,
    NeedToken,
    Sleep,
    Slot,
    TokenSource,
    adrive,
)
from airflow_provider_123pan.service.protocol import Answer, Call, MakeCall, Send, Step
from airflow_provider_123pan.service.throttle import Throttle
from airflow_provider_123pan.service.timing import RETRY_FOR_SECONDS

T = TypeVar("T")

# With 32 concurrent requests httpx is three times slower (measured).
CONNECTIONS = 8


class AsyncPan123Client:
    """A client for one event loop, shared by all coroutines that run there.

    :param in_thread: calls a blocking function in a thread and awaits its result.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        tokens: TokenSource,
        throttle: Throttle,
        in_thread: Callable[[Callable[[], Any]], Awaitable[Any]] = asyncio.to_thread,
    ) -> None:
        self.throttle = throttle
        self._endpoint = endpoint
        self._tokens = tokens
        self._slot_lock = asyncio.Lock()
        # A call's time limit begins when it has a connection, and httpx would queue it for one within the limit.
        self._connections = asyncio.Semaphore(CONNECTIONS)
        self._obtaining: asyncio.Future[str] | None = None
        self._in_thread = in_thread
        # requests reads this variable; httpx reads only SSL_CERT_FILE.
        verify = os.environ.get("REQUESTS_CA_BUNDLE", True) if endpoint.verify is True else endpoint.verify
        self._http = httpx.AsyncClient(
            base_url=endpoint.base_url,
            headers=HEADERS,
            verify=_trusting(verify) if isinstance(verify, str) else verify,
            proxy=endpoint.proxy,
            limits=httpx.Limits(max_connections=CONNECTIONS),
            follow_redirects=False,
        )

    async def call(self, call: Call[T], retry_for: float = RETRY_FOR_SECONDS) -> T:
        """Make a call as described for :func:`~airflow_provider_123pan.service.exchange.exchange`."""
        return await adrive(exchange(call, self.throttle, retry_for), self._perform)

    def run(self, flow: Flow[T]) -> Awaitable[T]:
        """Run a flow and return its result."""
        # Returned without an await, which saves a frame in each of thousands of waits.
        return adrive(flow, self._perform)

    async def token(self, refused: str | None = None) -> str:
        """Return an access token other than ``refused``."""
        while (token := self._tokens.cached(refused)) is None:
            if self._obtaining is None:
                # A separate task, since a waiting coroutine may be cancelled and a login must not be interrupted.
                self._obtaining = asyncio.ensure_future(adrive(self._tokens.obtain(refused), self._perform))
                self._obtaining.add_done_callback(self._obtained)
            if (token := await asyncio.shield(self._obtaining)) != refused:
                break
        return token

    def _obtained(self, _: object) -> None:
        self._obtaining = None

    async def aclose(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def _perform(self, step: Step) -> Any:
        match step:
            case Send():
                return await self._send(step)
            case Sleep():
                return await asyncio.sleep(step.seconds) if step.seconds > 0 else None
            case Slot():
                async with self._slot_lock:
                    pause = self.throttle.reserve()
                    return await asyncio.sleep(pause) if pause > 0 else None
            case NeedToken():
                return await self.token(step.refused)
            case MakeCall():
                return await self.call(step.call, step.retry_for)
            case Blocking():
                return await self._in_thread(step.function)
            case Await():
                return await step.function()
        raise TypeError(f"the async client cannot perform {step!r}")

    async def _send(self, step: Send[Any]) -> Answer:
        call = step.call
        headers = {} if step.token is None else {"Authorization": f"Bearer {step.token}"}
        connect_seconds, total_seconds = self._endpoint.time_limits(call)
        request = self._http.build_request(
            call.method,
            call.path,
            params=call.params,
            json=call.body,
            headers=headers,
            timeout=httpx.Timeout(total_seconds, connect=connect_seconds, pool=None),
        )
        async with self._connections:
            try:
                with fail_after(total_seconds):
                    return await self._answer(request)
            except TimeoutError as error:
                late = TimeoutError(f"no complete answer within {total_seconds:g} seconds")
                raise self._endpoint.unavailable(call, late, ambiguous=True) from error
            except (httpx.HTTPError, OSError, BodyError) as error:  # httpx lets errors of TLS through
                unsent = isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout))
                raise self._endpoint.unavailable(call, error, ambiguous=not unsent) from error

    async def _answer(self, request: httpx.Request) -> Answer:
        began = time.monotonic()
        response = await self._http.send(request, stream=True)
        took = time.monotonic() - began
        try:
            reader = BodyReader(response.headers.get("Content-Encoding"))
            async for chunk in response.aiter_raw():
                reader.feed(chunk)
        finally:
            await response.aclose()
        return Answer(response.status_code, response.headers, reader.body(), took)


def _trusting(bundle: str) -> ssl.SSLContext:
    """Return a context that trusts the certificates in a file or in a directory."""
    folder = Path(bundle).is_dir()
    return ssl.create_default_context(cafile=None if folder else bundle, capath=bundle if folder else None)
