"""Pages of many formats: every spelling of a known URL is found and replaced, and nothing else changes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from airflow_provider_123pan.rewriting import (
    Addresses,
    find_broken_images,
    find_images,
    replacements,
    rewrite,
)
from airflow_provider_123pan.rewriting.escapes import decodings
from airflow_provider_123pan.rewriting.replacing import replacements_and_rest
from airflow_provider_123pan.source.urls import canonical_url

PAGES = json.loads((Path(__file__).parent / "pages.json").read_text(encoding="utf-8"))

A, B, BLANK, QUERY = (f"https://x.com/{name}" for name in ("a.jpg", "b.jpg", "a%20b.png", "q.jpg?a=1&b=2"))
APOSTROPHE, LOW = "https://x.com/it's.jpg", "https://x.com/a_b.jpg"
NEW_A, NEW_B, NEW_BLANK, NEW_QUERY, NEW_APOSTROPHE, NEW_LOW = (
    f"https://n.com/{name}" for name in ("1.jpg", "2.jpg", "3.png", "4.jpg?c=3&d=4", "5.jpg", "6.jpg")
)
ADDRESSES = {
    A: NEW_A,
    B: NEW_B,
    BLANK: NEW_BLANK,
    QUERY: NEW_QUERY,
    APOSTROPHE: NEW_APOSTROPHE,
    LOW: NEW_LOW,
}

REPLACED = {
    # escapes
    "apostrophe": ("<img src='https://x.com/it&#x27;s.jpg'>", f"<img src='{NEW_APOSTROPHE}'>"),
    "apostrophe by name": ("<img src='https://x.com/it&apos;s.jpg'>", f"<img src='{NEW_APOSTROPHE}'>"),
    "JavaScript": (
        r'a = "https:\/\/x.com\/q.jpg?a=1\u0026b=2";',
        r'a = "https:\/\/n.com\/4.jpg?c=3\u0026d=4";',
    ),
    "slashes by code": (r'"https:\u002F\u002Fx.com\u002Fa.jpg"', f'"{NEW_A}"'),
    "slashes by short code": (r"'https:\x2F\x2Fx.com\x2Fa.jpg'", f"'{NEW_A}'"),
    "slashes by name": ("https&colon;&sol;&sol;x.com&sol;a.jpg", NEW_A),
    "JSON in JSON": (
        r'"{\"url\":\"https:\\/\\/x.com\\/a.jpg\"}"',
        r'"{\"url\":\"https:\\/\\/n.com\\/1.jpg\"}"',
    ),
    "mark-up by code": (
        rf'"\u003cp\u003e{A}\u003c/p\u003e\u003cimg src=\u0022{A}\u0022\u003e"',
        rf'"\u003cp\u003e{NEW_A}\u003c/p\u003e\u003cimg src=\u0022{NEW_A}\u0022\u003e"',
    ),
    "surrogates by code": (r'"https://x.com/\ud83d\ude00.png"', f'"{NEW_A}"'),
    "line ends by letter": (rf'"a\n{A}\nb\t{A}\r\n"', rf'"a\n{NEW_A}\nb\t{NEW_A}\r\n"'),
    "notebook": (rf'"![]({A})\n",', rf'"![]({NEW_A})\n",'),
    "ampersand between tags": ("<p>https://x.com/amp.jpg</p>", f"<p>{NEW_QUERY.replace('&', '&amp;')}</p>"),
    "ampersand in escaped quotes": (
        "&quot;https://x.com/amp.jpg&quot;",
        f"&quot;{NEW_QUERY.replace('&', '&amp;')}&quot;",
    ),
    "ampersand in XML": (
        '<?xml version="1.0"?><a u="https://x.com/amp.jpg"/>',
        f'<?xml version="1.0"?><a u="{NEW_QUERY.replace("&", "&amp;")}"/>',
    ),
    "ampersand in text": ("https://x.com/amp.jpg", NEW_QUERY),
    "escaped three times": (
        f"&amp;lt;img src=&amp;quot;{QUERY.replace('&', '&amp;amp;amp;')}&amp;quot;&amp;gt;",
        f"&amp;lt;img src=&amp;quot;{NEW_QUERY.replace('&', '&amp;amp;amp;')}&amp;quot;&amp;gt;",
    ),
    # BBCode, AsciiDoc, wikis, templates
    "BBCode with a size": (f"[img=300x200]{A}[/img]", f"[img=300x200]{NEW_A}[/img]"),
    "BBCode without a scheme": ("[IMG]//x.com/a.jpg[/IMG]", f"[IMG]{NEW_A}[/IMG]"),
    "BBCode, linked": (
        f"[url={A}][img]{A}[/img][/url] [url='{A}']t[/url]",
        f"[url={NEW_A}][img]{NEW_A}[/img][/url] [url='{NEW_A}']t[/url]",
    ),
    "AsciiDoc": (
        f'image:{A}[] image::{A}["t, u", 300] {A}[t]',
        f'image:{NEW_A}[] image::{NEW_A}["t, u", 300] {NEW_A}[t]',
    ),
    "wiki": (
        f"![[{A}|t|300]] [[{A}|t]] [{A} t] {{{{{A}|t}}}} {{{{{A}}}}} {{{{ {A} }}}}",
        f"![[{NEW_A}|t|300]] [[{NEW_A}|t]] [{NEW_A} t] {{{{{NEW_A}|t}}}} {{{{{NEW_A}}}}} {{{{ {NEW_A} }}}}",
    ),
    "Slack, Jira": (f"<{A}|t> !{A}|width=300!", f"<{NEW_A}|t> !{NEW_A}|width=300!"),
    "CSS escapes": (r"url(https\:\/\/x.com\/a.jpg)", r"url(https:\/\/n.com\/1.jpg)"),
    "JSON in an attribute": (
        r'<div data-x="{&quot;u&quot;:&quot;https:\/\/x.com\/a.jpg&quot;}">',
        r'<div data-x="{&quot;u&quot;:&quot;https:\/\/n.com\/1.jpg&quot;}">',
    ),
    "JSON in JSON in JSON": (
        r'"{\"v\":\"{\\\"u\\\":\\\"https:\\\/\\\/x.com\\\/a.jpg\\\"}\"}"',
        r'"{\"v\":\"{\\\"u\\\":\\\"https:\\\/\\\/n.com\\\/1.jpg\\\"}\"}"',
    ),
    "shortcodes": (
        f"{{{{<img src={A}>}}}} {{{{% figure src={A} %}}}} {{% asset_img {A} t %}} [img src={A}]",
        f"{{{{<img src={NEW_A}>}}}} {{{{% figure src={NEW_A} %}}}} {{% asset_img {NEW_A} t %}} [img src={NEW_A}]",
    ),
    "Textile": (f"!{A}! !{A}(t)!", f"!{NEW_A}! !{NEW_A}(t)!"),
    "LaTeX": (
        rf"\includegraphics{{{A}}} \url{{https://x.com/a\_b.jpg}} \href{{{A}}}{{t}}",
        rf"\includegraphics{{{NEW_A}}} \url{{{NEW_LOW}}} \href{{{NEW_A}}}{{t}}",
    ),
    "reStructuredText": (f"`t <{A}>`_ .. |t| image:: {A}", f"`t <{NEW_A}>`_ .. |t| image:: {NEW_A}"),
    "comments": (
        f"<!-- {A}--> /*{A}*/ <!---{A}---> {A}=>{A}",
        f"<!-- {NEW_A}--> /*{NEW_A}*/ <!---{NEW_A}---> {NEW_A}=>{NEW_A}",
    ),
    "Chinese brackets": (f"见{A}（图）和“{A}”", f"见{NEW_A}（图）和“{NEW_A}”"),
    # zero-width characters
    "zero-width characters around": (
        f"\u200b{A}\u200b \ufeff{A}\ufeff\u200e (\u2060{A}\u200b)",
        f"\u200b{NEW_A}\u200b \ufeff{NEW_A}\ufeff\u200e (\u2060{NEW_A}\u200b)",
    ),
    "zero-width characters within": ("https://x.com/\u200ba.jpg", NEW_A),
    "zero-width characters by code": (
        f'"{A}&#8203;" {A}&ZeroWidthSpace;',
        f'"{NEW_A}&#8203;" {NEW_A}&ZeroWidthSpace;',
    ),
    # blanks
    "blanks in angle brackets": (
        '![](<https://x.com/a b.png> "t")\n[a]: <https://x.com/a b.png>',
        f'![](<{NEW_BLANK}> "t")\n[a]: <{NEW_BLANK}>',
    ),
    "blanks in quotes": (
        r"""'https://x.com/a b.png' &quot;https://x.com/a b.png&quot; \"https://x.com/a b.png\"""",
        rf"""'{NEW_BLANK}' &quot;{NEW_BLANK}&quot; \"{NEW_BLANK}\"""",
    ),
    "blanks in parentheses": (
        """![](https://x.com/a b.png) ![](https://x.com/a b.png "t") ![](https://x.com/a b.png 't')""",
        f"""![]({NEW_BLANK}) ![]({NEW_BLANK} "t") ![]({NEW_BLANK} 't')""",
    ),
    "blanks in a wiki embed": ("![[https://x.com/a b.png|300]]", f"![[{NEW_BLANK}|300]]"),
    "another blank in quotes": ('"https://x.com/a\u3000b.png"', f'"{NEW_B}"'),
    # without a scheme
    "srcset without schemes": (
        "<img srcset='//x.com/a.jpg 1x,\n  //x.com/b.jpg 2x,//x.com/a.jpg'>",
        f"<img srcset='{NEW_A} 1x,\n  {NEW_B} 2x,{NEW_A}'>",
    ),
    "JSON without a scheme": (r'{"u":"\/\/x.com\/a.jpg"}', r'{"u":"https:\/\/n.com\/1.jpg"}'),
    "other places without a scheme": (
        "[1]: //x.com/a.jpg\n[2]://x.com/a.jpg\ncover: //x.com/a.jpg\n<img src=//x.com/a.jpg> url(//x.com/a.jpg)",
        f"[1]: {NEW_A}\n[2]:{NEW_A}\ncover: {NEW_A}\n<img src={NEW_A}> url({NEW_A})",
    ),
    "a text of a URL without a scheme": ("//x.com/a.jpg", NEW_A),
    "only http is known": ('"//x.com/http.jpg"', f'"{NEW_A}"'),
    # spellings of one image
    "question mark of a sentence": ("https://x.com/%61.jpg? 是", f"{NEW_A}? 是"),
    "signed again": ("![](https://x.com/s.png?X-Amz-Date=2&X-Amz-Signature=b)", f"![]({NEW_A})"),
    "part of an SVG": ('<use href="https://x.com/i.svg#cat"/>', '<use href="https://n.com/i.svg#cat"/>'),
    "list with entities": ("https://x.com/e.jpg?a=1&b=2", NEW_A),
}
MORE_ADDRESSES = ADDRESSES | {
    "https://x.com/😀.png": NEW_A,
    "https://x.com/amp.jpg": NEW_QUERY,
    "https://x.com/a%E3%80%80b.png": NEW_B,
    "http://x.com/http.jpg": NEW_A,
    "https://x.com/s.png?X-Amz-Date=1&X-Amz-Signature=a": NEW_A,
    "https://x.com/i.svg": "https://n.com/i.svg",
    "https://x.com/e.jpg?a=1&amp;b=2": NEW_A,
}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page["name"])
def test_pages_that_users_have_are_rewritten(page: dict[str, Any]) -> None:
    assert rewrite(page["page"], page["addresses"]) == page["expected"]
    assert rewrite(page["expected"], page["addresses"]) == page["expected"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page["name"])
def test_images_are_found_on_pages_that_users_have(page: dict[str, Any]) -> None:
    """Whatever is replaced is found; the proxy's URL, and the page in http, show no known image."""
    found = {canonical_url(image.url) for image in find_images(page["page"])}
    known = {canonical_url(url) for url in page["addresses"]}
    assert found >= known or page["page"] == page["expected"]


@pytest.mark.parametrize(("text", "expected"), REPLACED.values(), ids=REPLACED.keys())
def test_other_spellings_are_replaced(text: str, expected: str) -> None:
    assert rewrite(text, MORE_ADDRESSES) == expected


@pytest.mark.parametrize(
    "text",
    [
        "code;\n  //x.com/a.jpg\n",
        "ftp://x.com/a.jpg a//x.com/a.jpg /a//x.com/a.jpg ///x.com/a.jpg",
        '"https://x.com/a" b.png"',
        "'https://x.com/a\nb.png'",
        "https://x.com/a b.png",
        "<a href='/go?u=https://x.com/a.jpg&u=//x.com/a.jpg'>",
        "https://x.com/a.jpg/ https://x.com/A.jpg http://x.com/a.jpg",
        "![](https://x.com/a&amp;.jpg)",
        r"https:\\x.com\a.jpg",
        "https://x.com/a.jpg(2).jpg https://x.com/a.jpg[2]/b.jpg",
    ],
)
def test_what_is_no_known_url_stays(text: str) -> None:
    assert rewrite(text, {A: NEW_A, BLANK: NEW_BLANK}) == text


UNITS = [
    A,
    "https://x.com/a b.png",
    "//x.com/b.jpg",
    r"https:\/\/x.com\/a.jpg",
    "https:&#x2F;&#x2F;x.com/a.jpg",
    "http://x.com/640",
]
MARKS = [
    *" \n\t\"'`()[]{}<>|\\=,;:.!?&#%-_*/图，。\u200b\u3000s1",
    "![](",
    "src=",
    's:19:"',
    '";',
    "&quot;",
    "[/img]",
]
TEXTS = st.lists(st.sampled_from(UNITS + MARKS) | st.text(max_size=3), max_size=30).map("".join)


@settings(max_examples=300)
@given(TEXTS)
@example('"https://x.com/a //y.com/b.png"')
@example(r"\"https://x.com/a //y.com\"")
@example("https://x.com/a.jpg#,")
@example('"HTTP://[[https://x.com/a b.png"')
@example("![](https://x.com/640#，")
@example('s:9:"https://x.com/a.jpg";')
def test_what_is_found_can_be_replaced(text: str) -> None:
    last = 0
    for image in find_images(text):
        assert last <= image.start < image.end
        last = image.end
        new = [edit[:2] for edit in replacements(text, {image.url: "https://n.com/1"})]
        assert (image.start, image.end) in new


@settings(max_examples=300)
@given(TEXTS)
def test_only_known_urls_are_replaced(text: str) -> None:
    """Outside of them, the text is equal byte for byte; a number is the length of a string of PHP."""
    edits, rest = replacements_and_rest(text, ADDRESSES)
    assert edits == replacements(text, ADDRESSES)
    starts = {edit.start for edit in edits}
    left = [image.url for image in find_images(text) if image.start not in starts]
    assert [image.url for image in rest if not image.is_broken] == left
    assert [image.url for image in rest if image.is_broken] == [
        image.url for image in find_broken_images(text)
    ]
    rewritten = rewrite(text, ADDRESSES)
    done = 0
    for start, end, new in edits:
        kept = text[done:start]
        assert rewritten.startswith(kept + new)
        rewritten, done = rewritten[len(kept + new) :], end
        spellings = {prefix + url for url in decodings(text[start:end]) for prefix in ("", "https:")}
        assert ADDRESSES.keys() & map(canonical_url, spellings) or new.isdecimal()
    assert rewritten == text[done:]


# -- speed --


def test_addresses_are_prepared_once_and_again_when_they_change(monkeypatch: pytest.MonkeyPatch) -> None:
    prepared: list[str] = []

    def canonical(url: str, parameters: Sequence[str] = ()) -> str:
        prepared.append(url)
        return canonical_url(url, parameters)

    monkeypatch.setattr("airflow_provider_123pan.rewriting.addresses.canonical_url", canonical)
    addresses = Addresses({f"https://x.com/{number}.jpg": NEW_A for number in range(100)})
    for _ in range(10):
        assert rewrite("HTTPS://x.com/1.jpg", addresses) == NEW_A
    assert len(prepared) < 250
    addresses[B] = NEW_B
    assert rewrite("HTTPS://x.com/b.jpg", addresses) == NEW_B


def test_more_parameters_may_sign_urls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__PAN123__SIGNATURE_PARAMETERS", "x-expires,X-Sign*")
    addresses = {"https://x.com/a.image?x-expires=1&x-signature=2": NEW_A}
    assert rewrite("![](https://x.com/a.image?x-expires=3&x-signature=4)", addresses) == f"![]({NEW_A})"
