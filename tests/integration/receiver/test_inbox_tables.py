"""The inbox's tables: how they are created, and what happens when they are created again."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from multiprocessing.synchronize import Barrier

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from airflow_provider_123pan.receiver.inbox import Inbox, StoreResult
from tests.integration.receiver.inboxes import SPAWN, Inboxes, all_deliveries, delivery

_together: Barrier  # of the processes of a pool


def _share(barrier: Barrier) -> None:
    global _together
    _together = barrier


def _create(uri: str) -> tuple[str, int]:
    with Inboxes(uri) as inboxes:
        inbox = inboxes.new(created=False)
        _together.wait(120)
        inbox.create()
        return inbox.state()


def test_several_processes_can_create_the_tables_at_once(uri: str) -> None:
    with ProcessPoolExecutor(4, SPAWN, _share, (SPAWN.Barrier(4),)) as pool:
        states = set(pool.map(_create, [uri] * 4))
    assert len(states) == 1
    assert next(iter(states))[1] == 0


def test_creating_again_changes_nothing(inbox: Inbox) -> None:
    inbox.store([("a", delivery())])
    before = inbox.state()
    inbox.create()
    assert inbox.state() == before


def test_a_new_table_has_another_epoch(inbox: Inbox, inboxes: Inboxes) -> None:
    inbox.store([("a", delivery())])
    before = inbox.state()
    inboxes.drop()
    with pytest.raises(DBAPIError):
        inbox.state()
    inbox.create()
    assert inbox.state().epoch != before.epoch
    assert inbox.state().last == 0


def test_a_new_counter_continues_above_the_stored_deliveries(inbox: Inbox, inboxes: Inboxes) -> None:
    inbox.store([("a", delivery()), ("a", delivery())])
    before = inbox.state()
    inboxes.drop("pan123_inbox_counter_v1")
    inbox.create()
    assert inbox.state().epoch != before.epoch
    assert inbox.store([("a", delivery())]) == [StoreResult.NEW]
    assert [found.seq for found in all_deliveries(inbox)] == [1, 2, 3]


def test_an_empty_counter_makes_the_inbox_unavailable(inbox: Inbox, inboxes: Inboxes) -> None:
    with inboxes.engine().begin() as connection:
        connection.execute(text("DELETE FROM pan123_inbox_counter_v1"))
    for call in (inbox.state, lambda: inbox.store([("a", delivery())])):
        with pytest.raises(LookupError):
            call()
    inbox.create()
    assert inbox.store([("a", delivery())]) == [StoreResult.NEW]


def test_another_schema_can_hold_the_tables(postgresql: str) -> None:
    with Inboxes(postgresql) as inboxes:
        engine = inboxes.engine()
        with engine.begin() as connection:
            connection.execute(text("DROP SCHEMA IF EXISTS elsewhere CASCADE"))
            connection.execute(text("CREATE SCHEMA elsewhere"))
        inbox = Inbox(lambda: engine.execution_options(schema_translate_map={None: "elsewhere"}))
        inbox.create()
        inbox.create()
        inbox.store([("a", delivery())])
        with engine.connect() as connection:
            assert connection.scalar(text("SELECT count(*) FROM elsewhere.pan123_inbox_v1")) == 1


def test_a_user_who_may_not_create_tables_can_use_them(postgresql: str) -> None:
    with Inboxes(postgresql) as inboxes:
        inboxes.drop()
        with inboxes.engine().begin() as connection:
            connection.execute(text("DROP ROLE IF EXISTS humble"))
            connection.execute(text("CREATE ROLE humble LOGIN"))
        with Inboxes(postgresql.replace("postgres@", "humble@")) as humble:
            inbox = humble.new(created=False)
            with pytest.raises(DBAPIError):
                inbox.create()
            inboxes.new()
            with inboxes.engine().begin() as connection:
                for name in ("pan123_inbox_v1", "pan123_inbox_counter_v1"):
                    connection.execute(text(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {name} TO humble"))
            inbox.create()
            assert inbox.store([("a", delivery())]) == [StoreResult.NEW]
        inboxes.drop()
