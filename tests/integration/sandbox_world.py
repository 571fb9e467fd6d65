"""A sandbox, a plain caller of it, and the rest of the network."""

from __future__ import annotations

import io
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeVar

import pytest
import requests
from PIL import Image

from airflow_provider_123pan.sandbox import Sandbox

LOGIN = "/api/v1/access_token"
CREATE = "/api/v1/oss/offline/download"
PROGRESS = "/api/v1/oss/offline/download/process"
LIST = "/api/v1/oss/file/list"
DETAIL = "/api/v1/oss/file/detail"
MKDIR = "/upload/v1/oss/file/mkdir"
MOVE = "/api/v1/oss/file/move"
DELETE = "/api/v1/oss/file/delete"
GOOD = {"url": "http://127.0.0.1/a.png", "type": 1}

T = TypeVar("T")


def until(look: Callable[[], T], seconds: float = 8) -> T:
    """The first true thing that `look` gives."""
    deadline = time.monotonic() + seconds
    while not (seen := look()):
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.01)
    return seen


def picture(colour: str, kind: str = "PNG") -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (32, 24), colour).save(content, kind)
    return content.getvalue()


SVG = b"<?xml version='1.0'?><!-- drawn --><svg xmlns='http://www.w3.org/2000/svg'><rect/></svg>"
SOURCES: dict[str, bytes] = {
    "red.png": picture("red"),
    "blue.png": picture("blue"),
    "green.jpg": picture("green", "JPEG"),
    "a.gif": picture("white", "GIF"),
    "a.bmp": picture("white", "BMP"),
    "a.tif": picture("white", "TIFF"),
    "a.webp": picture("white", "WEBP"),
    "a.svg": SVG,
    "page.png": b"<html><body>no image</body></html>",
}


class Neighbour(ThreadingHTTPServer):
    """The rest of the network: the source of the images, and the receiver of the callbacks."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.received: list[tuple[str, dict[str, Any]]] = []
        self.url = f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Neighbour

    def do_GET(self) -> None:
        name = self.path.rpartition("/")[2]
        if self.path.startswith("/moved/"):
            self.send_response(302)
            self.send_header("Location", f"/{name}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        content = SOURCES.get(name)
        self.send_response(404 if content is None else 200)
        self.send_header("Content-Length", str(len(content or b"")))
        self.end_headers()
        self.wfile.write(content or b"")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received.append((self.path, json.loads(body)))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *args: Any, **kwargs: Any) -> None:
        pass


class Client:
    """A caller with a token, as plain as can be."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.headers["Platform"] = "open_platform"

    def send(self, method: str, path: str, **given: Any) -> requests.Response:
        url = self.sandbox.base_url + path
        return self.session.request(method, url, timeout=10, allow_redirects=False, **given)

    def log_in(self, **changed: Any) -> dict[str, Any]:
        body = {"clientID": self.sandbox.client_id, "clientSecret": self.sandbox.client_secret, **changed}
        answer: dict[str, Any] = self.send("POST", LOGIN, json=body).json()
        if answer["code"] == 0:
            self.session.headers["Authorization"] = f"Bearer {answer['data']['accessToken']}"
        return answer

    def post(self, path: str, **body: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self.send("POST", path, json=body).json()
        return answer

    def get(self, path: str, **params: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self.send("GET", path, params=params).json()
        return answer

    def submit(self, url: str, **more: Any) -> int:
        answer = self.post(CREATE, url=url, type=1, **more)
        assert answer["code"] == 0, answer
        task_id: int = answer["data"]["taskID"]
        return task_id

    def progress(self, task_id: int) -> dict[str, Any]:
        data: dict[str, Any] = self.get(PROGRESS, taskID=task_id)["data"]
        return data

    def wait(self, task_id: int) -> int:
        """The status that the task ends with."""
        return until(lambda: status if (status := self.progress(task_id)["status"]) in (1, 2) else 0)

    def migrate(self, url: str, **more: Any) -> None:
        assert self.wait(self.submit(url, **more)) == 2

    def directory(self, name: str, parent: str = "") -> str:
        answer = self.post(MKDIR, name=[name], parentID=parent, type=1)
        made: str = answer["data"]["list"][0]["dirID"]
        return made

    def files(self, directory: str, **more: Any) -> list[dict[str, Any]]:
        answer = self.post(LIST, parentFileId=directory, limit=100, type=1, **more)
        found: list[dict[str, Any]] = answer["data"]["fileList"]
        return found


@pytest.fixture(scope="module")
def neighbour() -> Iterator[Neighbour]:
    with Neighbour() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture(scope="module")
def running() -> Iterator[Sandbox]:
    with Sandbox(delay=0) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running: Sandbox, neighbour: Neighbour) -> Sandbox:
    running.reset()
    neighbour.received.clear()
    return running


@pytest.fixture
def client(sandbox: Sandbox) -> Client:
    client = Client(sandbox)
    assert client.log_in()["code"] == 0
    return client
