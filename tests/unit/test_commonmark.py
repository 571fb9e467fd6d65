"""CommonMark: every destination that markdown-it-py renders is new after rewriting, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from airflow_provider_123pan.rewriting import find_images, rewrite

# Destinations as CommonMark spells them; all are absolute.
URLS = {
    "plain": "https://x.com/a.jpg",
    "query": "https://x.com/a.jpg?b=1&c=2#d",
    "entity": "https://x.com/a.jpg?b=1&amp;c=2",
    "numeric entity": "https://x.com/a&#246;.jpg",
    "percent-encoded": "https://x.com/%C3%B6%20b.jpg",
    "not encoded": "https://x.com/ö图.jpg",
    "parentheses": "https://x.com/a(1(2)).jpg",
    "escaped parentheses": r"https://x.com/a\(1\).jpg",
    "escaped star": r"https://x.com/\*a\*.jpg",
    "a backslash that escapes nothing": r"https://x.com/a\b.jpg",
    "emphasis": "https://x.com/_a_*b*.jpg",
    "apostrophe": "https://x.com/a'b.jpg",
    "brackets": "https://x.com/[a].jpg",
    "capitals": "HTTPS://X.com/a.jpg",
    "port and login": "https://me@x.com:8443/a.jpg",
    "in angle brackets": "<https://x.com/a.jpg>",
    "blanks in angle brackets": "<https://x.com/a b.jpg>",
    "parenthesis in angle brackets": "<https://x.com/a)b.jpg>",
    "escaped brackets in angle brackets": r"<https://x.com/a\[b\].jpg>",
}
# Where a destination may stand. A page may have further ones.
PLACES = {
    "link": "[a]({url})",
    "image": "![a]({url})",
    "image in a sentence": "One ![a]({url}), two.",
    "title": '![a]({url} "b")',
    "title in single quotes": "![a]({url} 'b \"c\"')",
    "title in parentheses": "![a]({url} (b))",
    "blanks and line breaks": "![a](  {url}\n  'b'  )",
    "empty text": "[]({url})",
    "code in the text": "[`a`]({url})",
    "emphasis around": "*[a]({url})* **![b]({url})**",
    "image in a link": "[![a]({url})]({url})",
    "two images in a link": "[![a]({url}) ![b](https://x.com/other.png)](https://x.com/page)",
    "brackets in the text": "![a [b] c]({url})",
    "escaped bracket in the text": "![a\\] b]({url})",
    "reference": "![a][b]\n\n[b]: {url}",
    "reference with a title": "![a][b]\n\n[b]: {url} 'title'",
    "reference over lines": "![a][b]\n\n   [b]:\n      {url}\n           'title'",
    "collapsed reference": "![a][]\n\n[a]: {url}",
    "shortcut reference": "![a]\n\n[A]: {url}",
    "reference before its use": "[b]: {url}\n\n![a][b]",
    "reference that is used twice": "![a][b] [c][b]\n\n[b]: {url}\n[b]: https://x.com/second.png",
    "heading": "# ![a]({url})",
    "heading with an underline": "![a]({url})\n===",
    "list": "- ![a]({url})\n- b\n  1. [c]({url})",
    "quotation": "> ![a]({url})\n> > [b]({url})",
    "reference in a quotation": "> ![a][b]\n>\n> [b]: {url}",
    "beside code": "`a` ![a]({url}) ``b``",
    "beside an HTML tag": "<b>![a]({url})</b>",
    "hard line break": "![a]({url})  \nb\\\nc",
    "carriage returns": "a\r\n\r\n![a]({url})\r\n",
}
PAGES = {
    f"{place}, {kind}": text.replace("{url}", url)
    for place, text in PLACES.items()
    for kind, url in URLS.items()
} | {
    "autolink": "<https://x.com/a.jpg?b=1&c=2>",
    "autolink with a backslash": r"<https://x.com/a\b.jpg>",
    "a quotation mark": '![a](https://x.com/a"b.jpg)',
    "autolink in a list": "- a <HTTPS://X.com/a.jpg> b",
}
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
