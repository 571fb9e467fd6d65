"""Receivers and inboxes: on SQLite always, and on PostgreSQL if its server and psycopg2 are installed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_123pan.receiver.inbox import Inbox
from tests.integration.receiver.inboxes import Inboxes
from tests.integration.receiver.support import ReceiverServer, running_receiver


@pytest.fixture
def sqlite(tmp_path: Path) -> str:
    """Return the URL of a new SQLite database."""
    return f"sqlite:///{tmp_path}/inbox.db"


@pytest.fixture(params=["sqlite", "postgresql"])
def uri(request: pytest.FixtureRequest) -> str:
    """Return the URL of a database without tables, once per kind of database."""
    uri: str = request.getfixturevalue(request.param)
    with Inboxes(uri) as inboxes:
        inboxes.drop()
    return uri


@pytest.fixture
def inboxes(uri: str) -> Iterator[Inboxes]:
    """Return a factory of inboxes over one database."""
    with Inboxes(uri) as inboxes:
        yield inboxes


@pytest.fixture
def inbox(inboxes: Inboxes) -> Inbox:
    """Return an inbox with its tables."""
    return inboxes.new()


@pytest.fixture
def start_receiver(sqlite: str) -> Iterator[Callable[..., ReceiverServer]]:
    """Return a function that starts a receiver; all receivers of a test share a SQLite database."""
    with ExitStack() as receivers:

        def start(**arguments: Any) -> ReceiverServer:
            return receivers.enter_context(running_receiver(sqlite, **arguments))

        yield start


@pytest.fixture
def receiver(start_receiver: Callable[..., ReceiverServer]) -> ReceiverServer:
    """Return a receiver with the default timing."""
    return start_receiver()
