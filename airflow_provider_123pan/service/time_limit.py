"""A total time limit for requests made with ``requests``.

Its timeouts limit each read of the socket, so a server that sends a byte now and then would hold a call for ever. The
connections here give every read only the rest of the call's time.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import math
import socket
import ssl
import time
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager, ProxyManager
from urllib3.connection import HTTPConnection, HTTPSConnection

# The end of the call that this thread makes, in monotonic seconds; None: no limit.
_deadline: ContextVar[float | None] = ContextVar("pan123_deadline", default=None)


def time_left() -> float:
    """Return how many seconds are left to the call that this thread makes; infinity without a limit."""
    deadline = _deadline.get()
    return math.inf if deadline is None else deadline - time.monotonic()


@contextlib.contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Limit the requests in a ``with`` block, from their headers to the end of their bodies."""
    token = _deadline.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _deadline.reset(token)


class TimeLimitAdapter(HTTPAdapter):
    """An adapter whose connections obey :func:`time_limit`."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Create the connection pools."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOL_CLASSES

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> PoolManager:
        """Return the connection pools of a proxy."""
        manager: PoolManager = super().proxy_manager_for(*args, **kwargs)
        if isinstance(manager, ProxyManager):  # connections to a SOCKS proxy are of its own classes
            manager.pool_classes_by_scheme = _POOL_CLASSES
        return manager


class _LimitedReader(io.RawIOBase):
    """Reads a socket until a deadline."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket, deadline: float) -> None:
        self._raw, self._sock, self._deadline = raw, sock, deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the time limit of the call is over")
        self._sock.settimeout(left)
        try:
            return self._raw.readinto(buffer)
        except ssl.SSLError as error:  # requests cannot tell this from a failed handshake
            raise ConnectionError(str(error)) from error

    def close(self) -> None:
        self._raw.close()
        super().close()


class TimeLimitedResponse(http.client.HTTPResponse):
    """A response that obeys :func:`time_limit` while it is read."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        if (deadline := _deadline.get()) is not None:
            self.fp = io.BufferedReader(_LimitedReader(self.fp.detach(), sock, deadline))


class LimitedConnection(HTTPConnection):
    """A connection that obeys :func:`time_limit`."""

    response_class = TimeLimitedResponse


class LimitedTlsConnection(HTTPSConnection):
    """A connection with TLS that obeys :func:`time_limit`."""

    response_class = TimeLimitedResponse


def pool_classes(
    http: type[HTTPConnection], https: type[HTTPSConnection]
) -> dict[str, type[HTTPConnectionPool]]:
    """Return classes of pools, by scheme, that make connections of these classes."""

    class Pool(HTTPConnectionPool):
        ConnectionCls = http

    class TlsPool(HTTPSConnectionPool):
        ConnectionCls = https

    return {"http": Pool, "https": TlsPool}


_POOL_CLASSES = pool_classes(LimitedConnection, LimitedTlsConnection)
