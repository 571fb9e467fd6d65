"""A database like WordPress's."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path


def posts(first: str, second: str) -> list[str]:
    """Return the texts of two posts, of which one shows the images."""
    escaped = first.replace("/", "\\/")
    return [f'<!-- wp:image {{"url":"{escaped}"}} -->\n<img src="{first}" srcset="{second} 2x">', "没有图片"]


def php_string(text: str) -> str:
    """Return a text as PHP serializes it."""
    return f's:{len(text.encode())}:"{text}";'


def make_database(path: Path, first: str, second: str) -> None:
    """Make an SQLite database with two posts, of which one shows these images, and one value of PHP."""
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE wp_posts (ID INTEGER PRIMARY KEY, post_content TEXT)")
        database.execute("CREATE TABLE wp_postmeta (meta_id INTEGER PRIMARY KEY, meta_value TEXT)")
        database.executemany("INSERT INTO wp_posts VALUES (?, ?)", [*enumerate(posts(first, second), 1)])
        database.execute("INSERT INTO wp_postmeta VALUES (1, ?)", [php_string(first)])
        database.commit()
