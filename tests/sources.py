"""Sources of images: a server on loopback whose answers a test chooses."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import MappingProxyType
from typing import Any, NamedTuple

from airflow_provider_123pan.source.addresses import Connector, resolve_host
from airflow_provider_123pan.source.probe import Prober

JPEG = b"\xff\xd8\xff\xe0" + bytes(60)
AVIF = b"\0\0\0\x1cftypavif" + bytes(60)

Answer = Callable[[BaseHTTPRequestHandler], None]


class Asked(NamedTuple):
    """A request that arrived."""

    method: str
    target: str
    headers: dict[str, str]


class Source:
    """A server of images.

    :ivar answers: by the path that was requested; another path is answered 404.
    :ivar asked: the requests that arrived.
    :ivar stopped: the test is over; an answer without end must end.
    """

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self.server = server
        self.port = server.server_port
        self.url = f"http://{server.server_address[0]!s}:{self.port}"
        self.answers: dict[str, Answer] = {}
        self.asked: list[Asked] = []
        self.stopped = threading.Event()

    def methods(self) -> list[str]:
        return [request.method for request in self.asked]


def image(
    media_type: str | None = "image/jpeg",
    body: bytes = JPEG,
    status: int = 200,
    headers: Mapping[str, str] = MappingProxyType({}),
) -> Answer:
    """Answer HEAD and GET alike."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        if media_type is not None:
            request.send_header("Content-Type", media_type)
        request.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            request.send_header(name, value)
        request.end_headers()
        if request.command == "GET":
            request.wfile.write(body)

    return answer


def wants(name: str, value: str, body: bytes) -> Answer:
    """Answer with an image if a header has a value, and refuse all other requests."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        welcome = request.headers.get(name, "") == value
        (image("image/png", body) if welcome else image(status=403))(request)

    return answer


def only_for(client: str, body: bytes) -> Answer:
    """Answer with an image to one address, and refuse all others."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        welcome = request.client_address[0] == client
        (image("image/png", body) if welcome else image(status=403))(request)

    return answer


def get_only(answer: Answer) -> Answer:
    """Refuse HEAD."""

    def only(request: BaseHTTPRequestHandler) -> None:
        (answer if request.command == "GET" else image(status=405))(request)

    return only


def redirect(location: str, status: int = 302) -> Answer:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        request.send_header("Location", location)
        request.send_header("Content-Length", "0")
        request.end_headers()

    return answer


class Network:
    """A network in which the test's source has a public address.

    :ivar opened: the addresses to which connections were opened.
    """

    def __init__(self, source: Source, **addresses: list[str]) -> None:
        self.addresses = {name.replace("_", "."): found for name, found in addresses.items()}
        self.resolved: list[str] = []
        self.opened: list[str] = []
        self._source = source

    def resolve(self, host: str, port: int) -> list[str]:
        self.resolved.append(host)
        return self.addresses.get(host) or resolve_host(host, port)

    def open_socket(self, address: tuple[str, int], timeout: float) -> socket.socket:
        self.opened.append(address[0])
        return socket.create_connection(("127.0.0.1", self._source.port), timeout)

    def connector(self, *private_hosts: str) -> Connector:
        return Connector(frozenset(private_hosts), self.resolve, self.open_socket)

    def prober(self, *private_hosts: str) -> Prober:
        return Prober(self.connector(*private_hosts))


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], OSError):  # a client may hang up at any moment
            super().handle_error(request, client_address)


@contextmanager
def serve(host: str = "127.0.0.1") -> Iterator[Source]:
    """Run a source.

    :param host: an address of loopback.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            source.asked.append(Asked(self.command, self.path, dict(self.headers)))
            try:
                source.answers.get(self.path.partition("?")[0], image(status=404))(self)
            except OSError:
                self.close_connection = True  # the client has gone

        do_GET = do_HEAD

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name in the base class
            """Log nothing."""

    with _Server((host, 0), Handler) as server:
        source = Source(server)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield source
        finally:
            source.stopped.set()
            server.shutdown()
