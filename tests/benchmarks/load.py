"""A cheap HTTP client that sends prepared requests, one after the other on each connection."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Iterable, Iterator

Answered = Callable[[bytes, int, bytes, bytes], None]
_STATUS_AND_LENGTH = re.compile(
    rb"HTTP/1\.1 (\d+).*?\r\ncontent-length: (\d+)\r\n", re.DOTALL | re.IGNORECASE
)


def post(path: str | bytes, body: bytes, *headers: bytes, method: bytes = b"POST") -> bytes:
    """Return a request as bytes."""
    path = path.encode() if isinstance(path, str) else path
    lines = [b"%s %s HTTP/1.1" % (method, path), b"Host: 127.0.0.1", b"Content-Type: application/json"]
    return b"\r\n".join([*lines, b"Content-Length: %d" % len(body), *headers, b"", body])


def send(port: int, requests: Iterable[bytes], connections: int, answered: Answered) -> float:
    """Send all requests.

    :param connections: how many connections to use at once.
    :param answered: is called with each request and the answer's status, head and body.
    :returns: the seconds that it took.
    """
    return asyncio.run(_send(port, iter(requests), connections, answered))


async def _send(port: int, requests: Iterator[bytes], connections: int, answered: Answered) -> float:
    loop = asyncio.get_running_loop()
    start = time.perf_counter()

    async def one_after_the_other() -> None:
        for request in requests:
            sent = request
            while True:  # until the server answers: after a lost connection, open another one
                _, connection = await loop.create_connection(
                    lambda: _Connection(requests, answered), "127.0.0.1", port
                )
                unanswered = await connection.run(sent)
                if unanswered is None:
                    return
                sent = unanswered

    await asyncio.gather(*[one_after_the_other() for _ in range(connections)])
    return time.perf_counter() - start


class _Connection(asyncio.Protocol):
    def __init__(self, requests: Iterator[bytes], answered: Answered) -> None:
        self._requests = requests
        self._answered = answered
        self._received = b""
        self._request: bytes | None = None
        self._transport: asyncio.Transport

    async def run(self, first: bytes) -> bytes | None:
        """Send requests until none is left, and return the one that got no answer, if any."""
        self._lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._request = first
        self._transport.write(first)
        await self._lost
        return self._request

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        if error is None or isinstance(error, OSError):
            self._lost.set_result(None)
        else:  # `answered` rejected an answer
            self._lost.set_exception(error)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, ended, body = self._received.partition(b"\r\n\r\n")
        if not ended:
            return
        found = _STATUS_AND_LENGTH.match(head + b"\r\n")
        assert found, head
        if len(body) < int(found[2]):
            return
        assert self._request is not None
        self._received = b""
        self._answered(self._request, int(found[1]), head, body)
        self._request = next(self._requests, None)
        if self._request is None:
            self._transport.close()
        else:
            self._transport.write(self._request)
