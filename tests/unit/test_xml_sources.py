"""Sitemaps in every form that websites serve, read from bytes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from airflow_provider_123pan.exceptions import Pan123DocumentError
from airflow_provider_123pan.source.sitemap import read_sitemap
from airflow_provider_123pan.source.xml_stream import read_xml

URL = "https://example.com/sitemap.xml"
IMAGE = "https://example.com/图.png"
DECLARATION = '<?xml version="1.0" encoding="{}"?>\n'
IMAGE_NAMESPACES = [
    'xmlns:image="http://www.google.com/schemas/sitemap-image/1.1"',
    'xmlns:image="http://www.google.com/schemas/sitemap-image/1.1/"',
    'xmlns:image="https://www.google.com/schemas/sitemap-image/1.1"',
    "",
]


def sitemap(*images: str, namespace: str = IMAGE_NAMESPACES[0]) -> str:
    found = "".join(f"<image:image><image:loc>{image}</image:loc></image:image>" for image in images)
    return (
        f'<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9" {namespace}>'
        f"<url><loc>https://example.com/page</loc>{found}</url></urlset>"
    )


def index(*sitemaps: str) -> str:
    found = "".join(f"<sitemap><loc> {place} </loc></sitemap>" for place in sitemaps)
    return f'<sitemapindex xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{found}</sitemapindex>'


def images(text: str | bytes, **others: str) -> list[str]:
    """Return the images of the sitemap at URL; the others are below the same host."""
    served = {f"https://example.com/{name}": content.encode() for name, content in others.items()}
    served[URL] = text if isinstance(text, bytes) else text.encode()

    def read(url: str) -> Iterator[bytes]:
        content = served[url]
        return (content[start : start + 7] for start in range(0, len(content), 7))

    return [*read_sitemap(URL, read)]


@pytest.mark.parametrize("namespace", IMAGE_NAMESPACES)
def test_images_are_found_in_every_spelling_of_the_namespace(namespace: str) -> None:
    assert images(sitemap(IMAGE, "https://example.com/2.png", namespace=namespace)) == [
        IMAGE,
        "https://example.com/2.png",
    ]


def test_another_prefix_may_stand_for_the_namespace() -> None:
    assert images(sitemap(IMAGE).replace("image:", "i:")) == [IMAGE]


@pytest.mark.parametrize(
    ("declared", "encoding"),
    [
        ("GBK", "gbk"),
        ("gb2312", "gb18030"),
        ("UTF-8", "utf-8"),
        ("utf-8", "utf-8-sig"),
        ("UTF-16", "utf-16"),
        ("UTF-16", "utf-16-be"),
        ("Big5", "big5"),
    ],
)
def test_the_declared_encoding_is_read(declared: str, encoding: str) -> None:
    image = "https://example.com/文.png"
    assert images((DECLARATION.format(declared) + sitemap(image)).encode(encoding)) == [image]


@pytest.mark.parametrize(
    ("declared", "character"), [("GB2312", "镕"), ("GBK", "㐀"), ("Shift_JIS", "①"), ("EUC-KR", "똠")]
)
def test_characters_that_the_declared_encoding_got_later_are_read(declared: str, character: str) -> None:
    encoding = {"Shift_JIS": "cp932", "EUC-KR": "cp949"}.get(declared, "gb18030")
    image = f"https://example.com/{character}.png"
    assert images((DECLARATION.format(declared) + sitemap(image)).encode(encoding)) == [image]


@pytest.mark.parametrize("before", ["\n", " \r\n\t\n", "\ufeff\n", "\n" * 3000])
def test_white_space_before_the_declaration_is_skipped(before: str) -> None:
    assert images(before + DECLARATION.format("UTF-8") + sitemap(IMAGE)) == [IMAGE]


def test_entities_and_character_data_are_decoded() -> None:
    assert images(sitemap("\n https://a.com/1.png?a=1&amp;b=2 ", "<![CDATA[https://a.com/2.png?a&b]]>")) == [
        "https://a.com/1.png?a=1&b=2",
        "https://a.com/2.png?a&b",
    ]


def test_the_sitemaps_of_an_index_are_read_once() -> None:
    inner = index("https://example.com/a", "/sitemap.xml")
    found = images(
        index("https://example.com/a", "https://example.com/b", "https://example.com/a"),
        a=sitemap(IMAGE),
        b=inner,
    )
    assert found == [IMAGE]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_robots_txt_names_sitemaps(end: str) -> None:
    lines = [
        "\ufeffSitemap: https://example.com/a.xml?a=%26",
        "User-agent: *",
        "Disallow: /",
        "  sitemap :/b.xml # b",
    ]
    served = {
        "https://example.com/robots.txt": end.join([*lines, "# Sitemap: /c.xml"]).encode(),
        "https://example.com/a.xml?a=%26": sitemap(IMAGE).encode(),
        "https://example.com/b.xml": sitemap("https://example.com/2.png").encode(),
    }
    found = read_sitemap("https://example.com/robots.txt", lambda url: iter([served[url]]))
    assert [*found] == [IMAGE, "https://example.com/2.png"]


def test_robots_txt_without_a_sitemap_is_an_error() -> None:
    with pytest.raises(Pan123DocumentError, match=r"https://example.com/robots.txt names no sitemap"):
        [*read_sitemap("https://example.com/robots.txt", lambda url: iter([b"User-agent: *"]))]


BOMB = '<!DOCTYPE urlset [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>'
EXTERNAL = '<!DOCTYPE urlset [<!ENTITY a SYSTEM "file:///etc/passwd">]>'


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (sitemap(IMAGE)[:-9], "not well-formed XML"),
        ("", "not well-formed XML"),
        ("https://example.com/page\n", "not well-formed XML"),
        (BOMB + sitemap("&b;"), "declares entities"),
        (EXTERNAL + sitemap("&a;"), "declares entities"),
        ("<a>" * 101, "nested more than 100 levels deep"),
        ("<html><body/></html>", "is not a sitemap, its root element is <html>"),
        ("<rss><channel/></rss>", "use from_feed"),
        (
            (DECLARATION.format("UTF-8") + sitemap("https://a.com/文.png")).encode("gbk"),
            "not in the encoding",
        ),
        (DECLARATION.format("klingon") + sitemap(IMAGE), "unknown encoding: klingon"),
        (DECLARATION.format("hex") + sitemap(IMAGE), "not a text encoding"),
    ],
)
def test_what_cannot_be_read_is_an_error_that_names_the_sitemap(text: str | bytes, reason: str) -> None:
    with pytest.raises(Pan123DocumentError, match=reason) as caught:
        images(text)
    assert URL in str(caught.value)


def test_an_error_in_a_sitemap_of_an_index_names_that_one_without_secrets() -> None:
    place = "https://example.com/a?token=verysecret"
    served = {URL: index(place).encode(), place: b"<html/>"}
    with pytest.raises(Pan123DocumentError, match=r"https://example.com/a\?token=\*\*\* is not a sitemap"):
        [*read_sitemap(URL, lambda url: iter([served[url]]))]


def test_an_index_without_end_is_an_error() -> None:
    def read(url: str) -> Iterator[bytes]:
        number = int(url.rpartition("/")[2])
        yield index(f"https://example.com/{number + 1}").encode()

    with pytest.raises(Pan123DocumentError, match="refers to more than 50000 sitemaps"):
        [*read_sitemap("https://example.com/0", read)]


def test_images_are_found_before_the_sitemap_ends() -> None:
    def blocks() -> Iterator[bytes]:
        yield sitemap(*[IMAGE] * 50).encode()[:-20]
        raise AssertionError("read on")

    found = read_sitemap(URL, lambda _: blocks())
    assert next(found) == IMAGE


def test_a_doctype_without_entities_is_read() -> None:
    text = (
        b'<!DOCTYPE rss PUBLIC "-//N//DTD RSS 0.91//EN" "http://my.netscape.com/rss.dtd"><rss a="1">x</rss>'
    )
    (element,) = read_xml([text], "feed")
    assert element == (("rss",), {"a": "1"}, "x")
