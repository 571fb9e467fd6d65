"""A WordPress database of each kind, by the connection `wordpress`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pymysql
import pytest

from example_dags.example_pan123_database import Tables, open_tables

_TABLES = ("wp_posts", "wp_postmeta", "pan123_journal")
_OF_MARIADB = "ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_520_ci"


def connect(conn_type: str, **fields: str) -> str:
    return json.dumps({"conn_type": conn_type, **fields})


@pytest.fixture
def sqlite_connection(tmp_path: Path) -> str:
    return connect("sqlite", host=str(tmp_path / "wordpress.db"))


@pytest.fixture
def postgresql_connection(postgresql: str) -> str:
    return connect("postgres", host=postgresql.rpartition("=")[2], login="postgres", schema="postgres")


@pytest.fixture
def mariadb_connection(mariadb: str, monkeypatch: pytest.MonkeyPatch) -> str:
    # The driver that the hook uses must be compiled; PyMySQL has the same interface.
    driver: ModuleType = pymysql
    monkeypatch.setitem(sys.modules, "MySQLdb", driver)
    extra = json.dumps({"unix_socket": mariadb, "charset": "utf8mb4"})
    return connect("mysql", login="root", schema="wordpress", extra=extra)


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def tables(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tables]:
    """Yield the empty tables of a new WordPress, once per kind of database."""
    monkeypatch.setenv("AIRFLOW_CONN_WORDPRESS", request.getfixturevalue(f"{request.param}_connection"))
    text, options = ("LONGTEXT", _OF_MARIADB) if request.param == "mariadb" else ("TEXT", "")
    with open_tables("wordpress") as tables:
        for name in _TABLES:
            tables.execute(f"DROP TABLE IF EXISTS {name}")
        tables.execute(
            f"CREATE TABLE wp_posts (ID BIGINT PRIMARY KEY, post_content {text} NOT NULL) {options}"
        )
        tables.execute(f"CREATE TABLE wp_postmeta (meta_id BIGINT PRIMARY KEY, meta_value {text}) {options}")
        tables.commit()
        yield tables
