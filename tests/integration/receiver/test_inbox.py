"""Which deliveries the inbox stores, in which order, and for how long."""

from __future__ import annotations

import json
import re
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy.exc import DBAPIError

from airflow_provider_123pan.callbacks.address import new_callback_id
from airflow_provider_123pan.callbacks.delivery import Delivery, DeliveryStatus
from airflow_provider_123pan.receiver import inbox as module
from airflow_provider_123pan.receiver.database import create_inbox_engine
from airflow_provider_123pan.receiver.inbox import DELIVERIES, Inbox, Received, StoreResult
from tests.integration.receiver.inboxes import SPAWN, Inboxes, all_deliveries, delivery

# --- storing ------------------------------------------------------------------------------------------


def test_deliveries_are_read_as_they_were_stored(inbox: Inbox) -> None:
    first = Delivery(new_callback_id(), DeliveryStatus.SUCCEEDED, "", "yk6baz", "https://example.com/图.jpg")
    second = delivery("图片下载失败 🙈")
    assert inbox.store([("a", first), ("a", second)]) == [StoreResult.NEW, StoreResult.NEW]
    assert all_deliveries(inbox) == [(1, first), (2, second)]
    assert inbox.after("a", 1, 10) == [(2, second)]
    assert inbox.after("a", 0, 1) == [(1, first)]
    assert inbox.state().last == 2


def test_an_empty_batch_changes_nothing(inbox: Inbox) -> None:
    assert inbox.store([]) == []
    assert inbox.state().last == 0
    assert inbox.lookup("a", []) == []


def test_equal_deliveries_are_stored_once(inbox: Inbox, inboxes: Inboxes) -> None:
    one = delivery("once")
    assert inbox.store([("a", one), ("a", one)]) == [StoreResult.NEW, StoreResult.REPEATED]
    assert inboxes.new().store([("a", one), ("a", delivery("other"))]) == [
        StoreResult.REPEATED,
        StoreResult.NEW,
    ]
    assert [seq for seq, _ in all_deliveries(inbox)] == [1, 2]
    assert inbox.state().last == 2


def test_equal_deliveries_to_two_api_servers_are_stored_once(inbox: Inbox, inboxes: Inboxes) -> None:
    together = threading.Barrier(2)

    def store(where: Inbox, what: Delivery) -> StoreResult:
        together.wait(20)
        return where.store([("a", what)])[0]

    both = [inbox, inboxes.new()]
    with ThreadPoolExecutor(2) as threads:
        for _ in range(50):
            results = threads.map(store, both, [delivery("once")] * 2)
            assert sorted(result.name for result in results) == ["NEW", "REPEATED"]


def test_four_distinct_deliveries_are_stored_per_submission(inbox: Inbox) -> None:
    callback_id = new_callback_id()
    for number in range(4):
        assert inbox.store([("a", delivery(str(number), callback_id))]) == [StoreResult.NEW]
    assert inbox.store([("a", delivery("4", callback_id)), ("a", delivery("0", callback_id))]) == [
        StoreResult.REFUSED,
        StoreResult.REPEATED,
    ]
    batch = [("a", delivery(str(number), "0" * 32)) for number in range(6)]
    assert inbox.store(batch) == [StoreResult.NEW] * 4 + [StoreResult.REFUSED] * 2
    assert [found.delivery.reason for found in inbox.lookup("a", [callback_id])] == ["0", "1", "2", "3"]


def test_connection_ids_are_compared_by_their_bytes(inbox: Inbox) -> None:
    names = ["a", "A", "\u00e1", "a\u0301", "图床", "a/b#c:d\\e", "%", "_"]
    one = delivery()
    assert inbox.store([(name, one) for name in names]) == [StoreResult.NEW] * len(names)
    for number, name in enumerate(names, 1):
        assert all_deliveries(inbox, name) == [(number, one)]
        assert inbox.lookup(name, [one.callback_id]) == [(number, one)]


def test_a_thousand_callbacks_are_looked_up_at_once(inbox: Inbox) -> None:
    batch = [("a", delivery()) for _ in range(1000)]
    inbox.store(batch[:500])
    inbox.store(batch[500:])
    ids = [sent.callback_id for _, sent in batch]
    assert [found.delivery.callback_id for found in inbox.lookup("a", ids)] == ids


def test_any_string_can_be_stored(inbox: Inbox) -> None:
    body = json.dumps(
        {"status": 1, "failReason": "\0a\ud800\u202eb\x7f\n图", "url": "http://x/\0", "fileID": "\0"}
    )
    parsed = Delivery.parse(new_callback_id(), body.encode())
    assert (parsed.reason, parsed.url, parsed.fileID) == ("ab 图", None, None)
    longest = delivery("\U0001f648" * 500, url="\U0001f648" * 4096)
    assert inbox.store([("a", parsed), ("a", longest)]) == [StoreResult.NEW, StoreResult.NEW]
    assert [found.delivery for found in all_deliveries(inbox)] == [parsed, longest]


def test_a_failed_batch_stores_nothing(inbox: Inbox) -> None:
    broken: Any = [("a", delivery()), (None, delivery())]
    with pytest.raises(DBAPIError):
        inbox.store(broken)
    assert all_deliveries(inbox) == []
    assert inbox.state().last == 0
    assert inbox.store([("a", delivery())]) == [StoreResult.NEW]
    assert inbox.state().last == 1


def test_storing_does_not_scan_the_table(inbox: Inbox, uri: str) -> None:
    """Not even before the database has statistics of it, or a burst would become slower with every delivery."""
    for _ in range(12):  # with fewer rows, a scan is cheap
        inbox.store([("a", delivery(str(number))) for number in range(1000)])
    seeking = module._SELECT_KNOWN.params(callback_ids=[new_callback_id() for _ in range(32)], conn_ids=["a"])
    engine = create_inbox_engine(uri)
    query = seeking.compile(engine, compile_kwargs={"literal_binds": True})
    explain = "EXPLAIN QUERY PLAN" if engine.dialect.name == "sqlite" else "EXPLAIN"
    with engine.connect() as connection:
        plan = "\n".join(str(row[-1]) for row in connection.exec_driver_sql(f"{explain} {query}"))
    engine.dispose()
    reads = [line for line in plan.splitlines() if DELIVERIES.name in line]
    assert any(re.search("index", line, re.IGNORECASE) for line in reads), plan
    assert not any(re.search("seq scan|scan pan123", line, re.IGNORECASE) for line in reads), plan


# --- order --------------------------------------------------------------------------------------------


def _write(uri: str, writer: int, count: int) -> list[str]:
    with Inboxes(uri) as inboxes:
        inbox = inboxes.new(created=False)
        written = []
        for number in range(count):
            batch = [("a", delivery(f"{writer}-{number}-{part}")) for part in range(1 + number % 3)]
            assert inbox.store(batch) == [StoreResult.NEW] * len(batch)
            written += [sent.callback_id for _, sent in batch]
        return written


def test_a_reader_with_a_cursor_misses_no_delivery(uri: str, inbox: Inbox) -> None:
    """Sequence numbers become visible in their order: none appears after a larger one."""
    done, seen = threading.Event(), list[Received]()

    def follow() -> None:
        cursor = 0
        while True:
            is_last = done.is_set()
            last = inbox.state().last
            found = inbox.after("a", cursor, 100)
            seen.extend(found)
            if len(found) < 100:
                cursor = max([last, *(received.seq for received in found)])
            else:
                cursor = found[-1].seq
            if is_last and not found:
                return

    with ThreadPoolExecutor(1) as reading, ProcessPoolExecutor(2, SPAWN) as pool:
        reader = reading.submit(follow)
        try:
            writers = [pool.submit(_write, uri, writer, 60) for writer in range(2)]
            with Inboxes(uri) as more, ThreadPoolExecutor(2) as threads:
                shared = more.new()
                at_once = [
                    threads.submit(lambda: [shared.store([("a", delivery())]) for _ in range(60)])
                    for _ in range(2)
                ]
                assert all(future.result() for future in at_once)
            written = [callback_id for writer in writers for callback_id in writer.result()]
        finally:
            done.set()
        reader.result()
    assert [received.seq for received in seen] == list(range(1, len(written) + 120 + 1))
    assert {received.delivery.callback_id for received in seen} >= set(written)


# --- pruning ------------------------------------------------------------------------------------------


def test_old_deliveries_are_deleted(inboxes: Inboxes) -> None:
    now = 1_800_000_000.0
    older, inbox = inboxes.new(clock=lambda: now - 1000), inboxes.new(clock=lambda: now)
    for _ in range(5):
        older.store([("a", delivery()) for _ in range(500)])
    inbox.store([("a", delivery()) for _ in range(3)])
    before = inbox.state()
    assert inbox.prune(now - 2000, now) == 0
    assert inbox.prune(now - 500, now) == 2500
    assert inbox.prune(now - 500, now) == 0
    assert [found.seq for found in all_deliveries(inbox)] == [2501, 2502, 2503]
    assert inbox.state() == before


def test_deliveries_that_are_dated_ahead_do_not_stop_pruning(inboxes: Inboxes) -> None:
    """Whether there are many of them or few, and whether they are dated a year ahead or a day."""
    now = 1_800_000_000.0
    for age, number in ((1000, 10), (-31_536_000, 2500), (900, 20), (-86400, 30), (800, 40), (0, 1)):
        inbox = inboxes.new(clock=lambda age=age: now - age)
        inbox.store([("a", delivery()) for _ in range(number)])
    assert inbox.prune(now - 2000, now + 300) == 0
    assert inbox.prune(now - 850, now + 300) == 10 + 2500 + 20
    assert inbox.prune(now - 500, now + 300) == 30 + 40
    (newest,) = all_deliveries(inbox)
    assert newest.seq == 2601


def test_a_new_delivery_that_is_dated_ahead_is_kept(inboxes: Inboxes) -> None:
    now = 1_800_000_000.0
    inboxes.new(clock=lambda: now + 31_536_000).store([("a", delivery())])
    assert inboxes.new().prune(now - 500, now + 300) == 0


def test_the_database_has_a_clock(inbox: Inbox) -> None:
    """It is this machine's, whatever time zone the session has."""
    assert abs(inbox.database_time() - time.time()) < 1800
