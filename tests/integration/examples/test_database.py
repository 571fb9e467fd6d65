"""The example for databases: rows of WordPress show the new URLs, and can be restored byte for byte."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_123pan.rewriting import Addresses, new_addresses, rewrite
from airflow_provider_123pan.sandbox import Sandbox
from example_dags import example_pan123_database as example
from example_dags.example_pan123_database import Tables, open_tables, plan_rows, rewrite_texts, undo_texts
from tests.support import submitted, sync

HOST = "example.com"
IMAGES = [f"https://{HOST}/{name}" for name in ("1.png", "2%20图.jpg?w=300", "3.webp")]
NEW = {url: f"https://images.example.org/a-longer-path/{number}.png" for number, url in enumerate(IMAGES)}
OTHER = "https://other.example/4.png"
BROKEN = f's:5:"{IMAGES[0]}";'

Row = tuple[str, int, str | None]


def serialized(text: str) -> str:
    return f's:{len(text.encode())}:"{text}";'


def in_json(value: Any) -> str:
    """As PHP writes JSON: slashes are escaped."""
    return json.dumps(value).replace("/", "\\/")


def rows(new: dict[str, str]) -> list[Row]:
    """The rows, with the new URLs of the images that have one."""
    one, two, three = (new.get(url, url) for url in IMAGES)
    block = in_json({"id": 7, "url": one, "alt": "图"})
    array = f"a:2:{{{serialized('图')}{serialized(f'<img src={one!r}> 图😀')}i:1;i:3;}}"
    return [
        (
            "wp_posts",
            1,
            f'<!-- wp:image {block} -->\r\n<img src="{one}" srcset="{two} 2x">\n<!-- /wp:image -->',
        ),
        ("wp_posts", 2, f"It's 100 % \\ \"?\" %s 图😀 <a href='{three}'>…</a>  "),
        ("wp_posts", 3, f"Nothing to see at https://{HOST}/page"),
        ("wp_posts", 4, f"![]({OTHER})"),
        ("wp_posts", 5, ""),
        ("wp_posts", 9_000_000_000, two),
        ("wp_postmeta", 1, array),
        ("wp_postmeta", 2, serialized(f"a:1:{{i:0;{serialized(array)}}} 图 {two}")),
        ("wp_postmeta", 3, BROKEN),
        ("wp_postmeta", 4, None),
        ("wp_postmeta", 5, in_json([{"elType": "image", "settings": {"url": three}}])),
    ]


OLD_ROWS, NEW_ROWS = rows({}), rows(NEW)
CHANGED = [name for name, old, new in zip(count(), OLD_ROWS, NEW_ROWS, strict=False) if old != new]


@pytest.fixture
def wordpress(tables: Tables) -> Tables:
    """The tables, with rows."""
    for table, key, text in OLD_ROWS:
        tables.execute(f"INSERT INTO {table} VALUES (?, ?)", key, text)
    tables.commit()
    return tables


def read(tables: Tables) -> list[Row]:
    found = [
        (column.table, key, text)
        for column in example.COLUMNS
        for key, text in tables.execute(
            f"SELECT {column.key}, {column.name} FROM {column.table} ORDER BY {column.key}"
        ).fetchall()
    ]
    tables.commit()
    return found


def edit(tables: Tables, key: int, text: str) -> None:
    tables.execute("UPDATE wp_posts SET post_content = ? WHERE ID = ?", text, key)
    tables.commit()


def apply(new: dict[str, str] = NEW, run_id: str = "run") -> dict[str, Any]:
    with open_tables("wordpress", batch_rows=2) as tables:
        return rewrite_texts(tables, Addresses(new), run_id)


def undo(batch_rows: int = 2) -> dict[str, Any]:
    with open_tables("wordpress", batch_rows) as tables:
        return undo_texts(tables)


@pytest.mark.usefixtures("connect")
def test_rows_show_the_new_urls_and_are_restored(
    wordpress: Tables, context: dict[str, Any], sandbox: Sandbox, tmp_path: Path
) -> None:
    planned = plan_rows(wordpress, [HOST], f"file://{tmp_path}/images.txt")
    results = f"{tmp_path}/results.jsonl"
    found = sync(context, manifest=planned["manifest"], results=results)
    assert found["migrated"] == len(IMAGES)
    new = new_addresses(results)
    assert set(new) == set(IMAGES)
    assert apply(new) == {"changed": len(CHANGED), "edited": []}
    assert read(wordpress) == rows(new)

    again = plan_rows(wordpress, [HOST], f"file://{tmp_path}/again.txt")
    assert (again["images"], (tmp_path / "again.txt").read_text()) == ({}, "")
    assert apply(new, "next") == {"changed": 0, "edited": []}
    assert set(submitted(sandbox).values()) == {1}

    assert undo() == {"restored": len(CHANGED), "edited": []}
    assert read(wordpress) == OLD_ROWS
    assert undo() == {"restored": 0, "edited": []}


def test_a_plan_writes_a_list_alone(wordpress: Tables, tmp_path: Path) -> None:
    planned = plan_rows(wordpress, [HOST], f"file://{tmp_path}/images.txt")
    assert planned == {
        "manifest": f"file://{tmp_path}/images.txt",
        "images": {HOST: 3},
        "rows": {"wp_posts.post_content": 3, "wp_postmeta.meta_value": 3},
        "other_images": {"other.example": 1},
        "unreadable_images": 1,
    }
    assert sorted((tmp_path / "images.txt").read_text().splitlines()) == sorted(IMAGES)
    assert read(wordpress) == OLD_ROWS
    with pytest.raises(Exception, match=example.JOURNAL):
        wordpress.execute(f"SELECT * FROM {example.JOURNAL}")


@pytest.mark.parametrize("edited", ["Another text", f"{OLD_ROWS[0][2]} ", str(OLD_ROWS[0][2]).upper()])
def test_a_row_that_is_edited_while_it_is_rewritten_is_left_and_named(
    wordpress: Tables, monkeypatch: pytest.MonkeyPatch, edited: str
) -> None:
    def rewrite_meanwhile(text: str, addresses: dict[str, str]) -> str:
        if text == OLD_ROWS[0][2]:
            edit(wordpress, 1, edited)
        return rewrite(text, addresses)

    monkeypatch.setattr(example, "rewrite", rewrite_meanwhile)
    named = ["wp_posts.post_content where ID = 1"]
    assert apply() == {"changed": len(CHANGED) - 1, "edited": named}
    assert read(wordpress) == [("wp_posts", 1, edited), *NEW_ROWS[1:]]
    assert undo() == {"restored": len(CHANGED) - 1, "edited": []}


@pytest.mark.parametrize("edited", ["Another text", f"{NEW_ROWS[0][2]} ", str(NEW_ROWS[0][2]).upper()])
def test_a_row_that_is_edited_later_is_left_and_named(wordpress: Tables, edited: str) -> None:
    apply()
    edit(wordpress, 1, edited)
    wordpress.execute("DELETE FROM wp_posts WHERE ID = 2")
    wordpress.commit()
    named = [f"wp_posts.post_content where ID = {key}" for key in (1, 2)]
    for restored in (len(CHANGED) - 2, 0):
        assert undo() == {"restored": restored, "edited": named}
        assert read(wordpress) == [("wp_posts", 1, edited), *OLD_ROWS[2:]]


def test_a_row_that_is_edited_while_it_is_restored_is_left(
    wordpress: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    apply()

    def sha256(text: str) -> str:
        if text == NEW_ROWS[0][2]:
            edit(wordpress, 1, f"{text} ")
        return digest(text)

    digest = example.sha256
    monkeypatch.setattr(example, "sha256", sha256)
    # Each row is a transaction, since SQLite lets one connection write at a time.
    assert undo(batch_rows=1)["edited"] == ["wp_posts.post_content where ID = 1"]
    assert read(wordpress) == [("wp_posts", 1, f"{NEW_ROWS[0][2]} "), *OLD_ROWS[1:]]


def test_several_runs_are_undone_together(wordpress: Tables) -> None:
    for number, url in enumerate(IMAGES):
        apply({url: NEW[url]}, f"run {number}")
    assert read(wordpress) == NEW_ROWS
    assert undo() == {"restored": len(CHANGED), "edited": []}
    assert read(wordpress) == OLD_ROWS


def test_a_row_that_is_edited_between_two_runs_is_left_as_it_is(wordpress: Tables) -> None:
    apply({IMAGES[0]: NEW[IMAGES[0]]}, "run 1")
    edit(wordpress, 1, f"{dict_of(read(wordpress))['wp_posts', 1]}!")
    apply({IMAGES[1]: NEW[IMAGES[1]]}, "run 2")
    before = dict_of(read(wordpress))["wp_posts", 1]
    assert undo()["edited"] == ["wp_posts.post_content where ID = 1"]
    assert dict_of(read(wordpress))["wp_posts", 1] == before


def dict_of(found: list[Row]) -> dict[tuple[str, int], str | None]:
    return {(table, key): text for table, key, text in found}


class Killed(BaseException):
    """Ends the task as a signal would: nothing is caught, and the connection is closed."""


def dying(commit: Callable[[Tables], None], at: int, *, before: bool) -> Callable[[Tables], None]:
    """Return a commit that kills the task at its call of this number, before or after it."""
    calls = count()

    def commit_or_die(tables: Tables) -> None:
        dies = next(calls) == at
        if dies and before:
            raise Killed
        commit(tables)
        if dies:
            raise Killed

    return commit_or_die


@pytest.mark.parametrize("before", [True, False], ids=["before a commit", "after a commit"])
@pytest.mark.parametrize("work", [apply, undo])
def test_a_killed_run_continues_and_writes_no_row_twice(
    wordpress: Tables, monkeypatch: pytest.MonkeyPatch, work: Callable[[], dict[str, Any]], before: bool
) -> None:
    wordpress.create_journal()
    if work is undo:
        apply()
    written: list[tuple[example.Column, int]] = []
    replace, commit = Tables.replace, Tables.commit
    kills = 0

    def replace_and_note(tables: Tables, column: example.Column, key: int, old: str, new: str) -> bool:
        written.append((column, key))
        return replace(tables, column, key, old, new)

    for at in count():
        with monkeypatch.context() as patch:
            patch.setattr(Tables, "replace", replace_and_note)
            patch.setattr(Tables, "commit", dying(commit, at, before=before))
            try:
                done = work()
            except Killed:
                kills += 1
            else:
                break
        check_journal(wordpress)
    assert kills > 1
    assert read(wordpress) == (NEW_ROWS if work is apply else OLD_ROWS)
    assert done["edited"] == []
    if not before:
        assert len(written) == len({*written}) == len(CHANGED)
    undo()
    assert read(wordpress) == OLD_ROWS


def check_journal(tables: Tables) -> None:
    """Check that the journal has exactly the rows that are replaced."""
    found = tables.execute(f"SELECT table_name, row_key FROM {example.JOURNAL}").fetchall()
    current = read(tables)
    replaced = [row[:2] for row, old in zip(current, OLD_ROWS, strict=True) if row != old]
    assert sorted(map(tuple, found)) == sorted(replaced)
    assert all(row in (old, new) for row, old, new in zip(current, OLD_ROWS, NEW_ROWS, strict=True))
