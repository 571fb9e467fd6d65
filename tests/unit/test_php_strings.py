"""Strings that PHP serialized keep true lengths when URLs in them are replaced."""

from __future__ import annotations

import html
import json
import logging
from collections.abc import Callable

import pytest

from airflow_provider_123pan.rewriting import find_broken_images, find_images, rewrite

A, NEW_A = "https://x.com/a.jpg", "https://n.com/1.jpg"


def serialized(text: str) -> str:
    return f's:{len(text.encode())}:"{text}";'


def in_sql(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("'", "\\'").replace("\n", "\\n")


def in_json(text: str) -> str:
    return json.dumps({"value": text})


@pytest.mark.parametrize("spell", [str, in_sql, in_json, html.escape, lambda text: f"图<?>{text}图"])
@pytest.mark.parametrize("content", ["{}", '<img src="{}"> 图', "{} {}", "it's 图 \\n \\ {}", "a\n{}\r\n"])
def test_strings_of_php_keep_a_true_length(spell: Callable[[str], str], content: str) -> None:
    def page(url: str) -> str:
        value = serialized(content.replace("{}", url))
        return spell(f'a:2:{{s:3:"url";{value}s:4:"more";{value}}}')

    new = "https://images.example.org/a-longer-name.jpg"
    assert rewrite(page(A), {A: new}) == page(new)


@pytest.mark.parametrize("new", ["https://n.com/1", f"https://n.com/{'1' * 90}.jpg"])
def test_strings_of_php_within_each_other_keep_true_lengths(new: str) -> None:
    def page(url: str) -> str:
        inner = serialized(f"图 {url}")
        return serialized(f"a:2:{{{serialized('x')}{inner}}} {url} 图{serialized(inner)}") + serialized(url)

    assert rewrite(page(A), {A: new}) == page(new)


@pytest.mark.parametrize(
    "text",
    [
        f's:20:"{A}";',
        f's:9999:"{A}";',
        f's:18:"图{A}";',
        f's:20:\\"{A}\\";',
        f"s:20:&quot;{A}&quot;;",
        f's:20:"{A}',
    ],
)
def test_strings_of_php_with_a_wrong_length_stay_and_are_reported(
    text: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        rewritten = rewrite(f"{text} {A}", {A: NEW_A})
    assert rewritten == f"{text} {NEW_A}"
    assert "1 known URLs stay, because PHP serialized them with a wrong length" in caplog.text
    assert len([*find_images(f"{text} {A}")]) == 1
    (left,) = find_broken_images(f"{text} {A}")
    assert (left.url, left.start) == (A, text.index(A))
