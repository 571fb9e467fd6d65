"""What the sandbox's tests share besides fixtures: a client, a server for images and callbacks, and waiting."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeVar

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

HOUR_SECONDS = 3600  # longer than any test takes

T = TypeVar("T")


def wait_until(condition: Callable[[], T], timeout: float = 60) -> T:
    """Return the first true result of a condition.

    :param condition: Called repeatedly, with a short pause between calls.
    :param timeout: Seconds after which the test fails.
    """
    deadline = time.monotonic() + timeout
    while not (result := condition()):
        assert time.monotonic() < deadline, f"the condition was still false after {timeout} seconds"
        time.sleep(0.01)
    return result


def _drawing(colour: str, kind: str = "PNG") -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (32, 24), colour).save(content, kind)
    return content.getvalue()


SOURCES: dict[str, bytes] = {
    "red.png": _drawing("red"),
    "blue.png": _drawing("blue"),
    "green.jpg": _drawing("green", "JPEG"),
    "a.gif": _drawing("white", "GIF"),
    "a.bmp": _drawing("white", "BMP"),
    "a.tif": _drawing("white", "TIFF"),
    "a.webp": _drawing("white", "WEBP"),
    "a.svg": b"<?xml version='1.0'?><!-- drawn --><svg xmlns='http://www.w3.org/2000/svg'><rect/></svg>",
    "page.png": b"<html><body>no image</body></html>",
}


@dataclass(frozen=True)
class Delivery:
    """A callback as it arrived.

    :ivar method: The HTTP method.
    :ivar path: The path with the query.
    :ivar content_type: The header of that name, or an empty string.
    :ivar body: The body's bytes.
    """

    method: str
    path: str
    content_type: str
    body: bytes


class Peer(ThreadingHTTPServer):
    """A server that serves the source images and receives the callbacks.

    :ivar received: Path and JSON body of each callback that is a POST of JSON in UTF-8, in order of arrival.
    :ivar deliveries: All callbacks, in order of arrival; those of the method GET if their path has a query.
    :ivar url: Its base URL.
    """

    daemon_threads = True

    def __init__(self) -> None:
        """Listen on a free port."""
        super().__init__(("127.0.0.1", 0), _PeerHandler)
        self.received: list[tuple[str, dict[str, Any]]] = []
        self.deliveries: list[Delivery] = []
        self.url = f"http://127.0.0.1:{self.server_port}"


class _PeerHandler(BaseHTTPRequestHandler):
    server: Peer

    def do_GET(self) -> None:
        if "?" in self.path:
            self._deliver()
            return
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
        self._deliver()

    def do_PUT(self) -> None:
        self._deliver()

    def _deliver(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        delivery = Delivery(self.command, self.path, self.headers.get("Content-Type", ""), body)
        if self.command == "POST":
            with suppress(ValueError):
                self.server.received.append((self.path, json.loads(body)))
        self.server.deliveries.append(delivery)
        self.send_response(204)
        self.end_headers()

    def log_message(self, *args: Any, **kwargs: Any) -> None:
        pass


class Client:
    """A client of the sandbox that shares no code with the provider.

    :ivar sandbox: The sandbox.
    :ivar session: The session, whose headers include the token after a login.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        """Create a session that is not logged in."""
        self.sandbox = sandbox
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.headers["Platform"] = "open_platform"

    def send(self, method: str, path: str, **arguments: Any) -> requests.Response:
        """Send a request without following redirects.

        :param arguments: More arguments of `requests.request`.
        """
        url = self.sandbox.base_url + path
        return self.session.request(method, url, **{"timeout": 60, "allow_redirects": False, **arguments})

    def log_in(self, **changes: Any) -> dict[str, Any]:
        """Log in as the first account, and use the token from now on.

        :param changes: Changes to the login's parameters.
        """
        body = {"clientID": self.sandbox.client_id, "clientSecret": self.sandbox.client_secret, **changes}
        answer: dict[str, Any] = self.send("POST", LOGIN, json=body).json()
        if answer["code"] == 0:
            self.session.headers["Authorization"] = f"Bearer {answer['data']['accessToken']}"
        return answer

    def post(self, path: str, **body: Any) -> dict[str, Any]:
        """Return the envelope of a POST."""
        answer: dict[str, Any] = self.send("POST", path, json=body).json()
        return answer

    def get(self, path: str, **params: Any) -> dict[str, Any]:
        """Return the envelope of a GET."""
        answer: dict[str, Any] = self.send("GET", path, params=params).json()
        return answer

    def submit(self, url: str, **params: Any) -> int:
        """Create an offline task and return its taskID.

        :param params: More parameters of the call.
        """
        answer = self.post(CREATE, url=url, type=1, **params)
        assert answer["code"] == 0, answer
        task_id: int = answer["data"]["taskID"]
        return task_id

    def progress(self, task_id: int) -> dict[str, Any]:
        """Return `process` and `status` of an offline task."""
        data: dict[str, Any] = self.get(PROGRESS, taskID=task_id)["data"]
        return data

    def wait(self, task_id: int) -> int:
        """Wait for the end of an offline task and return its status."""
        return wait_until(lambda: status if (status := self.progress(task_id)["status"]) in (1, 2) else 0)

    def migrate(self, url: str, **params: Any) -> None:
        """Create an offline task and wait for its success.

        :param params: More parameters of the call.
        """
        assert self.wait(self.submit(url, **params)) == 2

    def directory(self, name: str, parent: str = "") -> str:
        """Create a directory and return its id."""
        answer = self.post(MKDIR, name=[name], parentID=parent, type=1)
        directory_id: str = answer["data"]["list"][0]["dirID"]
        return directory_id

    def files(self, directory: str, **params: Any) -> list[dict[str, Any]]:
        """Return up to 100 entries of a directory.

        :param params: More parameters of the call.
        """
        answer = self.post(LIST, parentFileId=directory, limit=100, type=1, **params)
        files: list[dict[str, Any]] = answer["data"]["fileList"]
        return files
