"""Runs a sandbox under uvicorn in a background thread."""

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

_START_TIMEOUT_SECONDS = 30.0


class Server:
    """The HTTP server of one sandbox.

    It listens from the beginning, answers after `start()`, and needs `stop()` after `start()`.

    :ivar port: The port on which it listens.
    """

    def __init__(self, options: Options) -> None:
        """Listen on the port of the options.

        :param options: The options at the start.
        :raises OSError: The port is not available.
        """
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
                timeout_keep_alive=75,  # as the real gateway, so that clients can reuse connections
                timeout_graceful_shutdown=2,
            )
        )
        self._thread = threading.Thread(
            target=self._uvicorn.run, args=([self._socket],), name="123pan-sandbox", daemon=True
        )

    def start(self) -> None:
        """Start the thread and wait until the server answers.

        :raises RuntimeError: The server did not start in time.
        """
        self._thread.start()
        if not self._ready.wait(_START_TIMEOUT_SECONDS):
            raise RuntimeError(f"the sandbox did not start within {_START_TIMEOUT_SECONDS:.0f} seconds")

    def stop(self) -> None:
        """Stop the server and wait until its thread has ended."""
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
