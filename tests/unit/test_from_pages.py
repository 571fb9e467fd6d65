"""A list of the images that the pages of a folder show."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from airflow_provider_123pan.exceptions import Pan123InputError, Pan123PagesError
from airflow_provider_123pan.sources import from_pages

IMAGE = "https://example.com/图.png"
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
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


def urls(pages: Path, tmp_path: Path) -> list[str]:
    manifest = from_pages(f"file://{pages}", f"file://{tmp_path}/images.jsonl")
    lines = Path(manifest.removeprefix("file://")).read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["url"] for line in lines]


def test_images_are_found_in_every_format_and_encoding(write: Write, site: Path, tmp_path: Path) -> None:
    write("1.md", "![](https://a.com/1.png)")
    write("2.html", '<img src="https://a.com/640?x=1&amp;y=2">')
    write("3.json", '{"a": "https:\\/\\/a.com\\/3.png"}')
    write("4.txt", f"我的博客，今天天气很好。{IMAGE}".encode("gb18030"))
    write("5.md", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + IMAGE.encode())
    assert urls(site, tmp_path) == [
        "https://a.com/1.png",
        "https://a.com/640?x=1&y=2",
        "https://a.com/3.png",
        IMAGE,
    ]


def test_each_image_is_listed_once_and_those_of_123pan_are_not(
    write: Write, site: Path, tmp_path: Path
) -> None:
    write("1.md", "![](https://a.com/1.png) ![](https://A.com/1.png) ![](https://vip.123pan.cn/1/x.png)")
    write("2.md", "![](https://a.com/1.png) ![](https://a.com/2.png)")
    assert urls(site, tmp_path) == ["https://a.com/1.png", "https://a.com/2.png"]


def test_a_file_is_a_page_by_itself(write: Write, tmp_path: Path) -> None:
    assert urls(write("page.tmpl"), tmp_path) == [IMAGE]


def test_what_is_not_there_is_an_error_that_names_it(site: Path, tmp_path: Path) -> None:
    with pytest.raises(Pan123InputError, match=r"pages: there is no folder or file .*site/nothing"):
        urls(site / "nothing", tmp_path)


def test_a_bad_page_is_named_and_the_others_are_read(
    write: Write, site: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write("a.md", b"\xff\xfe\x00")  # half a character
    write("b.md")
    assert urls(site, tmp_path) == [IMAGE]
    (error,) = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert error == "The images of a.md are missing: it begins as UTF-16-LE and is none; repair it"


def test_if_no_page_can_be_read_it_is_an_error(write: Write, site: Path, tmp_path: Path) -> None:
    write("a.md", b"\xff\xfe\x00")
    with pytest.raises(Pan123PagesError, match="none of the 1 pages"):
        urls(site, tmp_path)
    assert not (tmp_path / "images.jsonl").exists()
