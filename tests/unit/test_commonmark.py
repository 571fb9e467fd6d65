"""CommonMark's own examples: every destination that markdown-it-py renders is new after rewriting, and nothing else."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from airflow_provider_123pan.rewriting import find_images, rewrite

EXAMPLES: dict[str, str] = json.loads(
    (Path(__file__).parent / "commonmark.json").read_text(encoding="utf-8")
)["examples"]
# The examples have relative destinations, such as "/url".
RELATIVE = re.compile(r"((?:\]\(|\]:)\s*<?)/?(?=[^\s<>)\]])(?![A-Za-z][A-Za-z0-9+.-]*:)")
PAGES = {name: RELATIVE.sub(r"\1https://x.com/", text) for name, text in EXAMPLES.items()}
HTTP = re.compile(r"https?://", re.IGNORECASE)


@pytest.fixture(params=["as parsed", "percent-encoded"])
def markdown(request: pytest.FixtureRequest) -> MarkdownIt:
    """A parser; its destinations are those of the list."""
    parser = MarkdownIt("commonmark")
    if request.param == "as parsed":
        parser.normalizeLink = lambda url: url  # type: ignore[method-assign]
    return parser


def flat(tokens: Sequence[Token]) -> Iterator[Token]:
    for token in tokens:
        yield token
        yield from flat(token.children or [])


def destination(token: Token) -> str | None:
    found = token.attrs.get("src" if token.type == "image" else "href")
    return str(found) if found and HTTP.match(str(found)) else None


def outline(tokens: Sequence[Token], new: dict[str, str]) -> list[tuple[object, ...]]:
    """Return what is rendered, with new destinations; URLs that are shown as text do not count."""
    lines: list[tuple[object, ...]] = []
    for token in flat(tokens):
        old = destination(token)
        attributes = {name: value for name, value in token.attrs.items() if value != old}
        content = re.sub(r"https?://.*", "", token.content, flags=re.IGNORECASE)
        content = content if token.type in ("text", "code_inline") else ""
        lines.append((token.type, token.tag, attributes, content, new.get(old, old) if old else None))
    return lines


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES.keys())
def test_every_destination_is_replaced(markdown: MarkdownIt, page: str) -> None:
    tokens = markdown.parse(page)
    old = dict.fromkeys(filter(None, map(destination, flat(tokens))))
    assert old
    new = {url: f"https://n.com/{number}.jpg" for number, url in enumerate(old)}
    assert outline(markdown.parse(rewrite(page, new)), {}) == outline(tokens, new)


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES.keys())
def test_every_image_is_found(page: str) -> None:
    """Found and put back as it was parsed, an image stays the same."""
    parser = MarkdownIt("commonmark")
    shown = [destination(token) for token in flat(parser.parse(page)) if token.type == "image"]
    found = {parser.normalizeLink(image.url) for image in find_images(page)}
    assert found >= {url for url in shown if url}
