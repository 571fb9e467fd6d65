"""Which files of a folder are pages, and in which encodings they are read and written."""

from __future__ import annotations

import codecs
import os
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import ObjectStoragePath

from airflow_provider_123pan.exceptions import Pan123InputError
from airflow_provider_123pan.pages.encoding import check_encoding, decode_page
from airflow_provider_123pan.pages.folder import MAX_PAGE_BYTES, PageFolder, page_at
from airflow_provider_123pan.pages.page_text import PageProblem, PageText, read_texts


def fill(folder: Path, *names: str, content: bytes = b"text") -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def names(folder: PageFolder) -> list[str]:
    return [page.name for page in folder]


def test_text_formats_are_pages_in_any_case_and_at_any_depth(tmp_path: Path) -> None:
    pages = [
        *("a.markdown", "b.mdx", "c.htm", "d/README.MD", "d/e/f.css", "g.json", "h.yml", "i.toml", "j.rst"),
        *("k.adoc", "l.org", "m.xml", "n.txt", "o.html", "图/页.md", "p q#1.md"),
    ]
    fill(tmp_path, *pages, "x.png", "y.py", "z")
    assert sorted(names(PageFolder(str(tmp_path)))) == sorted(pages)


def test_hidden_files_links_and_folders_named_like_pages_are_no_pages(tmp_path: Path) -> None:
    fill(tmp_path, "dir.md/a.md", ".git/config.txt", "b/.obsidian/c.json", ".hidden.md", "d.md")
    (tmp_path / "link.md").symlink_to(tmp_path / "d.md")
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "dangling.md").symlink_to(tmp_path / "nothing")
    os.mkfifo(tmp_path / "pipe.md")
    assert names(PageFolder(str(tmp_path))) == ["d.md", "dir.md/a.md"]


def test_patterns_select_pages(tmp_path: Path) -> None:
    fill(tmp_path, "a.md", "b.vue", "drafts/c.md", "x/node_modules/d.md", "x/e.md")
    root = str(tmp_path)
    assert names(PageFolder(root, include=["*.VUE", "x/*.md"], exclude=["node_modules"])) == [
        "b.vue",
        "x/e.md",
    ]
    assert names(PageFolder(root, exclude=["drafts/", "x/*/d.md"])) == ["a.md", "x/e.md"]


def test_the_journal_and_other_outputs_are_no_pages(tmp_path: Path) -> None:
    fill(tmp_path, "a.md", "journal/report.html", "journal/x/y.json", "report.html")
    folder = PageFolder(str(tmp_path), skipped=[f"{tmp_path}/journal/", str(tmp_path / "report.html")])
    assert names(folder) == ["a.md"]


def test_a_file_is_a_page_whatever_its_name(tmp_path: Path) -> None:
    fill(tmp_path, "a.vue", "b.md")
    folder = PageFolder(str(tmp_path / "a.vue"))
    assert (folder.root, names(folder)) == (str(tmp_path), ["a.vue"])


def test_pages_of_an_object_store_are_found_in_order(object_store: Any) -> None:
    for name in ("b.md", "a/c.md", "a/.d/e.md", "f.png"):
        object_store.pipe_file(f"/found/{name}", b"text")
    folder = PageFolder("memory://found/")
    assert names(folder) == ["b.md", "a/c.md"]
    assert [page.data for page in read_texts(folder) if isinstance(page, PageText)] == [b"text", b"text"]


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(Pan123InputError, match="pages: there is no folder or file"):
        PageFolder(str(tmp_path / "nothing"))
    with pytest.raises(Pan123InputError, match="pages: give the path"):
        PageFolder("")


def test_a_name_never_leads_out_of_its_folder(tmp_path: Path) -> None:
    for name in ("../a.md", "b/../../a.md", "/etc/passwd"):
        with pytest.raises(Pan123InputError, match="is not the path of a page"):
            page_at(ObjectStoragePath(str(tmp_path)), name)


def test_one_bad_page_is_named_and_the_others_are_read(tmp_path: Path) -> None:
    fill(tmp_path, "a.md", "z.md")
    fill(tmp_path, "cut.md", content=codecs.BOM_UTF16_LE + b"a\0b")
    fill(tmp_path, "picture.md", content=b"\x89PNG\0\0\0\x01")
    with (tmp_path / "long.md").open("wb") as file:
        file.truncate(MAX_PAGE_BYTES + 1)
    found = [*read_texts(PageFolder(str(tmp_path)))]
    assert [page.name for page in found] == ["a.md", "cut.md", "long.md", "z.md"]
    assert [page.reason for page in found if isinstance(page, PageProblem)] == [
        "it begins as UTF-16-LE and is none; repair it",
        "it has more than 32 MiB; split it or leave it out with exclude",
    ]


CHINESE = "# 图片\r\n\r\n![图](https://x.com/图.png) 你好\n"


@pytest.mark.parametrize(
    ("data", "name", "encoding"),
    [
        (CHINESE.encode(), "a.md", "utf-8"),
        (codecs.BOM_UTF8 + CHINESE.encode(), "a.md", "utf-8"),
        (codecs.BOM_UTF16_LE + CHINESE.encode("utf-16-le"), "a.md", "utf-16-le"),
        (codecs.BOM_UTF16_BE + CHINESE.encode("utf-16-be"), "a.md", "utf-16-be"),
        (codecs.BOM_UTF32_LE + CHINESE.encode("utf-32-le"), "a.md", "utf-32-le"),
        (CHINESE.encode("utf-16-le"), "a.md", "utf-16-le"),
        (CHINESE.encode("gbk"), "a.md", "gb18030"),
        ((CHINESE * 30).encode("gbk"), "a.md", "gb18030"),
        (b"<html><meta charset=gb2312>" + "图".encode("gbk"), "a.html", "gb18030"),
        (b'<?xml version="1.0" encoding="Big5"?>' + "圖".encode("big5"), "a.xml", "big5"),
        (b'@charset "shift_jis";' + "図".encode("shift_jis"), "a.css", "shift_jis"),
    ],
)
def test_encodings_are_detected_and_kept(data: bytes, name: str, encoding: str) -> None:
    found = decode_page(data, name)
    assert found is not None
    text, used = found
    assert used.name == encoding
    assert used.encode(text) == data
    assert "\ufffd" not in text


def test_a_declaration_in_markdown_is_an_example() -> None:
    data = '<meta charset="gb2312"> 图https://x.com'.encode()
    found = decode_page(data, "a.md")
    assert found is not None
    assert found[1].name == "utf-8"


def test_a_given_encoding_replaces_detection_only() -> None:
    found = decode_page("図".encode("shift_jis"), "a.md", "shift_jis")
    assert found is not None
    assert found[0] == "図"
    found = decode_page("図".encode(), "a.md", "shift_jis")
    assert found is not None
    assert found[0] == "図"
    with pytest.raises(Pan123InputError, match="encoding: Python knows none of the name 'klingon'"):
        check_encoding("klingon")


def test_any_bytes_without_zeros_are_read_and_written_again() -> None:
    data = b"a" + bytes(range(255, 0, -1)) * 3
    found = decode_page(data, "a.md")
    assert found is not None
    assert found[1].encode(found[0]) == data
    assert decode_page(b"a\0b\0\0c", "a.md") is None


def test_a_page_declared_in_another_encoding_is_read_as_it_is() -> None:
    data = b"<meta charset=utf-16><meta charset=rot13>" + "图".encode()
    found = decode_page(data, "a.html")
    assert found is not None
    assert found[1].name == "utf-8"
