"""Lets ``requests`` connect to public addresses only, also where it is redirected to."""

from __future__ import annotations

import socket
import time
from typing import Any
from urllib.parse import urlsplit

from requests import PreparedRequest, Response
from requests.utils import select_proxy
from urllib3.connection import HTTPConnection
from urllib3.exceptions import NewConnectionError

from airflow_provider_123pan.exceptions import Pan123InputError
from airflow_provider_123pan.service.redaction import redact_url
from airflow_provider_123pan.service.time_limit import (
    LimitedConnection,
    LimitedTlsConnection,
    TimeLimitAdapter,
    pool_classes,
    time_left,
)
from airflow_provider_123pan.source.addresses import Connector

_PORTS = {"http": 80, "https": 443}


class PublicAdapter(TimeLimitAdapter):
    """An adapter whose connections a connector opens.

    A proxy may have any address, and resolves the host itself. Before it is asked, the host is checked as far as this
    machine can resolve it.
    """

    def __init__(self, connector: Connector) -> None:
        self._connector = connector
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Create the connection pools."""
        super().init_poolmanager(*args, **kwargs)
        connector = self._connector

        class Connection(LimitedConnection):
            def _new_conn(self) -> socket.socket:
                return _connected(connector, self)

        class TlsConnection(LimitedTlsConnection):
            def _new_conn(self) -> socket.socket:
                return _connected(connector, self)

        self.poolmanager.pool_classes_by_scheme = pool_classes(Connection, TlsConnection)

    def send(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> Response:
        """Send a request, of which a redirect makes another one.

        :raises Pan123InputError: its host has no public address; the message names its URL.
        """
        url = request.url or ""
        try:
            if select_proxy(url, kwargs.get("proxies")):
                parts = urlsplit(url)
                self._connector.check(parts.hostname or "", parts.port or _PORTS[parts.scheme])
            return super().send(request, *args, **kwargs)
        except Pan123InputError as error:
            raise Pan123InputError(f"{error.message} ({redact_url(url)})") from None


def _connected(connector: Connector, connection: HTTPConnection) -> socket.socket:
    """Open a connection within its own time limit and that of the call."""
    assert isinstance(connection.timeout, (int, float))
    end = time.monotonic() + connection.timeout

    def seconds() -> float:
        if (left := min(end - time.monotonic(), time_left())) <= 0:
            raise TimeoutError("the time limit of the call is over")
        return left

    try:
        sock = connector.connect(connection.host.lower(), connection.port, seconds)
    except (OSError, UnicodeError) as error:
        raise NewConnectionError(connection, f"Failed to establish a new connection: {error}") from error
    for option in connection.socket_options or ():
        sock.setsockopt(*option)
    return sock
