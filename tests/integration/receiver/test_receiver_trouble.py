"""The receiver under overload, and with an unavailable inbox."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait

import httpx
from sqlalchemy import text
from sqlalchemy.engine import Engine
from sqlalchemy.exc import OperationalError

from airflow_provider_123pan.callbacks.address import new_callback_id
from airflow_provider_123pan.callbacks.delivery import Delivery, DeliveryStatus
from airflow_provider_123pan.receiver.database import create_inbox_engine
from airflow_provider_123pan.receiver.inbox import Inbox
from airflow_provider_123pan.receiver.lifecycle import ReceiverTiming
from airflow_provider_123pan.receiver.reader import ReaderTiming
from airflow_provider_123pan.receiver.writer import WriterTiming
from tests.integration.receiver.support import DAY_SECONDS, ReceiverServer, until

StartReceiver = Callable[..., ReceiverServer]


def _assert_unavailable(answer: httpx.Response) -> None:
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0


def test_a_full_queue_rejects_deliveries(start_receiver: StartReceiver) -> None:
    receiver = start_receiver(timing=ReceiverTiming(writer=WriterTiming(max_pending=3)))
    with ThreadPoolExecutor(5) as threads:
        with receiver.locked():
            stored = threads.submit(receiver.deliver)
            until(lambda: receiver.writes == 1)
            others = [threads.submit(receiver.deliver) for _ in range(4)]
            rejected, pending = wait(others, timeout=60, return_when=FIRST_COMPLETED)
            (rejection,) = rejected
            _assert_unavailable(rejection.result())
        assert [future.result().status_code for future in (stored, *pending)] == [200] * 4
    assert receiver.rows() == 4


def test_a_stuck_transaction_rejects_its_deliveries(start_receiver: StartReceiver) -> None:
    receiver = start_receiver(timing=ReceiverTiming(writer=WriterTiming(transaction=0.2)))
    callback_id = new_callback_id()
    with receiver.locked():
        _assert_unavailable(receiver.deliver(callback_id))
    until(lambda: receiver.rows() == 1)
    until(lambda: receiver.deliver(callback_id).status_code == 200)
    assert receiver.rows() == 1


def test_too_many_polls_are_rejected(start_receiver: StartReceiver) -> None:
    receiver = start_receiver(timing=ReceiverTiming(reader=ReaderTiming(check=1e6, max_open_polls=2)))
    epoch, last = receiver.cursor()
    with ThreadPoolExecutor(2) as threads:
        polls = [receiver.open_poll(threads, epoch, last) for _ in range(2)]
        _assert_unavailable(receiver.query("poll", {"epoch": epoch, "after": last}))
        assert receiver.deliver().status_code == 200
        assert all(poll.result()["deliveries"] for poll in polls)
    assert receiver.cursor() == (epoch, last + 1)


def test_a_connection_cannot_take_all_polls(start_receiver: StartReceiver) -> None:
    receiver = start_receiver(timing=ReceiverTiming(reader=ReaderTiming(check=1e6, max_connection_polls=1)))
    epoch, last = receiver.cursor()
    with ThreadPoolExecutor(1) as threads:
        poll = receiver.open_poll(threads, epoch, last)
        _assert_unavailable(receiver.query("poll", {"epoch": epoch, "after": last}))
        assert receiver.poll(epoch, last, 0, conn_id="other")["deliveries"] == []
        assert receiver.deliver().status_code == 200
        assert poll.result()["deliveries"]


def test_missing_tables_are_created_again(receiver: ReceiverServer) -> None:
    assert receiver.deliver().status_code == 200
    epoch, last = receiver.cursor()
    with receiver.engine.begin() as connection:
        for name in ("pan123_inbox_v1", "pan123_inbox_counter_v1"):
            connection.execute(text(f"DROP TABLE {name}"))
    _assert_unavailable(receiver.deliver())
    until(lambda: receiver.deliver().status_code == 200)
    page = receiver.poll(epoch, last)
    assert page["epoch"] != epoch
    assert page["deliveries"] == []


def test_a_receiver_deletes_old_deliveries(sqlite: str, start_receiver: StartReceiver) -> None:
    engine = create_inbox_engine(sqlite)
    times = iter([time.time() - days * DAY_SECONDS for days in (31, 29)])
    inbox = Inbox(lambda: engine, lambda: next(times))
    inbox.create()
    for _ in range(2):
        inbox.store([("a", Delivery(new_callback_id(), DeliveryStatus.SUCCEEDED))])
    engine.dispose()
    receiver = start_receiver()
    until(lambda: receiver.rows() == 1)


def test_a_receiver_starts_without_its_inbox(sqlite: str, start_receiver: StartReceiver) -> None:
    available, engine = threading.Event(), create_inbox_engine(sqlite)

    def connect() -> Engine:
        if not available.is_set():
            raise OperationalError("connect", None, Exception("no such host"))
        return engine

    try:
        receiver = start_receiver(connect=connect, timing=ReceiverTiming(start=0.1, reopen=0.1))
        _assert_unavailable(receiver.deliver())
        _assert_unavailable(receiver.query("poll", {"after": None}))
        _assert_unavailable(receiver.query("lookup", {"callback_ids": []}))
        assert receiver.deliver(conn_id="unknown").status_code == 404
        health = receiver.client.get("/pan123/health")
        assert health.status_code == 503
        assert health.json() == {"inbox": "unavailable", "connections": 2}
        available.set()
        until(lambda: receiver.client.get("/pan123/health").status_code == 200)
        assert receiver.deliver().status_code == 200
    finally:
        engine.dispose()


def test_a_locked_inbox_is_not_healthy(start_receiver: StartReceiver) -> None:
    """Although it can be read, and it does not matter how many clients request its health."""
    receiver = start_receiver(timing=ReceiverTiming(health=0.0, health_check=0.1))
    assert receiver.client.get("/pan123/health").status_code == 200
    with receiver.locked():
        assert receiver.lookup(new_callback_id())["deliveries"] == []
        writes = receiver.writes
        with ThreadPoolExecutor(4) as threads:
            answers = list(threads.map(lambda _: receiver.client.get("/pan123/health"), range(8)))
        assert [answer.status_code for answer in answers] == [503] * 8
        assert answers[0].json()["inbox"] == "unavailable"
        assert receiver.writes == writes + 1
    until(lambda: receiver.client.get("/pan123/health").status_code == 200)
    assert receiver.rows() == 0


def test_health_writes_at_most_once_in_a_while(start_receiver: StartReceiver) -> None:
    receiver = start_receiver(timing=ReceiverTiming(health=1e6))
    assert receiver.writes == 0
    for _ in range(5):
        assert receiver.client.get("/pan123/health").status_code == 200
    assert receiver.writes == 1


def test_health_reports_only_numbers(receiver: ReceiverServer) -> None:
    receiver.keys.known["without"] = ()
    until(lambda: receiver.client.get("/pan123/health").json()["connections"] == 2)
    answer = receiver.client.get("/pan123/health")
    assert answer.status_code == 200
    assert answer.json() == {"inbox": "ready", "connections": 2}
