"""Runs a world under uvicorn, in a thread of its own."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from fastapi import FastAPI

from airflow_provider_123pan.sandbox import admin, api
from airflow_provider_123pan.sandbox.backend import Backend
from airflow_provider_123pan.sandbox.options import Options

_START_TIMEOUT = 30.0


class Server:
    """Listens as soon as it is made; answers from `start()` to `stop()`, which belong to each other."""

    def __init__(self, options: Options) -> None:
        self._socket = socket.create_server((options.host, options.port), backlog=2048)
        self._backend = Backend(options, self._hang_up)
        self.port: int = self._socket.getsockname()[1]
        self._ready = threading.Event()
        app = FastAPI(lifespan=self._lifespan, docs_url=None, redoc_url=None, openapi_url=None)
        api.add_routes(app, self._backend)
        admin.add_routes(app, self._backend)
        self._uvicorn = uvicorn.Server(
            uvicorn.Config(
                app,
                log_config=None,
                log_level="warning",
                access_log=False,
                server_header=False,
                proxy_headers=False,
                lifespan="on",
                timeout_keep_alive=75,  # the gateway's, so that pooled connections stay good
                timeout_graceful_shutdown=2,
            )
        )
        self._thread = threading.Thread(
            target=self._uvicorn.run, args=([self._socket],), name="123pan-sandbox", daemon=True
        )

    def start(self) -> None:
        self._thread.start()
        if not self._ready.wait(_START_TIMEOUT):
            raise RuntimeError("the sandbox did not start")

    def stop(self) -> None:
        self._uvicorn.should_exit = True
        self._loop.call_soon_threadsafe(self._backend.end)
        self._thread.join()
        self._socket.close()

    @asynccontextmanager
    async def _lifespan(self, app: FastAPI) -> AsyncIterator[None]:
        self._loop = asyncio.get_running_loop()
        self._ready.set()
        yield
        await self._backend.close()

    def _hang_up(self, client: tuple[str, int]) -> None:
        for connection in self._uvicorn.server_state.connections:
            if connection.transport.get_extra_info("peername") == client:
                connection.transport.abort()
