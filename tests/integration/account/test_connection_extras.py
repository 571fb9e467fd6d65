"""The effects of a connection's ``proxy`` and ``verify``, which are the same in workers and in the triggerer."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from airflow_provider_123pan.account.fixed_token import FixedToken
from airflow_provider_123pan.exceptions import Pan123UnavailableError
from airflow_provider_123pan.service.async_client import AsyncPan123Client
from airflow_provider_123pan.service.client import Pan123Client
from airflow_provider_123pan.service.endpoint import Endpoint
from airflow_provider_123pan.service.protocol import get_offline_download
from airflow_provider_123pan.service.throttle import Throttle

PROGRESS = get_offline_download(7)


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


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Return a file with a self-signed certificate of 127.0.0.1 and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.timezone.utc)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "certificate.pem"
    pem = serialization.Encoding.PEM
    path.write_bytes(
        made.public_bytes(pem)
        + key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path


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
