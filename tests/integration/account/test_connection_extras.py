"""The effects of a connection's ``proxy`` and ``verify``, which are the same in workers and in the triggerer."""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_123pan.account.fixed_token import FixedToken
from airflow_provider_123pan.exceptions import Pan123UnavailableError
from airflow_provider_123pan.service.async_client import AsyncPan123Client
from airflow_provider_123pan.service.client import Pan123Client
from airflow_provider_123pan.service.endpoint import Endpoint
from airflow_provider_123pan.service.protocol import get_offline_download
from airflow_provider_123pan.service.throttle import Throttle

PROGRESS = get_offline_download(7)
BROKEN_RECORD = b"\x17\x03\x03\x00\x20" + bytes(32)  # of TLS 1.2 and 1.3


class Handler(BaseHTTPRequestHandler):
    """A service that answers every request, and therefore also works as a proxy without a service."""

    def do_GET(self) -> None:
        """Answer with the progress of an offline task."""
        requested.append(self.path)
        body = json.dumps({"code": 0, "data": {"process": 100, "status": 2}}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Log nothing."""


requested: list[str] = []


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    """Run the service."""
    requested.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as made:
        thread = threading.Thread(target=made.serve_forever)
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def in_worker(endpoint: Endpoint) -> None:
    """Poll progress as a worker does."""
    with Pan123Client(endpoint, FixedToken("token"), Throttle()) as client:
        client.call(PROGRESS)


def in_triggerer(endpoint: Endpoint) -> None:
    """Poll progress as the triggerer does."""

    async def poll() -> None:
        client = AsyncPan123Client(endpoint, FixedToken("token"), Throttle())
        try:
            await client.call(PROGRESS)
        finally:
            await client.aclose()

    asyncio.run(poll())


Poll = Callable[[Endpoint], None]
BOTH = pytest.mark.parametrize("poll", [in_worker, in_triggerer])


@BOTH
def test_requests_go_through_the_proxy(poll: Poll, server: ThreadingHTTPServer) -> None:
    poll(Endpoint("http://service.invalid", proxy=f"http://127.0.0.1:{server.server_port}"))
    assert requested == [f"http://service.invalid{PROGRESS.path}?taskID=7"]


@BOTH
@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_certificates_are_checked_unless_verify_is_false(
    poll: Poll, server: ThreadingHTTPServer, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.delenv("CURL_CA_BUNDLE", raising=False)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    url = f"https://127.0.0.1:{server.server_port}"
    with pytest.raises(Pan123UnavailableError, match="check the connection's host, proxy and verify"):
        poll(Endpoint(url))
    poll(Endpoint(url, verify=False))
    poll(Endpoint(url, verify=str(certificate)))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    poll(Endpoint(url))
    assert len(requested) == 3


@BOTH
def test_tls_that_breaks_after_the_request_is_ambiguous(
    poll: Poll, server: ThreadingHTTPServer, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_off(handler: Handler) -> None:
        os.write(handler.connection.fileno(), BROKEN_RECORD)

    monkeypatch.setattr(Handler, "do_GET", break_off)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    with pytest.raises(Pan123UnavailableError, match="BAD_RECORD_MAC") as caught:
        poll(Endpoint(f"https://127.0.0.1:{server.server_port}", verify=str(certificate)))
    assert caught.value.ambiguous
