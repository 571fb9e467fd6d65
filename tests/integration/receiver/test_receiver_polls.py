"""Long polls of the receiver: who learns of a delivery, and when."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import httpx
import pytest

from airflow_provider_123pan.callbacks.address import new_callback_id
from airflow_provider_123pan.callbacks.delivery import Delivery, DeliveryStatus
from airflow_provider_123pan.receiver.inbox import Inbox
from tests.integration import databases
from tests.integration.receiver_world import CONN_ID, SAMPLE, Running, receiver, running, uri

__all__ = ["receiver", "uri"]


@pytest.fixture(scope="module")
def postgresql() -> Iterator[str]:
    try:
        with databases.postgresql() as made:
            yield made
    except databases.Unavailable as error:
        pytest.skip(f"no PostgreSQL: {error}")


def _timed(poll: Callable[[], dict[str, Any]]) -> tuple[dict[str, Any], float]:
    answer = poll()
    return answer, time.monotonic()


def test_a_delivery_wakes_a_poll_at_once(receiver: Running) -> None:
    epoch, last = receiver.start()
    waits = []
    with ThreadPoolExecutor(1) as threads:
        for _ in range(5):
            open_poll = threads.submit(_timed, partial(receiver.poll, epoch, last))
            time.sleep(random.uniform(0.6, 0.9))
            assert receiver.deliver().status_code == 200
            stored = time.monotonic()
            answer, woken = open_poll.result()
            assert len(answer["deliveries"]) == 1
            last = answer["last"]
            waits.append(woken - stored)
    assert sorted(waits)[2] < 0.2


def test_a_delivery_to_another_process_wakes_a_poll_soon(receiver: Running, uri: str) -> None:
    with running(uri, receiver.keys) as another:
        epoch, last = receiver.start()
        assert another.start() == (epoch, last)
        waits = []
        with ThreadPoolExecutor(1) as threads:
            for _ in range(5):
                open_poll = threads.submit(_timed, partial(receiver.poll, epoch, last))
                time.sleep(random.uniform(0.6, 0.9))
                assert another.deliver().status_code == 200
                stored = time.monotonic()
                answer, woken = open_poll.result()
                assert len(answer["deliveries"]) == 1
                last = answer["last"]
                waits.append(woken - stored)
        assert sorted(waits)[2] < 1.0


def test_a_poll_ends_when_its_time_is_over(receiver: Running) -> None:
    epoch, last = receiver.start()
    start = time.monotonic()
    assert receiver.poll(epoch, last, 0) == {"epoch": epoch, "last": last, "deliveries": []}
    assert receiver.poll(epoch, last, 0.7) == {"epoch": epoch, "last": last, "deliveries": []}
    assert 0.7 <= time.monotonic() - start < 5
    receiver.deliver(conn_id="other")
    moved = receiver.poll(epoch, last, 0.7)
    assert moved == {"epoch": epoch, "last": last + 1, "deliveries": []}


def test_a_cursor_of_another_table_is_told_so_at_once(receiver: Running) -> None:
    receiver.deliver()
    epoch, last = receiver.start()
    for asked in (receiver.poll("another", 0), receiver.poll(None, 0), receiver.poll(epoch, last + 7)):
        assert asked == {"epoch": epoch, "last": last, "deliveries": []}


def test_a_limit_cuts_a_page_where_the_next_one_begins(receiver: Running) -> None:
    epoch, last = receiver.start()
    for _ in range(5):
        receiver.deliver()
    sizes = []
    while found := (page := receiver.poll(epoch, last, 0, limit=2))["deliveries"]:
        sizes.append(len(found))
        last = page["last"]
    assert sizes == [2, 2, 1]


def test_a_thousand_are_looked_up_in_one_request(receiver: Running) -> None:
    ids = [new_callback_id() for _ in range(1000)]
    inbox = Inbox(lambda: receiver.engine)
    inbox.store([(CONN_ID, Delivery(each, DeliveryStatus.SUCCEEDED)) for each in ids])
    assert [each["callback_id"] for each in receiver.lookup(*ids)["deliveries"]] == ids


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_a_reader_loses_nothing(database: str, request: pytest.FixtureRequest, uri: str) -> None:
    """Four writers on two receivers and one beside them; two readers with page sizes of their own."""
    if database == "postgresql":
        uri = request.getfixturevalue("postgresql")
    done = threading.Event()

    def write(receiver: Running) -> list[str]:
        with httpx.Client(trust_env=False) as client:
            written = []
            for number in range(60):
                callback_id = new_callback_id()
                conn_id = "other" if number % 5 == 0 else CONN_ID
                assert client.post(receiver.address(callback_id, conn_id), json=SAMPLE).status_code == 200
                if conn_id == CONN_ID:
                    written.append(callback_id)
            return written

    def read(receiver: Running, epoch: str, after: int, limit: int) -> list[str]:
        seen: list[str] = []
        while True:
            ending = done.is_set()
            page = receiver.poll(epoch, after, random.choice([0, 0.1, 1]), limit=limit)
            assert page["epoch"] == epoch
            assert page["last"] >= after
            after = page["last"]
            seen += [each["callback_id"] for each in page["deliveries"]]
            if ending and not page["deliveries"]:
                return seen

    with running(uri) as one, running(uri) as two, ThreadPoolExecutor(6) as threads:
        epoch, last = one.start()
        readers = [threads.submit(read, one, epoch, last, 3), threads.submit(read, two, epoch, last, 1000)]
        writers = [threads.submit(write, receiver) for receiver in (one, one, two, two)]
        written = [each for future in writers for each in future.result()]
        done.set()
        for future in readers:
            assert sorted(future.result()) == sorted(written)
