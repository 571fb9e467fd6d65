"""The receiver when there is too much, or its inbox is out of order."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.engine import Engine
from sqlalchemy.exc import OperationalError

from airflow_provider_123pan.callbacks.address import new_callback_id
from airflow_provider_123pan.receiver import reader, writer
from airflow_provider_123pan.receiver.database import create_inbox_engine
from airflow_provider_123pan.receiver.inbox import Inbox
from tests.integration.receiver_world import Running, receiver, rows, running, until, uri

__all__ = ["receiver", "uri"]


def _unavailable(answer: httpx.Response) -> None:
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0


def test_a_full_queue_says_come_back_later(receiver: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    going_on, store = threading.Event(), Inbox.store

    def slow(self: Inbox, batch: Any) -> Any:
        going_on.wait(20)
        return store(self, batch)

    monkeypatch.setattr(Inbox, "store", slow)
    monkeypatch.setattr(writer, "MAX_WAITING", 3)
    with ThreadPoolExecutor(4) as threads:
        first = [threads.submit(receiver.deliver)]
        time.sleep(0.3)  # it is being stored
        first += [threads.submit(receiver.deliver) for _ in range(3)]
        time.sleep(0.3)  # these wait
        _unavailable(receiver.deliver())
        going_on.set()
        assert [future.result().status_code for future in first] == [200] * 4
    assert rows(receiver) == 4


def test_a_store_that_hangs_says_come_back_later(receiver: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Inbox.store

    def slow(self: Inbox, batch: Any) -> Any:
        time.sleep(1)
        return store(self, batch)

    monkeypatch.setattr(Inbox, "store", slow)
    monkeypatch.setattr(writer, "TRANSACTION_SECONDS", 0.2)
    callback_id = new_callback_id()
    _unavailable(receiver.deliver(callback_id))
    until(lambda: rows(receiver) == 1)
    monkeypatch.undo()
    assert receiver.deliver(callback_id).status_code == 200
    assert rows(receiver) == 1


def test_too_many_polls_are_turned_away(receiver: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "MAX_OPEN_POLLS", 2)
    epoch, last = receiver.start()
    with ThreadPoolExecutor(2) as threads:
        opened = [threads.submit(receiver.poll, epoch, last, 2) for _ in range(2)]
        time.sleep(0.5)
        _unavailable(receiver.ask("poll", {"epoch": epoch, "after": last}))
        assert receiver.deliver().status_code == 200
        assert all(future.result()["deliveries"] for future in opened)
    assert receiver.start() == (epoch, last + 1)


def test_tables_that_vanish_are_made_again(receiver: Running) -> None:
    assert receiver.deliver().status_code == 200
    epoch, last = receiver.start()
    with receiver.engine.begin() as connection:
        for name in ("pan123_inbox_v1", "pan123_inbox_counter_v1"):
            connection.execute(text(f"DROP TABLE {name}"))
    _unavailable(receiver.deliver())
    until(lambda: receiver.deliver().status_code == 200)
    answer = receiver.poll(epoch, last)
    assert answer["epoch"] != epoch
    assert answer["deliveries"] == []


def test_an_inbox_that_cannot_be_opened_stops_nothing(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_provider_123pan.receiver.lifecycle._START_SECONDS", 0.2)
    monkeypatch.setattr("airflow_provider_123pan.receiver.lifecycle._REOPEN_SECONDS", 0.2)
    there, engine = threading.Event(), create_inbox_engine(uri)

    def connect() -> Engine:
        if not there.is_set():
            raise OperationalError("connect", None, Exception("no such host"))
        return engine

    try:
        with running(uri, connect=connect) as receiver:
            _unavailable(receiver.deliver())
            _unavailable(receiver.ask("poll", {"after": None}))
            _unavailable(receiver.ask("lookup", {"callback_ids": []}))
            assert receiver.deliver(conn_id="nobody").status_code == 404
            health = receiver.client.get("/pan123/health")
            assert health.status_code == 503
            assert health.json() == {"inbox": "unavailable", "connections": 2}
            there.set()
            until(lambda: receiver.client.get("/pan123/health").status_code == 200)
            assert receiver.deliver().status_code == 200
    finally:
        engine.dispose()


def test_health_tells_numbers_only(receiver: Running) -> None:
    receiver.keys.known["without"] = ()
    until(lambda: receiver.client.get("/pan123/health").json()["connections"] == 2)
    answer = receiver.client.get("/pan123/health")
    assert answer.status_code == 200
    assert answer.json() == {"inbox": "ready", "connections": 2}
