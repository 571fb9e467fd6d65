"""The inbox's statements for databases that the tests do not run."""

from __future__ import annotations

import pytest
from sqlalchemy import Table
from sqlalchemy.dialects import mysql
from sqlalchemy.schema import CreateTable

from airflow_provider_123pan.receiver.inbox import _COUNT, _KEEP, _KNOWN, COUNTER, DELIVERIES


@pytest.mark.parametrize("table", [DELIVERIES, COUNTER], ids=str)
def test_mysql_compares_bytes_and_has_transactions(table: Table) -> None:
    made = str(CreateTable(table).compile(dialect=mysql.dialect()))  # type: ignore[no-untyped-call]
    assert "COLLATE utf8mb4_bin" in made
    assert "ENGINE=InnoDB" in made
    assert "AUTO_INCREMENT" not in made


@pytest.mark.parametrize("statement", [_COUNT, _KNOWN, _KEEP], ids=["count", "known", "keep"])
def test_mysql_knows_the_statements(statement: object) -> None:
    assert str(statement.compile(dialect=mysql.dialect()))  # type: ignore[attr-defined,no-untyped-call]
