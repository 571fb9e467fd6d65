"""The receiver over real HTTP: what it takes, what it refuses, who learns of it and when."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog
import uvicorn
from fastapi import FastAPI
from sqlalchemy import text
from sqlalchemy.engine import Engine
from sqlalchemy.exc import OperationalError

from airflow_provider_123pan.callbacks import address, reader, writer
from airflow_provider_123pan.callbacks.address import (
    callback_address,
    mint,
    mint_read_token,
    new_callback_id,
    secret_keys,
)
from airflow_provider_123pan.callbacks.database import own_engine
from airflow_provider_123pan.callbacks.delivery import Delivery, DeliveryStatus
from airflow_provider_123pan.callbacks.inbox import Inbox
from airflow_provider_123pan.callbacks.receiver import create_app
from tests.integration import databases

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
        return mint(self.base, conn_id, callback_id or new_callback_id(), keys)

    def deliver(
        self, callback_id: str | None = None, body: Any = SAMPLE, conn_id: str = CONN_ID
    ) -> httpx.Response:
        return self.client.post(self.address(callback_id, conn_id), json=body)

    # --- the triggerer's side ---

    def ask(self, what: str, question: Any, conn_id: str = CONN_ID) -> httpx.Response:
        token = mint_read_token(conn_id, self.keys.known[conn_id])
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
    engine = own_engine(uri)
    keys = keys or Keys()
    app = create_app(connect or (lambda: engine), keys, 30 * DAY, mounted=False)
    try:
        with Running(app, keys, engine) as made:
            yield made
    finally:
        engine.dispose()


@pytest.fixture(scope="module")
def postgresql() -> Iterator[str]:
    try:
        with databases.postgresql() as made:
            yield made
    except databases.Unavailable as error:
        pytest.skip(f"no PostgreSQL: {error}")


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


def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


# --- delivering ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("conn_id", [CONN_ID, "other"])
def test_a_delivery_reaches_its_reader(receiver: Running, conn_id: str) -> None:
    callback_id = new_callback_id()
    answer = receiver.deliver(callback_id, conn_id=conn_id)
    assert answer.status_code == 200
    expected = {
        "callback_id": callback_id,
        "seq": 1,
        "status": 0,
        "reason": "",
        "fileID": "100",
        "url": "http://dc.com/resource.jpg",
    }
    found = receiver.lookup(callback_id, conn_id=conn_id)
    assert found["deliveries"] == [expected]
    assert receiver.poll(found["epoch"], 0, conn_id=conn_id)["deliveries"] == [expected]
    another = "other" if conn_id == CONN_ID else CONN_ID
    assert receiver.lookup(callback_id, conn_id=another)["deliveries"] == []
    assert receiver.poll(found["epoch"], 0, 0, conn_id=another)["deliveries"] == []


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"status": 1, "failReason": "下载失败"}, (1, "下载失败", None, None)),
        ({"status": 1, "fileReason": "下载失败"}, (1, "下载失败", None, None)),
        ({"status": 1, "failReason": "", "fileReason": "b"}, (1, "b", None, None)),
        ({"status": "1", "failReason": "a\u0000\n b\u001b[31m", "fileID": 0}, (1, "a b[31m", None, None)),
        ({"status": 1, "failReason": "长" * 900}, (1, "长" * 500, None, None)),
        ({"status": 1, "failReason": {"a": 1}, "fileID": [], "url": 5}, (1, "", None, None)),
        ({"status": 0, "fileID": "yk6baz", "url": "http://x/图"}, (0, "", "yk6baz", "http://x/图")),
        ({"status": 0, "fileID": 2**63}, (0, "", str(2**63), None)),
        ({"status": 0, "fileID": True}, (0, "", None, None)),
        ({"status": 0, "fileID": "x" * 200}, (0, "", None, None)),
    ],
)
def test_deliveries_are_understood_tolerantly(
    receiver: Running, body: Any, expected: tuple[Any, ...]
) -> None:
    callback_id = new_callback_id()
    assert receiver.deliver(callback_id, body).status_code == 200
    (found,) = receiver.lookup(callback_id)["deliveries"]
    assert (found["status"], found["reason"], found["fileID"], found["url"]) == expected


def test_twice_is_once_and_a_lie_does_not_hide_the_truth(receiver: Running) -> None:
    callback_id = new_callback_id()
    lie = {"status": 1, "failReason": "a lie"}
    for body in (lie, lie, SAMPLE, SAMPLE):
        assert receiver.deliver(callback_id, body).status_code == 200
    assert [each["status"] for each in receiver.lookup(callback_id)["deliveries"]] == [1, 0]
    for number in range(2):
        assert receiver.deliver(callback_id, {"status": 1, "failReason": str(number)}).status_code == 200
    fifth = receiver.deliver(callback_id, {"status": 1, "failReason": "one too many"})
    assert (fifth.status_code, fifth.text) == NOT_FOUND
    assert receiver.deliver(callback_id).status_code == 200
    assert len(receiver.lookup(callback_id)["deliveries"]) == 4


def test_the_helper_for_tests_makes_an_address_that_works(receiver: Running) -> None:
    made = callback_address(receiver.base, CONN_ID, new_callback_id(), client_secret=SECRET)
    assert receiver.client.post(made, json=SAMPLE).status_code == 200


# --- refusing -----------------------------------------------------------------------------------------


def _forged(receiver: Running, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, str, bytes]]:
    """Everything that must be refused: what it is, its address and its body."""
    body = json.dumps(SAMPLE).encode()
    good = receiver.address()
    head, _, token = good.rpartition("/")
    name, callback_id, moment, signature = token.split(".")
    other = mint(receiver.base, CONN_ID, callback_id, receiver.keys.known["other"])
    yield "another connection's key", other, body
    yield "another connection's name", f"{head}/{'.'.join(['b3RoZXI', callback_id, moment, signature])}", body
    yield "another submission", f"{head}/{'.'.join([name, new_callback_id(), moment, signature])}", body
    yield "cut", good[:-1], body
    yield "longer", good + "A", body
    yield "slash", good + "/", body
    yield "unknown connection", receiver.address(conn_id="nobody"), body
    yield "no signature", f"{head}/{name}.{callback_id}", body
    yield "a read token", f"{head}/{mint_read_token(CONN_ID, KEYS)}", body
    yield "empty", f"{head}/", body
    yield "nonsense", f"{head}/../../etc/passwd", body
    yield "encoded slash", f"{head}/%2e%2e%2f{token}", body
    yield "over-long token", f"{head}/{'A' * 60_000}", body
    with monkeypatch.context() as patch:
        patch.setattr(address, "_CALLBACK_SALT", b"airflow-provider-123pan callback v0")
        older = receiver.address()
    yield "older version", older, body
    with monkeypatch.context() as patch:
        now = time.time()
        patch.setattr(address.time, "time", lambda: now - 30 * DAY - 60)
        expired = receiver.address()
    yield "expired", expired, body
    for what, wrong in {
        "not JSON": b"status=0",
        "empty body": b"",
        "not UTF-8": b'{"status": 0, "url": "\xff"}',
        "a list": b"[0]",
        "null": b"null",
        "no status": b"{}",
        "status 2": b'{"status": 2}',
        "status true": b'{"status": true}',
        "nested": b"[" * 16_000,
        "long number": b'{"status": ' + b"1" * 10_000 + b"}",
        "over-long body": json.dumps(SAMPLE | {"failReason": "x" * 17_000}).encode(),
        "huge body": b"x" * 3_000_000,
    }.items():
        yield what, good, wrong


def test_all_that_is_refused_gets_one_answer(receiver: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {}
    for what, url, body in _forged(receiver, monkeypatch):
        answer = receiver.client.post(url, content=body)
        headers = {name: value for name, value in answer.headers.items() if name != "date"}
        answers[what] = (answer.status_code, answer.text, headers)
    assert len(answers) > 25
    assert {what for what, answer in answers.items() if answer[:2] != NOT_FOUND} == set()
    assert len({str(answer) for answer in answers.values()}) == 1
    assert rows(receiver) == 0


def test_a_body_without_a_length_is_read_to_the_bound_only(receiver: Running) -> None:
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        while sent < 50_000_000:
            sent += 8192
            yield b" " * 8192

    try:
        answer = receiver.client.post(receiver.address(), content=endless())
        assert (answer.status_code, answer.text) == NOT_FOUND
    except httpx.HTTPError:
        pass  # cut off while sending
    body = json.dumps(SAMPLE).encode()
    assert receiver.client.post(receiver.address(), content=iter([body[:9], body[9:]])).status_code == 200


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"])
def test_other_methods_and_paths_get_the_same_answer(receiver: Running, method: str) -> None:
    for path in (receiver.address(), "/pan123/inbox/poll", "/pan123/docs", "/pan123/openapi.json", "/pan123"):
        answer = receiver.client.request(method, path)
        assert answer.status_code == 404
        assert answer.text == ("" if method == "HEAD" else NOT_FOUND[1])


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer x",
        "Basic {token}",
        "Bearer {callback}",
        "Bearer {other}",
        "Bearer {cut}",
        "Bearer {expired}",
        "Bearer {unknown}",
    ],
)
def test_only_a_read_token_reads(
    receiver: Running, authorization: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = mint_read_token(CONN_ID, KEYS)
    with monkeypatch.context() as patch:
        now = time.time()
        patch.setattr(address.time, "time", lambda: now - 660)
        expired = mint_read_token(CONN_ID, KEYS)
    header = (authorization or "").format(
        token=token,
        callback=receiver.address().rpartition("/")[2],
        other=mint_read_token(CONN_ID, receiver.keys.known["other"]),
        cut=token[:-1],
        expired=expired,
        unknown=mint_read_token("nobody", KEYS),
    )
    for path, question in (("poll", {"after": None}), ("lookup", {"callback_ids": []})):
        answer = receiver.client.post(
            f"/pan123/inbox/{path}",
            json=question,
            headers={} if authorization is None else {"Authorization": header},
        )
        assert (answer.status_code, answer.text) == NOT_FOUND
        assert "X-Pan123-Inbox" not in answer.headers


@pytest.mark.parametrize(
    ("path", "question"),
    [
        ("poll", {"after": -1}),
        ("poll", {"after": 2**63}),
        ("poll", {"after": "x"}),
        ("poll", {"timeout": 26}),
        ("poll", {"timeout": -1}),
        ("poll", {"limit": 0}),
        ("poll", {"limit": 1001}),
        ("poll", []),
        ("lookup", {}),
        ("lookup", {"callback_ids": ["0" * 31]}),
        ("lookup", {"callback_ids": ["G" * 32]}),
        ("lookup", {"callback_ids": ["0" * 32] * 1001}),
        ("lookup", {"callback_ids": ["0" * 32], "more": "x" * 70_000}),
    ],
)
def test_questions_have_bounds(receiver: Running, path: str, question: Any) -> None:
    answer = receiver.ask(path, question)
    assert (answer.status_code, answer.text) == NOT_FOUND


# --- keys ---------------------------------------------------------------------------------------------


def test_no_request_costs_a_lookup(receiver: Running) -> None:
    until(lambda: receiver.client.get("/pan123/health").json()["connections"] == 2)
    receiver.keys.asked.clear()
    start = time.monotonic()
    for number in range(300):
        receiver.deliver(conn_id=f"nobody{number}")
        receiver.deliver()
        receiver.client.post(receiver.address()[:-5] + "AAAAA", json=SAMPLE)
    seconds = time.monotonic() - start
    assert receiver.keys.asked[CONN_ID] <= 1 + seconds / 5
    assert sum(receiver.keys.asked.values()) - receiver.keys.asked[CONN_ID] <= 3 + 3 * seconds


def test_a_new_or_changed_secret_works_without_a_restart(
    receiver: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_provider_123pan.callbacks.keys.RETRY", 0.2)
    assert receiver.deliver(conn_id="new").status_code == 404
    receiver.keys.known["new"] = KEYS
    receiver.keys.known[CONN_ID] = secret_keys(SECRET, "another secret altogether")
    time.sleep(0.3)
    assert receiver.deliver(conn_id="new").status_code == 200
    assert receiver.deliver().status_code == 200
    assert receiver.client.post(mint(receiver.base, CONN_ID, new_callback_id(), KEYS)).status_code == 404


def test_keys_outlive_what_they_are_read_from(receiver: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    assert receiver.deliver().status_code == 200
    monkeypatch.setattr("airflow_provider_123pan.callbacks.keys.KEEP", 0.0)
    receiver.keys.broken = True
    assert receiver.deliver().status_code == 200
    receiver.keys.broken = False
    del receiver.keys.known[CONN_ID]
    assert receiver.deliver().status_code == 404


# --- too much, or out of order ------------------------------------------------------------------------


def _unavailable(answer: httpx.Response) -> None:
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0


def test_a_full_queue_says_come_back_later(receiver: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    going_on, store = threading.Event(), Inbox.store

    def slow(self: Inbox, batch: Any) -> Any:
        going_on.wait(20)
        return store(self, batch)

    monkeypatch.setattr(Inbox, "store", slow)
    monkeypatch.setattr(writer, "MOST_WAITING", 3)
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
    monkeypatch.setattr(Inbox, "store", lambda self, batch: (time.sleep(1), store(self, batch))[1])
    monkeypatch.setattr(writer, "PATIENCE", 0.2)
    callback_id = new_callback_id()
    _unavailable(receiver.deliver(callback_id))
    until(lambda: rows(receiver) == 1)
    monkeypatch.undo()
    assert receiver.deliver(callback_id).status_code == 200
    assert rows(receiver) == 1


def test_too_many_polls_are_turned_away(receiver: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "MOST_OPEN", 2)
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
    monkeypatch.setattr("airflow_provider_123pan.callbacks.runtime._START_PATIENCE", 0.2)
    monkeypatch.setattr("airflow_provider_123pan.callbacks.runtime._MEND_EVERY", 0.2)
    there, engine = threading.Event(), own_engine(uri)

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


# --- long polls ---------------------------------------------------------------------------------------


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


# --- in Airflow ---------------------------------------------------------------------------------------


def test_the_access_log_around_it_does_not_learn_the_address(uri: str) -> None:
    from airflow.api_fastapi.common.http_access_log import HttpAccessLogMiddleware

    engine = own_engine(uri)
    inner = create_app(lambda: engine, Keys(), 30 * DAY)
    outer = FastAPI(lifespan=inner.router.lifespan_context)
    outer.mount("/pan123", inner)
    outer.add_middleware(HttpAccessLogMiddleware)
    try:
        with structlog.testing.capture_logs() as logs, Running(outer, Keys(), engine) as made:
            good = made.address()
            assert made.client.post(good, json=SAMPLE).status_code == 200
            for url in (good, good + "/", good + "/x", good[:-1]):
                assert made.client.post(url, content=b"").status_code == 404
                assert made.client.get(url).status_code == 404
            assert made.client.get("/pan123/health").status_code == 200
    finally:
        engine.dispose()
    paths = [entry["path"] for entry in logs if entry["event"] == "request finished"]
    assert set(paths) == {"/pan123/callbacks/***", "/pan123/health"}
    assert good.rpartition("/")[2] not in str(logs)


def test_the_plugin_is_light_until_the_api_server_asks() -> None:
    code = (
        "import sys, airflow.plugins_manager\n"
        "heavy = {'fastapi', 'sqlalchemy', 'uvicorn', 'itsdangerous'} - set(sys.modules)\n"
        "from airflow_provider_123pan.plugin import Pan123Plugin\n"
        "plugin = Pan123Plugin()\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        "(mount,) = plugin.fastapi_apps\n"
        "from fastapi import FastAPI\n"
        "assert isinstance(mount['app'], FastAPI)\n"
        "assert mount['url_prefix'] == '/pan123'\n"
        "assert plugin.fastapi_apps[0]['app'] is mount['app']\n"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_it_stands_alone_without_a_metadata_database(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    content = {"conn_type": "pan123", "login": "id", "password": SECRET}
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{tmp_path}/nowhere/airflow.db",
        "AIRFLOW__PAN123__INBOX_URI": f"sqlite:///{tmp_path}/inbox.db",
        "AIRFLOW_CONN_PAN123_DEFAULT": json.dumps(content),
        "AIRFLOW_CONN_ANOTHER": json.dumps(content | {"conn_type": "http"}),
    }
    command = [sys.executable, "-m", "airflow", "pan123"]
    created = subprocess.run(
        [*command, "create-tables"], env=environment, capture_output=True, text=True, timeout=120
    )
    assert created.returncode == 0, created.stderr
    assert (tmp_path / "inbox.db").exists()
    log = tmp_path / "log"
    with log.open("w") as out:
        process = subprocess.Popen(
            [*command, "receiver", "--port", str(port)],
            env=environment,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    base = f"http://127.0.0.1:{port}"
    try:
        with httpx.Client(base_url=base, trust_env=False) as client:

            def healthy() -> bool:
                try:
                    return bool(client.get("/pan123/health").json() == {"inbox": "ready", "connections": 1})
                except httpx.HTTPError:
                    return False

            until(healthy, 60)
            callback_id = new_callback_id()
            good = mint(base, "pan123_default", callback_id, KEYS)
            assert client.post(good, json=SAMPLE).status_code == 200
            assert client.post(mint(base, "another", callback_id, KEYS), json=SAMPLE).status_code == 404
            token = mint_read_token("pan123_default", KEYS)
            found = client.post(
                "/pan123/inbox/lookup",
                json={"callback_ids": [callback_id]},
                headers={"Authorization": f"Bearer {token}"},
            )
            assert len(found.json()["deliveries"]) == 1
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)
    written = log.read_text()
    assert SECRET not in written
    assert good.rpartition("/")[2] not in written
    assert token not in written
    assert not (tmp_path / "nowhere").exists()
