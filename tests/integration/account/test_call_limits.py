"""The limits of one call: a server that never ends its answer, or sends too much, holds neither client."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from airflow_provider_123pan.account.fixed_token import FixedToken
from airflow_provider_123pan.exceptions import Pan123UnavailableError
from airflow_provider_123pan.service.async_client import CONNECTIONS, AsyncPan123Client
from airflow_provider_123pan.service.body import MAX_BODY_BYTES
from airflow_provider_123pan.service.client import Pan123Client
from airflow_provider_123pan.service.endpoint import Endpoint
from airflow_provider_123pan.service.protocol import create_offline_download, get_offline_download
from airflow_provider_123pan.service.throttle import Throttle

GOOD = json.dumps({"code": 0, "data": {"process": 100, "status": 2, "taskID": 7}}).encode()
CREATE = create_offline_download("https://example.com/a.jpg")
TIMEOUT = 0.5
# Far more than the timeout, so that only the total limit can end the call, and far less than a test may take.
TRICKLE_BYTES, TRICKLE_SECONDS = 600, 0.05
TOO_LATE = "timed out|no complete answer|ReadTimeout"

Serve = Callable[[socket.socket, threading.Event], None]


@contextmanager
def server(serve: Serve) -> Iterator[str]:
    """Run a server that reads a request and answers it by ``serve``; its base URL."""
    stop = threading.Event()

    def answer(connection: socket.socket) -> None:
        with connection:
            try:
                while not stop.is_set() and connection.recv(65_536):
                    serve(connection, stop)
            except OSError:
                pass  # the client hung up

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            connections.append(connection)
            threads.append(threading.Thread(target=answer, args=(connection,)))
            threads[-1].start()

    connections: list[socket.socket] = []
    threads: list[threading.Thread] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        accepting = threading.Thread(target=accept)
        accepting.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            stop.set()
            listener.shutdown(socket.SHUT_RDWR)
            accepting.join()
            for connection, thread in zip(connections, threads, strict=True):
                with suppress(OSError):  # closed already
                    connection.shutdown(socket.SHUT_RDWR)
                thread.join()


def head(*headers: str, length: int | None = None) -> bytes:
    """Return the head of an answer."""
    lines = ["HTTP/1.1 200 OK", *headers, *([f"Content-Length: {length}"] if length is not None else [])]
    return "\r\n".join([*lines, "", ""]).encode()


def trickle(before: bytes, piece: bytes) -> Serve:
    """Send the beginning of an answer at once, and its rest a piece at a time."""

    def serve(connection: socket.socket, stop: threading.Event) -> None:
        connection.sendall(before)
        for _ in range(TRICKLE_BYTES):
            connection.sendall(piece)
            if stop.wait(TRICKLE_SECONDS):
                return
        connection.sendall(head(length=len(GOOD)) + GOOD)

    return serve


def whole(answer: bytes) -> Serve:
    """Send an answer at once."""
    return lambda connection, _: connection.sendall(answer)


def in_worker(endpoint: Endpoint, call: Any = CREATE) -> Any:
    """Make a call as a worker does."""
    with Pan123Client(endpoint, FixedToken("token"), Throttle(start=1000)) as client:
        return client.call(call)


def in_triggerer(endpoint: Endpoint, call: Any = CREATE) -> Any:
    """Make a call as the triggerer does."""

    async def make() -> Any:
        client = AsyncPan123Client(endpoint, FixedToken("token"), Throttle(start=1000))
        try:
            return await client.call(call)
        finally:
            await client.aclose()

    return asyncio.run(make())


BOTH = pytest.mark.parametrize("make", [in_worker, in_triggerer])
Make = Callable[..., Any]


@BOTH
@pytest.mark.parametrize(
    "serve",
    [
        trickle(b"", b"H"),
        trickle(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        trickle(b"HTTP/1.1 200 OK\r\nX-Long: ", b"x"),
        trickle(head(length=TRICKLE_BYTES), b"x"),
        trickle(head("Transfer-Encoding: chunked"), b"1\r\nx\r\n"),
        trickle(head("Connection: close"), b"x"),
        lambda connection, stop: stop.wait(30) and None,
    ],
    ids=["status", "100", "header", "body", "chunks", "without length", "nothing"],
)
def test_an_answer_that_never_ends_is_given_up_and_ambiguous(make: Make, serve: Serve) -> None:
    with server(serve) as url, pytest.raises(Pan123UnavailableError, match=TOO_LATE) as caught:
        make(Endpoint(url, timeout=TIMEOUT))
    assert caught.value.ambiguous


@BOTH
def test_a_call_after_one_that_was_given_up_succeeds(make: Make) -> None:
    slow, served = trickle(head(length=TRICKLE_BYTES), b"x"), []

    def serve(connection: socket.socket, stop: threading.Event) -> None:
        served.append(connection)
        (slow if len(served) == 1 else whole(head(length=len(GOOD)) + GOOD))(connection, stop)

    with server(serve) as url:
        with pytest.raises(Pan123UnavailableError):
            make(Endpoint(url, timeout=TIMEOUT))
        assert make(Endpoint(url)).taskID == 7


async def test_the_time_limit_of_a_queued_call_begins_with_its_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    running = most = requests = 0
    all_connected = threading.Event()

    @contextmanager
    def fail_after(seconds: float) -> Iterator[None]:
        nonlocal running, most
        running += 1
        most = max(most, running)
        yield
        running -= 1

    def serve(connection: socket.socket, stop: threading.Event) -> None:
        nonlocal requests
        requests += 1
        if requests >= CONNECTIONS:
            all_connected.set()
        all_connected.wait()
        connection.sendall(head(length=len(GOOD)) + GOOD)

    monkeypatch.setattr("airflow_provider_123pan.service.async_client.fail_after", fail_after)
    with server(serve) as url:
        client = AsyncPan123Client(Endpoint(url), FixedToken("token"), Throttle(start=1000))
        await asyncio.gather(*(client.call(get_offline_download(7)) for _ in range(2 * CONNECTIONS)))
        await client.aclose()
    assert most == CONNECTIONS


@BOTH
@pytest.mark.parametrize("spaces", [MAX_BODY_BYTES - len(GOOD), MAX_BODY_BYTES], ids=["largest", "larger"])
@pytest.mark.parametrize("packed", [True, False])
def test_a_body_is_limited_after_decompression(make: Make, spaces: int, packed: bool) -> None:
    body = GOOD + b" " * spaces
    if packed:
        body = gzip.compress(body, mtime=0)
    answer = head(*["Content-Encoding: gzip"] * packed, length=len(body)) + body
    with server(whole(answer)) as url:
        if spaces < MAX_BODY_BYTES:
            assert make(Endpoint(url)).taskID == 7
            return
        with pytest.raises(Pan123UnavailableError, match="more than 16 MiB") as caught:
            make(Endpoint(url))
    assert caught.value.ambiguous


@BOTH
@pytest.mark.parametrize(
    ("encoding", "body", "words"),
    [
        ("gzip", GOOD, "cannot be decompressed"),
        ("gzip", gzip.compress(GOOD, mtime=0)[:20], "without the service's JSON"),
        ("br", b"\x8b\x03\x80abc\x03", "without the service's JSON"),
    ],
)
def test_a_body_in_a_wrong_encoding_is_an_ambiguous_error(
    make: Make, encoding: str, body: bytes, words: str
) -> None:
    answer = head(f"Content-Encoding: {encoding}", length=len(body)) + body
    with server(whole(answer)) as url, pytest.raises(Pan123UnavailableError, match=words) as caught:
        make(Endpoint(url))
    assert caught.value.ambiguous


@BOTH
def test_the_answer_to_a_creation_says_how_long_the_service_took(make: Make) -> None:
    took: list[float] = []

    def serve(connection: socket.socket, stop: threading.Event) -> None:
        received_at = time.monotonic()
        stop.wait(0.05)
        took.append(time.monotonic() - received_at)
        connection.sendall(head(length=len(GOOD)) + GOOD)

    with server(serve) as url:
        assert make(Endpoint(url)).call_seconds >= took[0]
