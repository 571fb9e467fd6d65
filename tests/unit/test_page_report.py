"""Diffs, the choice of images, and the report."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html import unescape
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_123pan.pages.diff import unified_diff
from airflow_provider_123pan.pages.page_text import PageProblem
from airflow_provider_123pan.pages.report import write_report
from airflow_provider_123pan.pages.rewriter import RewrittenPage, replaced
from airflow_provider_123pan.pages.selection import Choice, Selection
from airflow_provider_123pan.pages.tally import BROKEN_STRING, Tally
from airflow_provider_123pan.rewriting import Addresses, Edit
from airflow_provider_123pan.rewriting.replacing import replacements_and_rest

FACTS = {"mode": "plan", "folder": "/a<b>", "pages": 1, "images": 12345, "hosts": {"x<script>.example": 3}}
SIGNED = "https://old.example/a.png?token=secret1"
HOSTILE = "</pre></details><script>alert(1)</script>\ud800"


def test_images_are_chosen_by_their_hosts() -> None:
    choose = Selection(
        ["*.Example.com", "127.0.0.1:80"], ["old.example.com"], ["img.example.com:8080"]
    ).choose
    assert choose("https://A.example.com/1.png") is Choice.MIGRATED
    assert choose("https://user:password@a.example.com:99/1.png") is Choice.MIGRATED
    assert choose("http://127.0.0.1:80/1.png") is Choice.MIGRATED
    assert choose("http://127.0.0.1:81/1.png") is Choice.EXCLUDED
    assert choose("https://old.example.com/1.png") is Choice.EXCLUDED
    assert choose("https://example.org/1.png") is Choice.EXCLUDED
    assert choose("http://img.example.com:8080/1.png") is Choice.OWN
    assert choose("https://vip.123pan.cn/1/a.png") is Choice.OWN
    assert Selection(None).choose("https://evil123pan.cn/a.png") is Choice.MIGRATED
    assert Selection(None).choose("http://[::1/a.png") is Choice.MIGRATED


def test_a_diff_shows_changed_lines_with_their_surroundings() -> None:
    text = "\n".join(f"line {number}" for number in range(20))
    at = [text.index(f"line {number}\n") for number in (3, 5, 14)]
    edits = [Edit(start, start + 4, "LINE") for start in at]
    assert unified_diff("a.md", text, edits) == [
        "--- a/a.md",
        "+++ b/a.md",
        "@@ -2,7 +2,7 @@",
        *(" line 1", " line 2", "-line 3", "+LINE 3", " line 4", "-line 5", "+LINE 5", " line 6", " line 7"),
        "@@ -13,5 +13,5 @@",
        *(" line 12", " line 13", "-line 14", "+LINE 14", " line 15", " line 16"),
    ]
    assert unified_diff("a.md", text, []) == []


def test_of_a_long_line_only_the_surroundings_of_replacements_are_shown() -> None:
    text = "a" * 5000 + "OLD" + "b" * 5000 + "OLD" + "c" * 5000
    edits = [Edit(5000, 5003, "NEW"), Edit(10003, 10006, "NEW")]
    *_, old, new = unified_diff("a.html", text, edits)
    assert len(old) < 600
    assert new[1:] == old[1:].replace("OLD", "NEW")
    assert old.count("OLD") == 2


@given(st.lists(st.tuples(st.text("ab\n\r", max_size=30), st.booleans()), max_size=20))
def test_the_lines_of_a_diff_are_those_of_the_page(parts: list[tuple[str, bool]]) -> None:
    text, edits = "", []
    for between, edited in parts:
        text += between
        if edited:
            edits.append(Edit(len(text), len(text) + 3, "newer"))
            text += "OLD"
    lines = unified_diff("a", text, edits)[2:]
    olds, news = text.splitlines(), replaced(text, edits).splitlines()
    old_lines = [line[1:] for line in lines if line[0] == "-"]
    assert old_lines == [line for line in olds if "OLD" in line]
    assert [line[1:] for line in lines if line[0] == "+"] == [line for line in news if "newer" in line]


def report(tmp_path: Path, text: str = f"{HOSTILE} {SIGNED}") -> tuple[str, dict[str, Any]]:
    tally = Tally(Selection(None), lambda url: f"gone <b> {url[:3]}")
    known = Addresses({SIGNED: "https://123pan.example/a.png"})
    for name, page in (("posts/<a>.md", text), ("left.md", "![](https://old.example/b.png?token=secret2)")):
        tally.add(RewrittenPage(name, page, *replacements_and_rest(page, known)))
    tally.add(PageProblem("bad.md", "no <text>"))
    path = tmp_path / "report.html"
    write_report(str(path), "Plan", FACTS, tally, "owner")
    tally.close()
    return path.read_text(), json.loads(path.with_suffix(".json").read_text())


def test_the_report_shows_pages_as_text_and_runs_nothing(tmp_path: Path) -> None:
    html, stored = report(tmp_path)
    assert "<script" not in html
    assert "<b>" not in html.replace("/a<b>", "")
    assert not re.search(r"\b(?:style|on\w+)=|src=|href=|url\(|@import", html)
    (style,) = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'sha256-{digest}'" in html
    assert "prefers-color-scheme: dark" in style
    assert "alert(1)" in unescape(html)
    assert "12,345" in html
    assert stored["images"] == 12345
    assert [each["page"] for each in stored["diffs"]] == ["posts/<a>.md"]
    assert stored["problems"] == [{"page": "bad.md", "reason": "no <text>"}]


def test_urls_that_stay_are_redacted_in_the_report(tmp_path: Path) -> None:
    html, stored = report(tmp_path)
    assert stored["left"] == [
        {"page": "left.md", "url": "https://old.example/b.png?token=***", "reason": "gone <b> htt"}
    ]
    assert stored["unknown"] == {"gone <b> htt": 1}
    assert "secret2" not in html + json.dumps(stored)


def test_urls_in_php_strings_of_a_wrong_length_count_as_those_that_stay(tmp_path: Path) -> None:
    broken = "https://old.example/c.png"
    _, stored = report(tmp_path, f's:9:"{broken}"; s:9:"{SIGNED}"; s:9:"https://vip.123pan.cn/1/d.png";')
    assert stored["diffs"] == []
    assert [(each["url"], each["reason"]) for each in stored["left"][:2]] == [
        (broken, BROKEN_STRING),
        (SIGNED.replace("secret1", "***"), BROKEN_STRING),
    ]
    assert stored["unknown"] == {BROKEN_STRING: 2, "gone <b> htt": 1}


def test_a_report_without_changes_is_whole(tmp_path: Path) -> None:
    html, stored = report(tmp_path, "nothing")
    assert stored["diffs"] == []
    assert "No page changes." in html
    assert html.endswith("</html>\n")
