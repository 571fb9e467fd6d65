"""The durable table of deliveries, on SQLite, PostgreSQL or MySQL. Every call here blocks.

A reader continues from the last sequence number that it has seen. Numbers must therefore become visible in their order:
a delivery whose number appears below a reader's cursor would be lost. An autoincrement does not guarantee that, because
transactions commit in any order. Instead, the number comes from a row that every storing transaction updates first and
keeps locked until its commit.
"""

from __future__ import annotations

import hashlib
import json
import random
import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from functools import cached_property
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import (
    BigInteger,
    Column,
    Integer,
    MetaData,
    RowMapping,
    String,
    Table,
    Text,
    UniqueConstraint,
    bindparam,
    delete,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql import func

from airflow_provider_123pan.callbacks.contract import MAX_DELIVERIES
from airflow_provider_123pan.callbacks.delivery import Delivery

_CREATE_ATTEMPTS = 5
_STORE_ATTEMPTS = 2
_RETRY_SECONDS = (0.02, 0.2)  # between two attempts: at least, and at most
_PRUNE_ROWS = 1000  # per transaction
_Result = TypeVar("_Result")


def _exact(length: int) -> String:
    """Return a string type that compares bytes: to MySQL's default, "A" equals "a"."""
    return String(length).with_variant(String(length, collation="C"), "postgresql")


_METADATA = MetaData()
_MYSQL: dict[str, Any] = {
    f"{name}_{option}": value
    for name in ("mysql", "mariadb")
    for option, value in {"engine": "InnoDB", "charset": "utf8mb4", "collate": "utf8mb4_bin"}.items()
}

# Indexes are constraints of the table, so that one statement creates both. No index begins with conn_id: until
# PostgreSQL has analyzed the table, it would prefer that index for _SELECT_KNOWN, and read all rows of a connection.
DELIVERIES = Table(
    "pan123_inbox_v1",
    _METADATA,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("conn_id", _exact(250), nullable=False),
    Column("callback_id", _exact(32), nullable=False),
    Column("digest", _exact(32), nullable=False),
    # JSON in ASCII, which every encoding of a database accepts.
    Column("content", Text, nullable=False),
    Column("received_at", BigInteger, nullable=False),  # Unix seconds
    UniqueConstraint("callback_id", "conn_id", "digest"),
    **_MYSQL,
)
COUNTER = Table(
    "pan123_inbox_counter_v1",
    _METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("epoch", _exact(32), nullable=False),
    Column("last", BigInteger, nullable=False),
    **_MYSQL,
)


# Built once, because a transaction delays all others.
_COUNT = update(COUNTER).values(last=COUNTER.c.last + bindparam("number"))
_SELECT_KNOWN = select(
    COUNTER.c.last, DELIVERIES.c.conn_id, DELIVERIES.c.callback_id, DELIVERIES.c.digest
).select_from(
    COUNTER.outerjoin(
        DELIVERIES,
        DELIVERIES.c.callback_id.in_(bindparam("callback_ids", expanding=True))
        # By callback_id alone, PostgreSQL would read all of a table that it has not analyzed.
        & DELIVERIES.c.conn_id.in_(bindparam("conn_ids", expanding=True)),
    )
)
_INSERT = insert(DELIVERIES)
_DATABASE_TIME = {
    "sqlite": text("SELECT strftime('%s', 'now')"),
    "postgresql": text("SELECT extract(epoch FROM clock_timestamp())"),
    **dict.fromkeys(("mysql", "mariadb"), text("SELECT unix_timestamp()")),
}
_encode = json.JSONEncoder(separators=(",", ":")).encode
_EMPTY = f"{COUNTER.name} is empty"


class InboxState(NamedTuple):
    """The state of the table.

    :ivar epoch: identifies the table; a cursor of another epoch is meaningless.
    :ivar last: the newest sequence number; all deliveries up to it have been committed.
    """

    epoch: str
    last: int


class Received(NamedTuple):
    """A delivery with its sequence number."""

    seq: int
    delivery: Delivery


class StoreResult(Enum):
    """The fate of a delivery: stored, known already, or one too many for its submission."""

    NEW = "stored"
    REPEATED = "repeated"
    REFUSED = "refused"


class Inbox:
    """The table in one database.

    :param connect: makes the engine; called by the first method that needs it.
    :param clock: returns Unix seconds.
    """

    def __init__(self, connect: Callable[[], Engine], clock: Callable[[], float] = time.time) -> None:
        self._connect = connect
        self._clock = clock

    @cached_property
    def _engine(self) -> Engine:
        return self._connect()

    def close(self) -> None:
        """Close idle connections; a later call opens new ones."""
        if "_engine" in self.__dict__:
            self._engine.dispose()

    def create(self) -> None:
        """Create the missing tables; any number of processes may do so at the same time."""
        self._retry(self._create, _CREATE_ATTEMPTS)

    def _create(self) -> None:
        with self._engine.begin() as connection:
            _METADATA.create_all(connection)
            if connection.execute(select(COUNTER.c.id)).first() is None:
                last = connection.scalar(select(func.coalesce(func.max(DELIVERIES.c.seq), 0)))
                connection.execute(insert(COUNTER).values(id=1, epoch=secrets.token_hex(16), last=last))

    def state(self) -> InboxState:
        """Return the table's state.

        :raises LookupError: the counter's table is empty.
        """
        with self._engine.connect() as connection:
            row = connection.execute(select(COUNTER.c.epoch, COUNTER.c.last)).first()
        if row is None:
            raise LookupError(_EMPTY)
        return InboxState(row.epoch, row.last)

    def store(self, batch: Sequence[tuple[str, Delivery]]) -> list[StoreResult]:
        """Store deliveries in one transaction, and return after its commit.

        :param batch: the id of the connection, and the delivery.
        :returns: the result of each delivery, in their order.
        :raises LookupError: the counter's table is empty.
        """
        received_at = int(self._clock())
        rows = [_row(conn_id, delivery, received_at) for conn_id, delivery in batch]
        # The database may have closed the connection, or aborted the transaction in favour of another one. A repeated
        # attempt stores no delivery twice.
        return self._retry(lambda: self._store(rows), _STORE_ATTEMPTS)

    def _store(self, rows: list[dict[str, Any]]) -> list[StoreResult]:
        with self._engine.begin() as connection:
            connection.execute(_COUNT, {"number": len(rows)})
            end, known = _known(connection, rows)
            results, new = _classify(rows, known)
            if new:
                start = end - len(rows) + 1
                connection.execute(_INSERT, [row | {"seq": seq} for seq, row in enumerate(new, start)])
            if len(new) < len(rows):
                connection.execute(_COUNT, {"number": len(new) - len(rows)})
        return results

    def after(self, conn_id: str, seq: int, limit: int) -> list[Received]:
        """Return up to ``limit`` of a connection's deliveries beyond a sequence number, oldest first."""
        return self._read(
            select(DELIVERIES)
            .where(DELIVERIES.c.conn_id == conn_id, DELIVERIES.c.seq > seq)
            .order_by(DELIVERIES.c.seq)
            .limit(limit)
        )

    def lookup(self, conn_id: str, callback_ids: Iterable[str]) -> list[Received]:
        """Return all deliveries to these submissions of a connection, oldest first."""
        return self._read(
            select(DELIVERIES)
            .where(DELIVERIES.c.callback_id.in_(list(callback_ids)), DELIVERIES.c.conn_id == conn_id)
            .order_by(DELIVERIES.c.seq)
        )

    def database_time(self) -> float:
        """Return the time by the database's clock, in Unix seconds."""
        with self._engine.connect() as connection:
            return float(connection.scalar(_DATABASE_TIME[connection.dialect.name]) or 0)

    def prune(self, before: float, latest: float) -> int:
        """Delete the deliveries that arrived before a time, in small transactions.

        A delivery that is dated after ``latest`` was stored while a clock was ahead. It arrived before the next one,
        and is deleted with it.

        :param before: Unix seconds.
        :param latest: Unix seconds.
        :returns: the number of deleted deliveries.
        """
        seq, received_at = DELIVERIES.c.seq, DELIVERIES.c.received_at
        oldest = select(seq, received_at).where(received_at <= latest).order_by(seq).limit(_PRUNE_ROWS)
        total, cursor = 0, -1
        while True:
            with self._engine.begin() as connection:
                rows = connection.execute(oldest.where(seq > cursor)).all()
                old = [row.seq for row in rows if row.received_at < before]
                if not old:
                    return total
                misdated = (received_at > latest) & (seq < old[-1])
                for condition in (seq.in_(old), misdated):
                    total += connection.execute(delete(DELIVERIES).where(condition)).rowcount
            cursor = rows[-1].seq

    def _read(self, query: Any) -> list[Received]:
        with self._engine.connect() as connection:
            return [_received(row) for row in connection.execute(query).mappings()]

    def _retry(self, attempt: Callable[[], _Result], times: int) -> _Result:
        for left in reversed(range(times)):
            try:
                return attempt()
            except DBAPIError:
                if not left:
                    raise
                time.sleep(random.uniform(*_RETRY_SECONDS))
        raise AssertionError


def _row(conn_id: str, delivery: Delivery, received_at: int) -> dict[str, Any]:
    content = _encode(delivery.content)
    return {
        "conn_id": conn_id,
        "callback_id": delivery.callback_id,
        "digest": hashlib.sha256(content.encode()).hexdigest()[:32],
        "content": content,
        "received_at": received_at,
    }


def _received(row: RowMapping) -> Received:
    content = json.loads(row["content"])
    return Received(row["seq"], Delivery.from_dict(content | {"callback_id": row["callback_id"]}))


def _known(connection: Connection, rows: list[dict[str, Any]]) -> tuple[int, dict[tuple[str, str], set[str]]]:
    """Return the counter, and the stored digests of the rows' submissions by (conn_id, callback_id).

    One query reads both, because other transactions wait for the end of this one.
    """
    sought = {f"{name}s": [*{row[name] for row in rows}] for name in ("callback_id", "conn_id")}
    found = connection.execute(_SELECT_KNOWN, sought).all()
    if not found:
        raise LookupError(_EMPTY)
    known: dict[tuple[str, str], set[str]] = {}
    for _, conn_id, callback_id, digest in found:
        known.setdefault((conn_id, callback_id), set()).add(digest)
    return found[0].last, known


def _classify(
    rows: list[dict[str, Any]], known: dict[tuple[str, str], set[str]]
) -> tuple[list[StoreResult], list[dict[str, Any]]]:
    """Return the result of each row, and the rows to insert."""
    results, new = [], []
    for row in rows:
        digests = known.setdefault((row["conn_id"], row["callback_id"]), set())
        if row["digest"] in digests:
            results.append(StoreResult.REPEATED)
        elif len(digests) >= MAX_DELIVERIES:
            results.append(StoreResult.REFUSED)
        else:
            digests.add(row["digest"])
            new.append(row)
            results.append(StoreResult.NEW)
    return results, new
