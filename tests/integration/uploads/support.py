"""What tests of uploads share: images, and a storage that answers as the test says."""

from __future__ import annotations

import hashlib
import io
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from PIL import Image

from airflow_provider_123pan.service.image_file import ImageFile

Answer = Callable[[BaseHTTPRequestHandler], None]
SECRET = "0123456789abcdef0123456789abcdef"


def picture(colour: str = "red", kind: str = "PNG") -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (32, 24), colour).save(content, kind)
    return content.getvalue()


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def image_file(content: bytes, etag: str | None = None) -> ImageFile:
    return ImageFile(io.BytesIO(content), len(content), etag or md5(content))


def status(code: int, body: bytes = b"", **headers: str) -> Answer:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(code)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(body)

    return answer


class Put(NamedTuple):
    """A request that arrived."""

    target: str
    headers: dict[str, str]
    body: bytes


class Storage:
    """A storage.

    :ivar answer: how it answers; it reads the body before.
    :ivar puts: the requests that arrived.
    """

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/slice?X-Amz-Signature={SECRET}"
        self.answer: Answer = status(200)
        self.puts: list[Put] = []


@contextmanager
def running_storage() -> Iterator[Storage]:
    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            storage.puts.append(Put(self.path, dict(self.headers), body))
            storage.answer(self)

        def log_message(self, *args: Any, **kwargs: Any) -> None:
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        storage = Storage(server.server_port)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield storage
        finally:
            server.shutdown()
