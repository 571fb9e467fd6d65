"""Inboxes on real databases: SQLite always, PostgreSQL where its server and psycopg2 are installed."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.engine import Engine

from airflow_provider_123pan.callbacks.address import new_callback_id
from airflow_provider_123pan.callbacks.delivery import Delivery, DeliveryStatus
from airflow_provider_123pan.receiver.database import create_inbox_engine
from airflow_provider_123pan.receiver.inbox import Inbox, Received
from tests.integration import databases

SPAWN = multiprocessing.get_context("spawn")


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    try:
        with databases.postgresql() as address:
            yield address
    except databases.Unavailable as error:
        pytest.skip(f"no PostgreSQL: {error}")


@pytest.fixture(params=["sqlite", "postgresql"])
def uri(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database without tables."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/inbox.db"
    address: str = request.getfixturevalue("postgresql")
    with Inboxes(address) as inboxes:
        inboxes.drop()
    return address


class Inboxes:
    """Inboxes over one database, each with an engine of its own as another process would have."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._engines: list[Engine] = []

    def engine(self) -> Engine:
        self._engines.append(create_inbox_engine(self._uri))
        return self._engines[-1]

    def new(self, created: bool = True) -> Inbox:
        inbox = Inbox(self.engine)
        if created:
            inbox.create()
        return inbox

    def drop(self, *names: str) -> None:
        with self.engine().begin() as connection:
            for name in names or ("pan123_inbox_v1", "pan123_inbox_counter_v1"):
                connection.execute(text(f"DROP TABLE IF EXISTS {name}"))

    def __enter__(self) -> Inboxes:
        return self

    def __exit__(self, *_: object) -> None:
        for engine in self._engines:
            engine.dispose()


@pytest.fixture
def inboxes(uri: str) -> Iterator[Inboxes]:
    with Inboxes(uri) as made:
        yield made


@pytest.fixture
def inbox(inboxes: Inboxes) -> Inbox:
    return inboxes.new()


def delivery(reason: str = "", callback_id: str | None = None, **fields: Any) -> Delivery:
    return Delivery(callback_id or new_callback_id(), DeliveryStatus.FAILED, reason, **fields)


def everything(inbox: Inbox, conn_id: str = "a") -> list[Received]:
    return inbox.after(conn_id, 0, 1_000_000)
