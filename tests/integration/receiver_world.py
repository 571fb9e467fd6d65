"""A receiver over real HTTP, with the service's side and the triggerer's side of it."""

from __future__ import annotations

import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from sqlalchemy import text
from sqlalchemy.engine import Engine

from airflow_provider_123pan.callbacks.address import (
    make_callback_url,
    make_read_token,
    new_callback_id,
    secret_keys,
)
from airflow_provider_123pan.receiver.app import create_app
from airflow_provider_123pan.receiver.database import create_inbox_engine

DAY = 86400.0
SECRET = "a client secret of some length"
KEYS = secret_keys(SECRET, None)
CONN_ID = "团队/图床#1"
SAMPLE = {"url": "http://dc.com/resource.jpg", "status": 0, "failReason": "", "fileID": 100}
NOT_FOUND = (404, '{"detail":"Not Found"}')


class Keys:
    """Connections' keys; counts who asks."""

    def __init__(self, **keys: tuple[bytes, ...]) -> None:
        self.known = {CONN_ID: KEYS, "other": secret_keys("the other connection's secret", None)} | keys
        self.asked: Counter[str] = Counter()
        self.broken = False

    def names(self) -> list[str]:
        return list(self.known)

    def keys(self, conn_id: str) -> tuple[bytes, ...]:
        self.asked[conn_id] += 1
        if self.broken:
            raise ConnectionError("the backend is away")
        return self.known.get(conn_id, ())


class Running:
    """A receiver in a thread, and a client of it."""

    def __init__(self, app: FastAPI, keys: Keys, engine: Engine) -> None:
        self.app = app
        self.keys = keys
        self.engine = engine
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.base = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._server = uvicorn.Server(
            uvicorn.Config(app, log_config=None, access_log=False, lifespan="on", timeout_graceful_shutdown=1)
        )
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],))
        self.client = httpx.Client(base_url=self.base, trust_env=False, timeout=40)

    def __enter__(self) -> Running:
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()

    # --- the service's side ---

    def address(self, callback_id: str | None = None, conn_id: str = CONN_ID) -> str:
        keys = self.keys.known.get(conn_id, KEYS)
        return make_callback_url(self.base, conn_id, callback_id or new_callback_id(), keys)

    def deliver(
        self, callback_id: str | None = None, body: Any = SAMPLE, conn_id: str = CONN_ID
    ) -> httpx.Response:
        return self.client.post(self.address(callback_id, conn_id), json=body)

    # --- the triggerer's side ---

    def ask(self, what: str, question: Any, conn_id: str = CONN_ID) -> httpx.Response:
        token = make_read_token(conn_id, self.keys.known[conn_id])
        return self.client.post(
            f"/pan123/inbox/{what}", json=question, headers={"Authorization": f"Bearer {token}"}
        )

    def poll(self, epoch: str | None, after: int | None, timeout: float = 25, **more: Any) -> dict[str, Any]:
        question = {"epoch": epoch, "after": after, "timeout": timeout} | more
        return self._answer(self.ask("poll", question, more.pop("conn_id", CONN_ID)))

    def lookup(self, *callback_ids: str, conn_id: str = CONN_ID) -> dict[str, Any]:
        return self._answer(self.ask("lookup", {"callback_ids": callback_ids}, conn_id))

    def start(self) -> tuple[str, int]:
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
def running(
    uri: str, keys: Keys | None = None, connect: Callable[[], Engine] | None = None
) -> Iterator[Running]:
    engine = create_inbox_engine(uri)
    keys = keys or Keys()
    app = create_app(connect or (lambda: engine), keys, 30 * DAY, mounted=False)
    try:
        with Running(app, keys, engine) as made:
            yield made
    finally:
        engine.dispose()


@pytest.fixture
def uri(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/inbox.db"


@pytest.fixture
def receiver(uri: str) -> Iterator[Running]:
    with running(uri) as made:
        yield made


def rows(receiver: Running) -> int:
    with receiver.engine.connect() as connection:
        return connection.scalar(text("SELECT count(*) FROM pan123_inbox_v1")) or 0


def until(condition: Callable[[], bool], seconds: float = 20, why: Callable[[], str] = str) -> None:
    """Wait for condition; after so many seconds the test fails with the text of why()."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, why()
        time.sleep(0.05)
