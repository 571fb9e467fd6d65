"""The images that pages show are found by their places and by their URLs."""

from __future__ import annotations

import pytest

from airflow_provider_123pan.rewriting import find_images

BLANK = "https://x.com/a%20b.png"

CONTEXTS = [
    ("![t](https://x.com/640)", "markdown image"),
    ("![t](<https://x.com/640>)", "markdown image"),
    ("[![t](https://x.com/640)](https://x.com/page)", "markdown image"),
    ("![a [b] c](https://x.com/640)", "markdown image"),
    ("![t][1]\n\n[1]: https://x.com/640\n[2]: https://x.com/page", "markdown image"),
    ("![1]\n\n[1]: <https://x.com/640>", "markdown image"),
    ("![[https://x.com/640|300]]", "wiki embed"),
    ('<img src="https://x.com/640"> <a href="https://x.com/page">', "html attribute"),
    ("<img data-src=https://x.com/640><script src=https://x.com/page></script>", "html attribute"),
    ("&lt;img src=&quot;https://x.com/640&quot;&gt;", "html attribute"),
    ('<svg><image xlink:href="https://x.com/640"/></svg>', "html attribute"),
    ('<meta property="og:image" content="https://x.com/640">', "html attribute"),
    (
        '<link rel="icon" href="https://x.com/640"><link rel="next" href="https://x.com/page">',
        "html attribute",
    ),
    (r'"<img src=\"https:\/\/x.com\/640\">"', "html attribute"),
    ("<video src='https://x.com/page' poster='https://x.com/640'>", "value"),
    ("<img srcset='https://x.com/640 1x'>", "srcset"),
    ("a { background: url( 'https://x.com/640' ) }", "css url"),
    ("[img width=1]https://x.com/640[/img]", "bbcode"),
    ("image::https://x.com/640[t] link:https://x.com/page[t]", "asciidoc macro"),
    (".. image:: https://x.com/640\n.. _t: https://x.com/page", "rst directive"),
    ("{% img https://x.com/640 300 %} {% link https://x.com/page %}", "template tag"),
    ("cover: https://x.com/640\nurl: https://x.com/page", "value"),
    (r'{"image": "https:\/\/x.com\/640", "url": "https:\/\/x.com\/page"}', "value"),
    ("<image:loc>https://x.com/640</image:loc><loc>https://x.com/page</loc>", "value"),
]


@pytest.mark.parametrize(("text", "context"), CONTEXTS)
def test_images_without_an_extension_are_found_by_their_place(text: str, context: str) -> None:
    (image,) = find_images(text)
    assert (image.url, image.context.value) == ("https://x.com/640", context)
    assert text[image.start : image.end].endswith("640")


@pytest.mark.parametrize(
    "url",
    [
        "https://x.com/a.JPG",
        "https://x.com/a.jpg!large",
        "https://x.com/a.png@2x",
        "https://x.com/a.jpg?w=1",
        "https://x.com/a.webp#top",
        "https://x.com/640?wx_fmt=png",
        "https://x.com/a?format=image/webp",
        "https://x.com/a.jpg/w=1200,h=620",
    ],
)
def test_images_are_found_by_the_format_that_their_urls_show(url: str) -> None:
    assert [image.url for image in find_images(f"See {url} or [t]({url}).")] == [url, url]


def test_pages_and_other_files_are_no_images() -> None:
    text = "https://x.com/ https://x.png.com/a [t](https://x.com/a.html) https://x.com/?f=a.png https://x.com/a.pngx"
    assert [*find_images(text)] == []


@pytest.mark.parametrize(
    "text",
    [
        "@import url(https://x.com/css?family=A); @import url('https://x.com/640');",
        "@font-face{src:url(https://x.com/a.woff2) format('woff2'),url(https://x.com/a.ttf?v=1),url(https://x.com/a.eot#x)}",
        "![](https://x.com/a.mp4) ![[https://x.com/a.pdf]] <img data-src=https://x.com/a.js>",
    ],
)
def test_other_files_in_places_for_images_are_no_images(text: str) -> None:
    assert [*find_images(text)] == []


def test_the_first_end_that_shows_a_format_counts() -> None:
    text = '"https://x.com/a b.png" "https://x.com/a.png and b.png" 图https://x.com/a.png，很好'
    spelled = [text[image.start : image.end] for image in find_images(text)]
    assert spelled == ["https://x.com/a b.png", "https://x.com/a.png", "https://x.com/a.png"]
    assert [image.url for image in find_images("![](<https://x.com/a b.png>)")] == [BLANK]
