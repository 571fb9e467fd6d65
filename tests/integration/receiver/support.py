"""A receiver over real HTTP with the service's and the triggerer's side of it."""

from __future__ import annotations

import hashlib
import hmac
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI
from itsdangerous import TimestampSigner
from sqlalchemy import event, text
from sqlalchemy.engine import Engine

from airflow_provider_123pan.callbacks.address import (
    make_callback_url,
    make_read_token,
    new_callback_id,
    secret_keys,
)
from airflow_provider_123pan.receiver.app import create_app
from airflow_provider_123pan.receiver.database import create_inbox_engine
from airflow_provider_123pan.receiver.inbox import COUNTER, DELIVERIES
from airflow_provider_123pan.receiver.lifecycle import ReceiverTiming

DAY_SECONDS = 86400.0
SECRET = "a client secret of some length"
KEYS = secret_keys(SECRET, None)
CONN_ID = "团队/图床#1"
SAMPLE = {"url": "http://dc.com/resource.jpg", "status": 0, "failReason": "", "fileID": 100}
NOT_FOUND = (404, '{"detail":"Not Found"}')
CALLBACK_SALT = b"airflow-provider-123pan callback v1"
READ_SALT = b"airflow-provider-123pan read v1"


def until(condition: Callable[[], bool], seconds: float = 60, why: Callable[[], str] = str) -> None:
    """Wait for a condition; after the given time the test fails with the string that ``why`` returns."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, why()
        time.sleep(0.02)


def sign(value: str, keys: Sequence[bytes], salt: bytes, signed_at: float) -> str:
    """Sign a value as the provider does, at any time."""

    class Signer(TimestampSigner):
        def get_timestamp(self) -> int:
            return int(signed_at)

    derived = [hmac.digest(key, salt, "sha256") for key in reversed(keys)]
    return Signer(derived, key_derivation="none", digest_method=hashlib.sha256).sign(value).decode()


# -- a receiver --


class Keys:
    """The keys of connections, with a counter of look-ups."""

    def __init__(self, **keys: tuple[bytes, ...]) -> None:
        self.known = {CONN_ID: KEYS, "other": secret_keys("the other connection's secret", None)} | keys
        self.lookups: Counter[str] = Counter()
        self.broken = False

    def names(self) -> list[str]:
        """Return all connection ids."""
        return list(self.known)

    def keys(self, conn_id: str) -> tuple[bytes, ...]:
        """Count a look-up, and return the keys."""
        self.lookups[conn_id] += 1
        if self.broken:
            raise ConnectionError("the backend is unavailable")
        return self.known.get(conn_id, ())


class ReceiverServer:
    """A receiver in a thread, with a client of it."""

    def __init__(self, app: FastAPI, keys: Keys, engine: Engine) -> None:
        self.keys = keys
        self.engine = engine
        self.reads = 0  # of the inbox's state
        self.writes = 0  # transactions that began to store deliveries
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.base_url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._server = uvicorn.Server(
            uvicorn.Config(app, log_config=None, access_log=False, lifespan="on", timeout_graceful_shutdown=1)
        )
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],))
        self.client = httpx.Client(base_url=self.base_url, trust_env=False, timeout=60)

    def __enter__(self) -> ReceiverServer:
        event.listen(self.engine, "before_cursor_execute", self._count_write)
        event.listen(self.engine, "after_cursor_execute", self._count_read)
        self._thread.start()
        until(lambda: self._server.started)
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()

    def _count_write(self, _: Any, __: Any, statement: str, *___: Any) -> None:
        self.writes += statement.startswith(f"UPDATE {COUNTER.name}")

    def _count_read(self, _: Any, __: Any, statement: str, *___: Any) -> None:
        self.reads += statement.startswith(f"SELECT {COUNTER.name}.epoch")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the database's write lock, so that transactions of the receiver wait."""
        with self.engine.connect() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield
            connection.exec_driver_sql("ROLLBACK")

    def rows(self) -> int:
        """Return the number of stored deliveries."""
        with self.engine.connect() as connection:
            return connection.scalar(text(f"SELECT count(*) FROM {DELIVERIES.name}")) or 0

    # The service's side.

    def callback_url(self, callback_id: str | None = None, conn_id: str = CONN_ID) -> str:
        """Return the callback URL of a submission, by default of a new one."""
        keys = self.keys.known.get(conn_id, KEYS)
        return make_callback_url(self.base_url, conn_id, callback_id or new_callback_id(), keys)

    def deliver(
        self, callback_id: str | None = None, body: Any = SAMPLE, conn_id: str = CONN_ID
    ) -> httpx.Response:
        """Call back as the service does."""
        return self.client.post(self.callback_url(callback_id, conn_id), json=body)

    # The triggerer's side.

    def query(self, route: str, body: Any, conn_id: str = CONN_ID) -> httpx.Response:
        """Send a request to read, with a valid read token."""
        token = make_read_token(conn_id, self.keys.known[conn_id])
        return self.client.post(
            f"/pan123/inbox/{route}", json=body, headers={"Authorization": f"Bearer {token}"}
        )

    def poll(
        self, epoch: str | None, after: int | None, timeout: float = 25, conn_id: str = CONN_ID, **more: Any
    ) -> dict[str, Any]:
        """Make a long poll, and return the page."""
        body = {"epoch": epoch, "after": after, "timeout": timeout} | more
        return self._answer(self.query("poll", body, conn_id))

    def open_poll(self, threads: Executor, epoch: str, after: int) -> Future[dict[str, Any]]:
        """Start a long poll in a thread, and return when it has found nothing in the inbox and waits.

        The receiver must have no other reads of the inbox's state at this time.
        """
        reads = self.reads
        poll = threads.submit(self.poll, epoch, after)
        until(lambda: self.reads > reads)
        return poll

    def lookup(self, *callback_ids: str, conn_id: str = CONN_ID) -> dict[str, Any]:
        """Look up callbacks, and return the page."""
        return self._answer(self.query("lookup", {"callback_ids": callback_ids}, conn_id))

    def cursor(self) -> tuple[str, int]:
        """Return the epoch and the last sequence number, with which a follower begins."""
        answer = self.poll(None, None)
        assert answer["deliveries"] == []
        return answer["epoch"], answer["last"]

    @staticmethod
    def _answer(response: httpx.Response) -> dict[str, Any]:
        assert response.status_code == 200, response.text
        assert response.headers["X-Pan123-Inbox"] == "1"
        answer: dict[str, Any] = response.json()
        assert set(answer) == {"epoch", "last", "deliveries"}
        return answer


@contextmanager
def running_receiver(
    uri: str,
    keys: Keys | None = None,
    connect: Callable[[], Engine] | None = None,
    timing: ReceiverTiming | None = None,
) -> Iterator[ReceiverServer]:
    """Run a receiver on a database."""
    engine = create_inbox_engine(uri)
    keys = keys or Keys()
    app = create_app(connect or (lambda: engine), keys, 30 * DAY_SECONDS, mounted=False, timing=timing)
    try:
        with ReceiverServer(app, keys, engine) as server:
            yield server
    finally:
        engine.dispose()
