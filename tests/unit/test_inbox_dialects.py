"""The inbox's statements for MySQL, on which the tests do not run."""

from __future__ import annotations

import pytest
from sqlalchemy import Table
from sqlalchemy.dialects import mysql
from sqlalchemy.schema import CreateTable

from airflow_provider_123pan.receiver.inbox import _COUNT, _INSERT, _SELECT_KNOWN, COUNTER, DELIVERIES


@pytest.mark.parametrize("table", [DELIVERIES, COUNTER], ids=str)
def test_tables_compare_bytes_and_have_transactions_on_mysql(table: Table) -> None:
    made = str(CreateTable(table).compile(dialect=mysql.dialect()))  # type: ignore[no-untyped-call]
    assert "COLLATE utf8mb4_bin" in made
    assert "ENGINE=InnoDB" in made
    assert "AUTO_INCREMENT" not in made


@pytest.mark.parametrize("statement", [_COUNT, _SELECT_KNOWN, _INSERT], ids=["count", "known", "insert"])
def test_statements_compile_for_mysql(statement: object) -> None:
    assert str(statement.compile(dialect=mysql.dialect()))  # type: ignore[attr-defined,no-untyped-call]
