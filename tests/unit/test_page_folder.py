"""Which files of a folder are pages."""

from __future__ import annotations

import codecs
import os
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import ObjectStoragePath

from airflow_provider_123pan.exceptions import Pan123InputError
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
