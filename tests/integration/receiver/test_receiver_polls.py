"""Long polls of the receiver: which deliveries they return, and when they end."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from airflow_provider_123pan.callbacks.address import new_callback_id
from airflow_provider_123pan.callbacks.delivery import Delivery, DeliveryStatus
from airflow_provider_123pan.receiver.inbox import Inbox
from airflow_provider_123pan.receiver.lifecycle import ReceiverTiming
from airflow_provider_123pan.receiver.reader import ReaderTiming
from tests.integration.receiver.support import CONN_ID, SAMPLE, ReceiverServer, running_receiver

NO_CHECKS = ReceiverTiming(reader=ReaderTiming(check=1e6))


def test_a_delivery_wakes_a_poll_of_the_same_process(start_receiver: Callable[..., ReceiverServer]) -> None:
    receiver = start_receiver(timing=NO_CHECKS)
    epoch, last = receiver.cursor()
    with ThreadPoolExecutor(1) as threads:
        for _ in range(5):
            poll = receiver.open_poll(threads, epoch, last)
            assert receiver.deliver().status_code == 200
            page = poll.result()
            assert len(page["deliveries"]) == 1
            last = page["last"]


def test_a_periodic_check_finds_a_delivery_to_another_process(
    start_receiver: Callable[..., ReceiverServer],
) -> None:
    receiver, other = start_receiver(), start_receiver(timing=NO_CHECKS)
    epoch, last = receiver.cursor()
    assert other.cursor() == (epoch, last)
    with ThreadPoolExecutor(1) as threads:
        poll = receiver.open_poll(threads, epoch, last)
        assert other.deliver().status_code == 200
        assert len(poll.result()["deliveries"]) == 1


def test_a_poll_without_deliveries_ends_with_its_timeout(receiver: ReceiverServer) -> None:
    epoch, last = receiver.cursor()
    assert receiver.poll(epoch, last, 0) == {"epoch": epoch, "last": last, "deliveries": []}
    assert receiver.poll(epoch, last, 0.1) == {"epoch": epoch, "last": last, "deliveries": []}


def test_a_delivery_to_another_connection_advances_the_cursor(receiver: ReceiverServer) -> None:
    epoch, last = receiver.cursor()
    receiver.deliver(conn_id="other")
    assert receiver.poll(epoch, last, 0.1) == {"epoch": epoch, "last": last + 1, "deliveries": []}


def test_a_cursor_of_another_table_gets_the_current_one(receiver: ReceiverServer) -> None:
    receiver.deliver()
    epoch, last = receiver.cursor()
    for page in (receiver.poll("another", 0), receiver.poll(None, 0), receiver.poll(epoch, last + 7)):
        assert page == {"epoch": epoch, "last": last, "deliveries": []}


def test_a_limited_page_ends_where_the_next_one_begins(receiver: ReceiverServer) -> None:
    epoch, last = receiver.cursor()
    for _ in range(5):
        receiver.deliver()
    sizes = []
    while found := (page := receiver.poll(epoch, last, 0, limit=2))["deliveries"]:
        sizes.append(len(found))
        last = page["last"]
    assert sizes == [2, 2, 1]


def test_a_thousand_callbacks_are_looked_up_in_one_request(receiver: ReceiverServer) -> None:
    ids = [new_callback_id() for _ in range(1000)]
    inbox = Inbox(lambda: receiver.engine)
    inbox.store([(CONN_ID, Delivery(callback_id, DeliveryStatus.SUCCEEDED)) for callback_id in ids])
    assert [found["callback_id"] for found in receiver.lookup(*ids)["deliveries"]] == ids


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_followers_miss_no_delivery(database: str, request: pytest.FixtureRequest) -> None:
    """Four clients write to two receivers, while two followers read from them with different page sizes."""
    uri = request.getfixturevalue(database)
    written_all = threading.Event()

    def write(receiver: ReceiverServer) -> list[str]:
        with httpx.Client(trust_env=False) as client:
            written = []
            for number in range(60):
                callback_id = new_callback_id()
                conn_id = "other" if number % 5 == 0 else CONN_ID
                url = receiver.callback_url(callback_id, conn_id)
                assert client.post(url, json=SAMPLE).status_code == 200
                if conn_id == CONN_ID:
                    written.append(callback_id)
            return written

    def follow(receiver: ReceiverServer, epoch: str, after: int, limit: int) -> list[str]:
        seen: list[str] = []
        for timeout in itertools.cycle([0, 0.1, 1]):
            is_last = written_all.is_set()
            page = receiver.poll(epoch, after, timeout, limit=limit)
            assert page["epoch"] == epoch
            assert page["last"] >= after
            after = page["last"]
            seen += [found["callback_id"] for found in page["deliveries"]]
            if is_last and not page["deliveries"]:
                break
        return seen

    with running_receiver(uri) as one, running_receiver(uri) as two, ThreadPoolExecutor(6) as threads:
        epoch, last = one.cursor()
        followers = [
            threads.submit(follow, one, epoch, last, 3),
            threads.submit(follow, two, epoch, last, 1000),
        ]
        try:
            writers = [threads.submit(write, receiver) for receiver in (one, one, two, two)]
            written = [callback_id for writer in writers for callback_id in writer.result()]
        finally:
            written_all.set()
        for follower in followers:
            assert sorted(follower.result()) == sorted(written)
