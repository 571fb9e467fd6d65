"""Migrate the images of a WordPress database, after a look at the plan, with a way back.

This DAG shows how to move the images that rows of a database show. `plan` reads the columns in `COLUMNS` and writes
nothing but a list of their images on `hosts`. `approve` shows the numbers and waits for a decision. `sync` migrates
the images, and `rewrite_rows` replaces their URLs, in batches. Each value that it replaces goes to the table
`pan123_journal`, in the same transaction. From there, the DAG `example_pan123_database_undo` restores the rows.

A row that is edited meanwhile is left and named. A run that was killed continues, and writes no row twice.

The connection may be to any database with a hook of `apache-airflow-providers-common-sql`; PostgreSQL, MariaDB and
SQLite are tested. The folder `work` must exist, and all workers must have access to it.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import datetime, timedelta, timezone
from itertools import chain
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import ObjectStoragePath, Param, dag, task

from airflow_provider_123pan.operators.sync_images import Pan123SyncImagesOperator
from airflow_provider_123pan.rewriting import find_broken_images, find_images, new_addresses, rewrite

JOURNAL = "pan123_journal"


class Column(NamedTuple):
    """A column of texts, in a table whose key is a positive integer."""

    table: str
    key: str
    name: str


COLUMNS = (
    Column("wp_posts", "ID", "post_content"),
    Column("wp_postmeta", "meta_id", "meta_value"),
)

CONNECTION = Param("wordpress", type="string", title="Connection of the database")


# --- the database ---------------------------------------------------------------------------------------


class Tables:
    """The tables, and the journal beside them, in one connection.

    :param is_mysql: whether the database is MySQL or MariaDB.
    :param batch_rows: rows that are read at once, and written in one transaction.
    """

    def __init__(self, connection: Any, placeholder: str, *, is_mysql: bool, batch_rows: int) -> None:
        self.batch_rows = batch_rows
        self._connection = connection
        self._cursor = connection.cursor()
        self._placeholder = placeholder
        self._text = "LONGTEXT CHARACTER SET utf8mb4" if is_mysql else "TEXT"
        # MySQL and MariaDB take texts for equal that differ in case, accents, or blanks at the end.
        self._bytes = "CAST(CONVERT({} USING utf8mb4) AS BINARY)" if is_mysql else "{}"

    def execute(self, sql: str, *values: Any) -> Any:
        """Execute a statement with a ``?`` for each value, and return the cursor."""
        self._cursor.execute(sql.replace("?", self._placeholder), values)
        return self._cursor

    def commit(self) -> None:
        """End the transaction."""
        self._connection.commit()

    def batches(self, column: Column) -> Iterator[Sequence[tuple[int, str]]]:
        """Yield the keys and texts of a column. Each batch is a transaction, which ends when the next one is read."""
        table, key, name = column
        sql = f"SELECT {key}, {name} FROM {table} WHERE {key} > ? AND {name} IS NOT NULL"
        last = 0
        while batch := self.execute(f"{sql} ORDER BY {key} LIMIT {self.batch_rows}", last).fetchall():
            yield batch
            self.commit()
            last = batch[-1][0]
        self.commit()

    def replace(self, column: Column, key: int, old: str, new: str) -> bool:
        """Replace a text if it is still the old one, and return whether it was."""
        unchanged = f"{self._bytes.format(column.name)} = {self._bytes.format('?')}"
        sql = f"UPDATE {column.table} SET {column.name} = ? WHERE {column.key} = ? AND {unchanged}"
        return bool(self.execute(sql, new, key, old).rowcount == 1)

    # --- the journal ---

    def create_journal(self) -> None:
        """Create the table of the journal if it does not exist."""
        self.execute(
            f"CREATE TABLE IF NOT EXISTS {JOURNAL} ("
            "table_name VARCHAR(64) NOT NULL, key_name VARCHAR(64) NOT NULL, column_name VARCHAR(64) NOT NULL, "
            f"row_key BIGINT NOT NULL, old_value {self._text} NOT NULL, new_hash VARCHAR(64) NOT NULL, "
            "written_at VARCHAR(32) NOT NULL, run_id VARCHAR(250) NOT NULL, "
            "PRIMARY KEY (table_name, column_name, row_key, written_at))"
        )
        self.commit()

    def record(self, column: Column, key: int, old: str, new: str, run_id: str) -> None:
        """Add a replaced text to the journal."""
        written_at = datetime.now(timezone.utc).isoformat(timespec="microseconds")
        self.execute(
            f"INSERT INTO {JOURNAL} (table_name, key_name, column_name, row_key, old_value, new_hash, written_at, "
            "run_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            *(*column, key, old, sha256(new), written_at, run_id),
        )

    def count_recorded(self, run_id: str) -> int:
        """Return the number of texts that a run has replaced, in all its tries."""
        return int(self.execute(f"SELECT COUNT(*) FROM {JOURNAL} WHERE run_id = ?", run_id).fetchone()[0])

    def recorded(self) -> list[tuple[Column, int]]:
        """Return the columns and keys of all texts in the journal."""
        fields = "table_name, key_name, column_name, row_key"
        found = self.execute(f"SELECT DISTINCT {fields} FROM {JOURNAL} ORDER BY {fields}").fetchall()
        return [(Column(*names), key) for *names, key in found]

    def restore(self, column: Column, key: int) -> bool:
        """Restore a text as it was before the first run that replaced it, and return whether it could be.

        It cannot if it was edited after a run.
        """
        where = "table_name = ? AND column_name = ? AND row_key = ?"
        entry = column.table, column.name, key
        old_values = dict(
            self.execute(f"SELECT new_hash, old_value FROM {JOURNAL} WHERE {where}", *entry).fetchall()
        )
        sql = f"SELECT {column.name} FROM {column.table} WHERE {column.key} = ? AND {column.name} IS NOT NULL"
        if (found := self.execute(sql, key).fetchone()) is None:
            return False
        restored = found[0]
        while (old := old_values.pop(sha256(restored), None)) is not None:
            restored = old
        if old_values or not self.replace(column, key, found[0], restored):
            return False
        self.execute(f"DELETE FROM {JOURNAL} WHERE {where}", *entry)
        return True


@contextmanager
def open_tables(conn_id: str, batch_rows: int = 500) -> Iterator[Tables]:
    """Connect to a database; what is not committed at the end is rolled back."""
    from airflow.providers.common.sql.hooks.sql import DbApiHook  # only when a task runs: it loads SQLAlchemy

    hook: Any = DbApiHook.get_hook(conn_id)
    with closing(hook.get_conn()) as connection:
        is_mysql = hook.dialect_name in ("mysql", "mariadb")
        yield Tables(connection, hook.placeholder, is_mysql=is_mysql, batch_rows=batch_rows)


def sha256(text: str) -> str:
    """Return the hash of a text, in hex."""
    return hashlib.sha256(text.encode()).hexdigest()


# --- the work -------------------------------------------------------------------------------------------


def plan_rows(tables: Tables, hosts: Sequence[str], manifest: str) -> dict[str, Any]:
    """Write the images on these hosts to a manifest, and count what a migration would change.

    :param hosts: with the port, if the URLs have one.
    :returns: ``manifest``; ``images`` by host, each once; ``rows`` to change by column; ``other_images`` by host, which
        stay; and ``unreadable_images``, which stay because PHP serialized their strings with a wrong length.
    """
    seen: set[str] = set()
    images, other_images, rows = Counter[str](), Counter[str](), Counter[str]()
    unreadable_images = 0
    with ObjectStoragePath(manifest).open("w", encoding="utf-8") as file:  # type: ignore[no-untyped-call]
        for column in COLUMNS:
            for _, text in chain.from_iterable(tables.batches(column)):
                found = {image.url for image in find_images(text)}
                chosen = {url for url in found if host_of(url) in hosts}
                file.writelines(f"{url}\n" for url in sorted(chosen - seen))
                images.update(map(host_of, chosen - seen))
                other_images.update(map(host_of, found - chosen - seen))
                rows[f"{column.table}.{column.name}"] += bool(chosen)
                unreadable_images += sum(1 for _ in find_broken_images(text))
                seen |= found
    return {
        "manifest": manifest,
        "images": dict(images),
        "rows": dict(rows),
        "other_images": dict(other_images),
        "unreadable_images": unreadable_images,
    }


def rewrite_texts(tables: Tables, addresses: Mapping[str, str], run_id: str) -> dict[str, Any]:
    """Replace known URLs in all texts, a batch at a time, and keep each text before in the journal.

    :param addresses: new URLs by old URL.
    :returns: ``changed``, the number of texts that this run has replaced; and ``edited``, the texts that were left
        because they changed while they were read.
    """
    edited = []
    tables.create_journal()
    for column in COLUMNS:
        for batch in tables.batches(column):
            for key, old in batch:
                if (new := rewrite(old, addresses)) == old:
                    continue
                if tables.replace(column, key, old, new):
                    tables.record(column, key, old, new, run_id)
                else:
                    edited.append(place(column, key))
    return {"changed": tables.count_recorded(run_id), "edited": edited}


def undo_texts(tables: Tables) -> dict[str, Any]:
    """Restore all texts of the journal, a batch at a time.

    :returns: ``restored``, the number of texts; and ``edited``, the texts that were left because they were edited
        since.
    """
    restored, edited = 0, []
    recorded = tables.recorded()
    for start in range(0, len(recorded), tables.batch_rows):
        for column, key in recorded[start : start + tables.batch_rows]:
            if tables.restore(column, key):
                restored += 1
            else:
                edited.append(place(column, key))
        tables.commit()
    return {"restored": restored, "edited": edited}


def host_of(url: str) -> str:
    """Return the host of a URL, with its port if the URL names one."""
    return urlsplit(url).netloc.rpartition("@")[2].lower()


def place(column: Column, key: int) -> str:
    """Return the name of a text, such as ``wp_posts.post_content where ID = 7``."""
    return f"{column.table}.{column.name} where {column.key} = {key}"


# --- the DAGs -------------------------------------------------------------------------------------------


@dag(
    schedule=None,
    max_active_runs=1,
    tags=["example", "123pan"],
    doc_md=__doc__,
    params={
        "conn_id": CONNECTION,
        "hosts": Param(
            ["www.example.com"],
            type="array",
            items={"type": "string"},
            title="Hosts whose images are migrated",
        ),
        "work": Param("s3://my-bucket/wordpress", type="string", title="Folder for the list and the results"),
    },
)
def example_pan123_database() -> None:
    """Migrate the images of the texts in `COLUMNS`, and replace their URLs."""

    @task(retries=3)
    def plan(**context: Any) -> dict[str, Any]:
        """Write the list of images, and return the numbers."""
        params, day = context["params"], context["dag_run"].run_after.date()
        with open_tables(params["conn_id"]) as tables:
            return plan_rows(tables, params["hosts"], f"{params['work']}/{day}-images.txt")

    @task(retries=3)
    def rewrite_rows(synced: Any, **context: Any) -> dict[str, Any]:
        """Replace the URLs of the images that are stored."""
        with open_tables(context["params"]["conn_id"]) as tables:
            return rewrite_texts(tables, new_addresses(synced["results"]), context["run_id"])

    planned = plan()
    approve = ApprovalOperator(
        task_id="approve",
        subject="Migrate these images, and replace their URLs?",
        body="```json\n{{ ti.xcom_pull(task_ids='plan') | tojson(indent=2) }}\n```",
    )
    sync = Pan123SyncImagesOperator(
        task_id="sync",
        manifest="{{ ti.xcom_pull(task_ids='plan')['manifest'] }}",
        directory="wordpress",
        results="{{ params.work }}/{{ dag_run.run_after | ds }}-results.jsonl",
        allow_empty=True,
        max_failures="5%",  # a post may show an image that no longer exists
        deferrable=True,
        timeout=timedelta(hours=12),
        retries=3,
    )
    planned >> approve >> sync
    rewrite_rows(sync.output)


@dag(
    schedule=None,
    max_active_runs=1,
    tags=["example", "123pan"],
    doc_md=__doc__,
    params={"conn_id": CONNECTION},
)
def example_pan123_database_undo() -> None:
    """Restore the texts that `example_pan123_database` has replaced."""

    @task(retries=3)
    def undo_rows(**context: Any) -> dict[str, Any]:
        """Restore the texts, and name those that were edited since."""
        with open_tables(context["params"]["conn_id"]) as tables:
            return undo_texts(tables)

    undo_rows()


example_pan123_database()
example_pan123_database_undo()
