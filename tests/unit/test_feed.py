"""The images that feeds show."""

from __future__ import annotations

import pytest

from airflow_provider_123pan.exceptions import Pan123DocumentError
from airflow_provider_123pan.rewriting.feed import images_of_feed

NAME = "https://example.com/feed"
ONE = "https://example.com/640?x=1&y=2"
ESCAPED = "https://example.com/640?x=1&amp;y=2"


def images(text: str, encoding: str = "utf-8") -> list[str]:
    return [*images_of_feed([text.encode(encoding)], NAME)]


def rss(item: str, encoding: str = "UTF-8") -> str:
    return (
        f'\n<?xml version="1.0" encoding="{encoding}"?><rss version="2.0" xmlns:media="http://search.yahoo.com/mrss/">'
        f"<channel><link>https://example.com/</link><item>{item}</item></channel></rss>"
    )


def atom(entry: str) -> str:
    return f'<feed xmlns="http://www.w3.org/2005/Atom"><link href="{NAME}"/><entry>{entry}</entry></feed>'


@pytest.mark.parametrize(
    "item",
    [
        f'<content:encoded xmlns:content="x"><![CDATA[<p><img src="{ESCAPED}">]]></content:encoded>',
        f"<description>&lt;img src='{ESCAPED.replace('&', '&amp;')}'&gt;</description>",
        f'<enclosure url="{ESCAPED}" type="image/png" length="1"/>',
        f'<media:content url="{ESCAPED}" medium="image"/>',
        f'<media:group><media:thumbnail url="{ESCAPED}"/></media:group>',
        f'<itunes:image href="{ESCAPED}"/>',
        f"<image><url> {ESCAPED} </url><title>t</title><link>https://example.com/page</link></image>",
    ],
)
def test_images_of_rss_are_found(item: str) -> None:
    assert images(rss(item)) == [ONE]


@pytest.mark.parametrize(
    "entry",
    [
        f'<content type="html">&lt;img src="{ESCAPED.replace("&", "&amp;")}"&gt;</content>',
        f'<content type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml"><img src="{ESCAPED}"/></div></content>',
        f'<content type="image/png" src="{ESCAPED}"/>',
        f'<link rel="enclosure" type="image/webp" href="{ESCAPED}"/>',
        f"<logo>{ESCAPED}</logo>",
    ],
)
def test_images_of_atom_are_found(entry: str) -> None:
    assert images(atom(entry)) == [ONE]


@pytest.mark.parametrize(
    "entry",
    [
        '<content type="text/html" src="https://example.com/page"/>',
        '<link rel="enclosure" type="audio/mpeg" href="https://example.com/sound"/>',
        '<enclosure url="https://example.com/film" type="video/mp4"/>',
        "<guid>https://example.com/1</guid><link>https://example.com/page</link>",
        '<media:thumbnail url=""/>',
    ],
)
def test_what_is_no_image_is_left_out(entry: str) -> None:
    assert images(atom(entry)) == []


def test_an_image_is_found_once_and_in_any_encoding() -> None:
    shown = "https://a.com/文.png"
    item = f'<description>![]({shown})</description><enclosure url="{shown}" type="image/png"/>'
    assert images(rss(item, "GBK"), "gbk") == [shown]


def test_older_feeds_are_read() -> None:
    text = f'<rdf:RDF><item rdf:about="x"><description>![]({ESCAPED})</description></item></rdf:RDF>'
    assert images(text) == [ONE]


@pytest.mark.parametrize(
    ("text", "reason"),
    [("<urlset/>", "is not a feed, its root element is <urlset>"), (rss("")[:-1], "is not well-formed XML")],
)
def test_what_cannot_be_read_is_an_error_that_names_the_feed(text: str, reason: str) -> None:
    with pytest.raises(Pan123DocumentError, match=f"{NAME} {reason}"):
        images(text)
