"""Inboxes on real databases. Spawned processes import this module, so it does not import Airflow or the receiver."""

from __future__ import annotations

import multiprocessing
from typing import Any

from sqlalchemy import text
from sqlalchemy.engine import Engine

from airflow_provider_123pan.callbacks.address import new_callback_id
from airflow_provider_123pan.callbacks.delivery import Delivery, DeliveryStatus
from airflow_provider_123pan.receiver.database import create_inbox_engine
from airflow_provider_123pan.receiver.inbox import COUNTER, DELIVERIES, Inbox, Received

SPAWN = multiprocessing.get_context("spawn")


class Inboxes:
    """Inboxes over one database; each has its own engine, as in another process."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self._engines: list[Engine] = []

    def engine(self) -> Engine:
        """Return a new engine."""
        self._engines.append(create_inbox_engine(self.uri))
        return self._engines[-1]

    def new(self, created: bool = True, **arguments: Any) -> Inbox:
        """Return a new inbox, and create its tables if ``created``."""
        inbox = Inbox(self.engine, **arguments)
        if created:
            inbox.create()
        return inbox

    def drop(self, *names: str) -> None:
        """Drop these tables, by default all."""
        with self.engine().begin() as connection:
            for name in names or (DELIVERIES.name, COUNTER.name):
                connection.execute(text(f"DROP TABLE IF EXISTS {name}"))

    def __enter__(self) -> Inboxes:
        return self

    def __exit__(self, *_: object) -> None:
        for engine in self._engines:
            engine.dispose()


def delivery(reason: str = "", callback_id: str | None = None, **fields: Any) -> Delivery:
    """Return a delivery of a failed download."""
    return Delivery(callback_id or new_callback_id(), DeliveryStatus.FAILED, reason, **fields)


def all_deliveries(inbox: Inbox, conn_id: str = "a") -> list[Received]:
    """Return all deliveries of a connection."""
    return inbox.after(conn_id, 0, 1_000_000)
