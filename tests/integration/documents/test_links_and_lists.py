"""Links lead somewhere, named files exist, and lists are complete."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from markdown_it import MarkdownIt

from airflow_provider_123pan.sandbox import Sandbox
from tests.integration.documents.support import (
    PACKAGE,
    PAGES,
    ROOT,
    blocks_of,
    build,
    example_result,
    run_all,
)

MAX_README_LINES = 130
ARCHITECTURE = ROOT / "docs" / "explanation" / "architecture.md"


def _links(page: Path) -> Iterator[str]:
    for token in MarkdownIt("commonmark").enable("table").parse(page.read_text(encoding="utf-8")):
        for child in token.children or ():
            target = child.attrs.get("href") or child.attrs.get("src")
            if target:
                yield str(target)


def _anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub and Sphinx generate for a page's headings."""
    tokens = MarkdownIt("commonmark").parse(page.read_text(encoding="utf-8"))
    headings = [token.content for before, token in pairwise(tokens) if before.type == "heading_open"]
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_relative_links_lead_somewhere(page: Path) -> None:
    for link in _links(page):
        path, _, anchor = link.partition("#")
        if re.match(r"[a-z]+:", path):
            continue
        target = (page.parent / unquote(path)).resolve() if path else page
        assert target.exists(), link
        if anchor:
            assert unquote(anchor) in _anchors(target), link


@pytest.mark.parametrize("example", sorted((ROOT / "example_dags").glob("*.py")), ids=lambda path: path.stem)
def test_a_guide_links_every_example_dag(example: Path) -> None:
    guides = (ROOT / "docs" / "howto").glob("*.md")
    assert any(link.endswith(f"/{example.name}") for guide in guides for link in _links(guide))


@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md"])
def test_a_readme_is_short(name: str) -> None:
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    assert len(lines) <= MAX_README_LINES


def test_the_map_of_the_architecture_lists_every_file_once() -> None:
    text = ARCHITECTURE.read_text(encoding="utf-8")
    listed = re.findall(r"(?m)^\| `([\w/]+\.py)` \|", text)
    existing = [
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        if path.name != "__init__.py" and "__pycache__" not in path.parts
    ]
    assert sorted(listed) == sorted(existing)


@pytest.mark.parametrize("page", [ARCHITECTURE, ROOT / "CONTRIBUTING.md"], ids=lambda page: page.name)
def test_files_that_a_page_names_exist(page: Path) -> None:
    named = set(re.findall(r"`((?:\w+/)*\w+\.py)`", page.read_text(encoding="utf-8")))
    assert named
    assert {name for name in named if not ((PACKAGE / name).exists() or (ROOT / name).exists())} == set()


def test_constants_that_the_architecture_names_are_in_the_files_of_their_row() -> None:
    rows = [line for line in ARCHITECTURE.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    named = [(row, name) for row in rows for name in re.findall(r"`([A-Z]+(?:_[A-Z]+)+)`", row)]
    assert named
    for row, name in named:
        files = re.findall(r"`([\w/]+\.py)`", row)
        code = "".join((PACKAGE / file).read_text(encoding="utf-8") for file in files)
        assert re.search(rf"(?m)^{name}\b", code), row


def test_the_reference_lists_every_field_of_a_result(
    workspace: Path, sandbox: Sandbox, connect: Callable[..., None], context: dict[str, Any]
) -> None:
    context["dag_run"] = argparse.Namespace(run_after=datetime(2026, 11, 25, tzinfo=timezone.utc))
    (block,) = blocks_of("README.md", "results=")
    (dag,) = build(block)
    written = Path(run_all(dag, context)["sync"]["results"].removeprefix("file://"))
    fields = list(json.loads(written.read_text().splitlines()[0]))
    text = (ROOT / "docs" / "reference" / "results.md").read_text(encoding="utf-8")
    table = text.split("| Field |")[1].split("\n\n")[0]
    assert re.findall(r"(?m)^\| `(\w+)` \|", table) == fields
    assert list(example_result()) == fields


@pytest.mark.parametrize(
    "name", ["pan123.deliveries", "pan123.polls.open", "pan123.sync.images"], ids=lambda name: name
)
def test_the_reference_names_metrics_as_the_code_does(name: str) -> None:
    text = (ROOT / "docs" / "reference" / "metrics.md").read_text(encoding="utf-8")
    code = "".join(path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py"))
    assert f"`{name}" in text
    assert name in code
