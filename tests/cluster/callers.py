"""A stream of requests as an open receiver gets them, at a steady rate."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import NamedTuple

import requests

from airflow_provider_123pan.callbacks.address import callback_address, new_callback_id
from airflow_provider_123pan.sandbox import Sandbox

CONN_ID = "pan123_default"
THREADS = 4
TIMEOUT_SECONDS = 30.0
REFRESH_SECONDS = 15.0
RECENT = 300


class Request(NamedTuple):
    """One request of a stream.

    :ivar kind: how the report calls it.
    :ivar expected: the status of the answer.
    :ivar body: of a POST; None: a GET.
    """

    kind: str
    url: str
    expected: int
    body: dict[str, object] | None


class Callers:
    """Threads that send requests.

    :ivar statuses: how many answers had which status, by kind and status; 0 for no answer.
    :ivar unexpected: how many answers had another status than expected, by kind. If 404 is expected, 503 is right as
        well: too many requests of strangers.
    """

    def __init__(self, per_second: float, make: Callable[[], Request]) -> None:
        """Send requests.

        :param per_second: requests of all threads together.
        :param make: returns the next one.
        """
        self.statuses: Counter[tuple[str, int]] = Counter()
        self.unexpected: Counter[str] = Counter()
        self._pause, self._make = THREADS / per_second, make
        self._lock, self._ended = threading.Lock(), threading.Event()
        self._threads = ThreadPoolExecutor(THREADS)
        self._running: list[Future[None]] = []

    def __enter__(self) -> Callers:
        """Begin to send."""
        self._running = [self._threads.submit(self._run) for _ in range(THREADS)]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End sending; raise what a thread raised."""
        self._ended.set()
        self._threads.shutdown()
        if error is None:
            for thread in self._running:
                thread.result()

    def _run(self) -> None:
        due = time.monotonic() + random.uniform(0, self._pause)
        with requests.Session() as session:
            session.trust_env = False
            while not self._ended.wait(max(0.0, due - time.monotonic())):
                due = max(due + self._pause, time.monotonic() - 1)  # a stall is not made up for
                request = self._make()
                method = "GET" if request.body is None else "POST"
                try:
                    reply = session.request(method, request.url, json=request.body, timeout=TIMEOUT_SECONDS)
                    status = reply.status_code
                except requests.RequestException:
                    status = 0
                with self._lock:
                    self.statuses[request.kind, status] += 1
                    if status != request.expected and (request.expected, status) != (404, 503):
                        self.unexpected[request.kind] += 1


class Deliveries:
    """What an open receiver gets besides the first callback of each image.

    Repeated callbacks of images of earlier batches, callbacks about a wait that is still held, and valid URLs of
    submissions that no task waits for; forged signatures, and connections that do not exist.
    """

    def __init__(self, sandbox: Sandbox, base_url: str) -> None:
        """Read the recent tasks of the sandbox from time to time.

        :param base_url: the connection's `callback_base_url`.
        """
        self._sandbox, self._base_url = sandbox, base_url
        self._held: list[dict[str, object]] = []
        self._ended: list[dict[str, object]] = []
        self._lock, self._read_at = threading.Lock(), -REFRESH_SECONDS

    def make(self) -> Request:
        """Return the next request."""
        self._refresh()
        (kind,) = random.choices(
            ("repeated", "premature", "unknown submission", "forged", "unknown connection"), (8, 1, 5, 3, 3)
        )
        if kind in ("repeated", "premature"):
            found = self._ended if kind == "repeated" else self._held
            if found:
                task = random.choice(found)
                return Request(kind, str(task["callBackUrl"]), 200, _body(task["url"], task["fileID"]))
            kind = "unknown submission"
        conn_id = f"{CONN_ID}-{random.randrange(10**6)}" if kind == "unknown connection" else CONN_ID
        url = callback_address(
            self._base_url, conn_id, new_callback_id(), client_secret=self._sandbox.client_secret
        )
        if kind == "forged":
            url = url[:-5] + random.choice(("AAAAA", "BBBBA", "CCCCA"))
        expected = 200 if kind == "unknown submission" else 404
        return Request(kind, url, expected, _body("https://example.com/unknown.png", "unknown"))

    def _refresh(self) -> None:
        with self._lock:
            if time.monotonic() - self._read_at < REFRESH_SECONDS:
                return
            self._read_at = time.monotonic()
        tasks = self._sandbox.state(RECENT)["tasks"]
        self._ended = [task for task in tasks if task["deliveries"]]
        # Those of the waits are the oldest ones, which the newest soon hide: keep what was seen first.
        self._held = self._held or [task for task in tasks if task["state"] == "running"]


def _body(url: object, file_id: object) -> dict[str, object]:
    return {"url": url, "status": 0, "failReason": "", "fileID": file_id or ""}
