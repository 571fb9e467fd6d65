"""Folders of pages: which files are pages, and in which encoding they are read and written."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from airflow.sdk import ObjectStoragePath
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_123pan.exceptions import Pan123DocumentError, Pan123InputError
from airflow_provider_123pan.rewriting.folder import MAX_PAGE_BYTES, decode_page, find_pages, read_page
from airflow_provider_123pan.sources import from_pages

IMAGE = "https://example.com/图.png"
CHINESE = "# 我的博客\r\n\r\n今天天气很好，我们去公园玩。\n![图](https://example.com/图.png)\r"
Write = Callable[..., Path]


@pytest.fixture
def site(tmp_path: Path) -> Path:
    folder = tmp_path / "site"
    folder.mkdir()
    return folder


@pytest.fixture
def write(site: Path) -> Write:
    def write(name: str, content: bytes | str = f"![]({IMAGE})") -> Path:
        path = site / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


def found(site: Path) -> list[str]:
    return [os.path.relpath(path.path, site) for path in find_pages(ObjectStoragePath(f"file://{site}"))]


def urls(pages: Path, tmp_path: Path) -> list[str]:
    manifest = from_pages(f"file://{pages}", f"file://{tmp_path}/images.jsonl")
    lines = Path(manifest.removeprefix("file://")).read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["url"] for line in lines]


@pytest.mark.parametrize(
    "name",
    [
        "README.MD", "a.markdown", "a.mdx", "a.htm", "a.html", "a.rst", "a.adoc", "a.asciidoc", "a.org", "a.css",
        "a.json", "a.yml", "a.yaml", "a.toml", "a.xml", "a.txt", "dir.md/a.md", "a b/#1?.md", "图/猫.md",
    ],
)  # fmt: skip
def test_text_files_are_pages_whatever_their_names(write: Write, site: Path, name: str) -> None:
    write(name)
    assert found(site) == [name]


@pytest.mark.parametrize(
    "name", [".git/a.md", "a/.obsidian/a.json", ".hidden.md", "a.png", "a.py", "md", "a.md.bak"]
)
def test_hidden_and_other_files_are_left_out(write: Write, site: Path, name: str) -> None:
    write("b.md")
    write(name)
    assert found(site) == ["b.md"]


def test_pages_are_sorted_and_links_to_folders_are_not_followed(write: Write, site: Path) -> None:
    for name in ("b/2.md", "b/1.md", "a/1.md", "c.md"):
        write(name)
    (site / "again").symlink_to(site)
    assert found(site) == ["c.md", "a/1.md", "b/1.md", "b/2.md"]


def test_a_file_is_a_page_by_itself(write: Write, tmp_path: Path) -> None:
    assert urls(write("page.tmpl"), tmp_path) == [IMAGE]


def test_what_is_not_there_is_an_error_that_names_it(site: Path, tmp_path: Path) -> None:
    with pytest.raises(Pan123InputError, match=r"pages: there is no file or folder .*site/nothing"):
        urls(site / "nothing", tmp_path)


@pytest.mark.parametrize(
    "encoding",
    ["utf-8", "utf-8-sig", "gb18030", "big5", "cp932", "cp949", "utf-16", "utf-16-le", "utf-16-be", "utf-32"],
)
def test_the_encoding_is_detected_and_kept(encoding: str) -> None:
    text = {
        "big5": "# 我的部落格\n今天天氣很好，我們去公園玩。",
        "cp932": "# ブログ\n今日はいい天気です。",
        "cp949": "# 블로그\n오늘은 날씨가 좋습니다.",
    }.get(encoding, CHINESE)
    data = text.encode(encoding)
    page = decode_page(data, ".md")
    assert page is not None
    assert page.text == text
    assert page.encode(page.text) == data
    assert page.encode("a") == ("a".encode(encoding) if encoding != "utf-16-be" else b"\0a")


@pytest.mark.parametrize(
    ("text", "suffix"),
    [
        ('<meta charset="gbk"><img src="https://example.com/图.png">', ".html"),
        ("<META http-equiv=content-type content='text/html; charset=gb2312'>图", ".HTM"),
        ('<?xml version="1.0" encoding="GBK"?><a>图</a>', ".xml"),
        ('@charset "gbk"; a { background: url(https://example.com/图.png) }', ".css"),
    ],
)
def test_a_declared_encoding_decides_where_the_text_is_short(text: str, suffix: str) -> None:
    data = text.encode("gbk")
    assert data.decode("utf-8") != text  # it is valid UTF-8 by accident
    page = decode_page(data, suffix)
    assert page is not None
    assert page.text == text


def test_a_wrong_declaration_does_not_count() -> None:
    for text in (
        f"<meta charset=gbk>{'图文' * 10}",
        "<meta charset=utf-7>+AGE-",
        f"<meta charset=gbk>{CHINESE}",
        f"<meta charset=klingon>{CHINESE}",
        f"<meta charset=hex>{CHINESE}",
    ):
        page = decode_page(text.encode(), ".html")
        assert page is not None
        assert page.text == text


def test_code_in_markdown_declares_nothing() -> None:
    text = "`<meta charset=gbk>` ä"
    page = decode_page(text.encode(), ".md")
    assert page is not None
    assert page.text == text


@given(st.binary(max_size=200), st.sampled_from([".md", ".html", ".xml"]))
def test_whatever_is_read_is_written_byte_for_byte(data: bytes, suffix: str) -> None:
    try:
        page = decode_page(data, suffix)
    except UnicodeError:
        return
    if page is not None:
        assert page.encode(page.text) == data


@pytest.mark.parametrize("data", [bytes(9), b"a\0b\0c", b"\xff\xfea\0\0\0", b"a\0\0\0b\0" * 9])
def test_data_with_nul_is_binary(data: bytes) -> None:
    assert decode_page(data, ".txt") is None


def test_binary_files_are_left_out(write: Write, site: Path, tmp_path: Path) -> None:
    write("a.md", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(range(256)) + IMAGE.encode())
    write("b.md")
    assert urls(site, tmp_path) == [IMAGE]


def test_a_bad_page_is_named_and_the_others_are_read(
    write: Write, site: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write("a.md", b"\xff\xfe\x00\xd8")  # half a surrogate pair
    (site / "b.md").symlink_to(site / "nothing.md")
    write("c.md")
    assert urls(site, tmp_path) == [IMAGE]
    first, second = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert f"{site}/a.md cannot be read: it is not utf-16-le" in first
    assert f"{site}/b.md cannot be read" in second


def test_if_no_page_can_be_read_it_is_an_error(write: Write, site: Path, tmp_path: Path) -> None:
    write("a.md", b"\xff\xfe\x00\xd8")
    with pytest.raises(Pan123DocumentError, match="none of the 1 pages"):
        urls(site, tmp_path)
    assert not (tmp_path / "images.jsonl").exists()


def test_a_huge_page_is_not_read(write: Write) -> None:
    path = write("a.md")
    os.truncate(path, MAX_PAGE_BYTES + 1)
    with pytest.raises(Pan123DocumentError, match=r"a\.md has more than 100 MiB"):
        read_page(ObjectStoragePath(f"file://{path}"))


def test_images_are_found_in_every_format(write: Write, site: Path, tmp_path: Path) -> None:
    write("1.md", "![](https://a.com/1.png)\n![](https://a.com/1.png)")
    write("2.html", '<img src="https://a.com/640?x=1&amp;y=2">')
    write("3.json", '{"a": "https:\\/\\/a.com\\/3.png"}')
    write("4.txt", CHINESE.encode("gb18030"))
    assert urls(site, tmp_path) == [
        "https://a.com/1.png",
        "https://a.com/640?x=1&y=2",
        "https://a.com/3.png",
        IMAGE,
    ]
