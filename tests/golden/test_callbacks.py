"""Callback URLs, the receiver's routes, and its tables."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import sqlite3
from argparse import Namespace
from collections.abc import Iterator
from contextlib import closing
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from itsdangerous import TimestampSigner
from starlette.testclient import TestClient

from airflow_provider_123pan.callbacks.address import callback_address

BASE = "https://airflow.example.com"
SECRET = "a client secret of some length"
CALLBACK_ID = "0123456789abcdef0123456789abcdef"
DELIVERY = {"url": "https://example.com/a.jpg", "status": 1, "failReason": "源站 404", "fileID": 100}


def read_token(conn_id: str) -> str:
    """Return a token that reads a connection's deliveries, signed as workers and triggerers sign it."""
    key = hmac.digest(SECRET.encode(), b"airflow-provider-123pan callbacks", "sha256")
    derived = hmac.digest(key, b"airflow-provider-123pan read v1", "sha256")
    signer = TimestampSigner(derived, key_derivation="none", digest_method=hashlib.sha256)
    return signer.sign(base64.urlsafe_b64encode(conn_id.encode()).rstrip(b"=")).decode()


def content_of(database: Path, query: str) -> list[dict[str, Any]]:
    with closing(sqlite3.connect(database)) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute(query)]


def tables_of(database: Path) -> list[str]:
    """Return the statements that made the tables, with all white space as single spaces."""
    rows = content_of(database, "SELECT sql FROM sqlite_master WHERE type = 'table' ORDER BY name")
    return [" ".join(row["sql"].split()) for row in rows]


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AIRFLOW__PAN123__INBOX_URI", f"sqlite:///{tmp_path}/inbox.db")
    return tmp_path / "inbox.db"


@pytest.fixture
def receiver(
    database: Path, plugin: Any, stats: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> Iterator[TestClient]:
    """The plugin's app, mounted as Airflow's API server mounts it."""
    content = {"conn_type": "pan123", "login": "id", "password": SECRET}
    monkeypatch.setenv("AIRFLOW_CONN_PAN123_DEFAULT", json.dumps(content))
    (mount,) = type(plugin)().fastapi_apps
    outer = FastAPI(lifespan=mount["app"].router.lifespan_context)
    outer.mount(mount["url_prefix"], mount["app"])
    with TestClient(outer, base_url=BASE) as client:
        yield client


@pytest.mark.parametrize(
    ("name", "callback_secret"),
    [
        ("client secret", None),
        ("callback secret", "a callback secret, long enough"),
        ("several secrets", ["a newer callback secret, long", "a callback secret, long enough"]),
        ("several secrets", '["a newer callback secret, long", "a callback secret, long enough"]'),
    ],
)
def test_a_callback_url_is_the_same_for_the_same_second(
    golden: Any, monkeypatch: pytest.MonkeyPatch, name: str, callback_secret: Any
) -> None:
    monkeypatch.setattr("time.time", lambda: 1_767_225_600.0)
    url = callback_address(
        f"{BASE}/", "pan123_default", CALLBACK_ID, client_secret=SECRET, callback_secret=callback_secret
    )
    assert url == golden.load("callback_urls")[name]


def test_a_delivery_is_answered_stored_and_counted(
    golden: Any, receiver: TestClient, database: Path, stats: dict[str, Any]
) -> None:
    url = callback_address(BASE, "pan123_default", CALLBACK_ID, client_secret=SECRET)
    stats.clear()
    for path in (url, url, url[:-1]):
        answer = receiver.post(path, json=DELIVERY)
        expected = (404, {"detail": "Not Found"}) if path != url else (200, {"code": 0, "message": "ok"})
        assert (answer.status_code, answer.json()) == expected
    assert stats == {f"pan123.deliveries.{what}": 1 for what in ("stored", "repeated", "refused")}
    (row,) = content_of(database, "SELECT * FROM pan123_inbox_v1")
    assert row["digest"] == hashlib.sha256(row["content"].encode()).hexdigest()[:32]
    golden.check("inbox_row", row | {"received_at": float(row["received_at"])})
    golden.check("inbox_counter", content_of(database, "SELECT * FROM pan123_inbox_counter_v1"))


@pytest.mark.parametrize(
    ("route", "question"),
    [("lookup", {"callback_ids": [CALLBACK_ID]}), ("poll", {"epoch": None, "after": None, "timeout": 0.1})],
)
def test_an_inbox_answers_with_its_marker(
    golden: Any, receiver: TestClient, stats: dict[str, Any], route: str, question: dict[str, Any]
) -> None:
    receiver.post(callback_address(BASE, "pan123_default", CALLBACK_ID, client_secret=SECRET), json=DELIVERY)
    headers = {"Authorization": f"Bearer {read_token('pan123_default')}"}
    answer = receiver.post(f"/pan123/inbox/{route}", json=question, headers=headers)
    assert answer.headers["X-Pan123-Inbox"] == "1"
    golden.check(f"inbox_{route}", answer.json())
    if route == "poll":
        epoch, last = answer.json()["epoch"], answer.json()["last"]
        stats.clear()
        follow = {"epoch": epoch, "after": last, "timeout": 0.1}
        assert receiver.post("/pan123/inbox/poll", json=follow, headers=headers).json()["deliveries"] == []
        assert stats == {"pan123.polls.open": [1, 0]}


def test_health_reports_the_inbox_and_the_connections(receiver: TestClient) -> None:
    answer = receiver.get("/pan123/health")
    assert answer.status_code == 200
    assert answer.json().keys() == {"inbox", "connections"}
    assert answer.json()["inbox"] == "ready"


def test_the_receiver_creates_golden_tables(golden: Any, receiver: TestClient, database: Path) -> None:
    golden.check("tables", tables_of(database))


def test_the_command_creates_golden_tables(
    golden: Any, database: Path, provider_info: dict[str, Any]
) -> None:
    (path,) = provider_info["cli"]
    module, _, name = path.rpartition(".")
    (group,) = getattr(import_module(module), name)()
    (command,) = (command for command in group.subcommands if command.name == "create-tables")
    command.func(Namespace())
    golden.check("tables", tables_of(database))
