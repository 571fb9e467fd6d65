"""Lists as other tools write them are read: their columns, delimiters, encodings, compression, sizes and ETags."""

from __future__ import annotations

import gzip
import logging
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_123pan.exceptions import Pan123InputError
from airflow_provider_123pan.sync.manifest import read_images
from tests.lists import Loaded, load

MD5 = "9b2cf535f27731c974343645a3985328"
ONE, TWO = "https://a.com/1.png", "https://a.com/2.png"
NAMED = [(ONE, "x.png"), (TWO, "y.png")]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("rclone.csv", f"{ONE},x.png\n{TWO},y.png\n"),
        ("qshell.txt", f"# from qshell\n{ONE}\tx.png\n\n{TWO}\ty.png\n"),
        ("qshell.tsv", f"{ONE}\tx.png\n{TWO}\ty.png\n"),
        ("alibabacloud.csv", f"Url,Key\n{ONE},x.png\n{TWO},y.png\n"),
        ("alibabacloud.tsv", f"Url\tKey\n{ONE}\tx.png\n{TWO}\ty.png\n"),
        ("alibabacloud.txt", f"# from alibabacloud\nUrl\tKey\n{ONE}\tx.png\n{TWO}\ty.png\n"),
        ("capitals.csv", f"URL,FILENAME\n{ONE},x.png\n{TWO},y.png\n"),
        ("spelled.csv", f"\ufeff File Name , Url \nx.png,{ONE}\ny.png,{TWO}\n"),
        ("semicolons.csv", f"url;file_name\n{ONE};x.png\n{TWO};y.png\n"),
        ("semicolons without a header.csv", f"{ONE};x.png\n{TWO};y.png\n"),
        ("bars.csv", f"url|name\n{ONE}|x.png\n{TWO}|y.png\n"),
        ("quoted.csv", f'"url","file_name"\r\n"{ONE}","x.png"\r\n"{TWO}","y.png"\r\n'),
        ("extra.csv", f"id,url,file_name,width\n1,{ONE},x.png,3\n2,{TWO},y.png,4\n"),
        ("filled up.csv", f"url,file_name\n{ONE},x.png,,\n{TWO},y.png,,\n"),
        ("lines.csv", f'url,caption,key\n{ONE},"two\nlines",x.png\n{TWO},"an ""inner"" quote",y.png\n'),
        ("lenient.csv", f'url,caption,key\n{ONE},"5" high,x.png\n{TWO},,y.png\n'),
        (
            "capitals.jsonl",
            f'{{"URL": "{ONE}", "Key": "x.png", "w": 1}}\n{{"url": "{TWO}", "name": "y.png"}}\n',
        ),
        ("comments.txt", "# a comment\n" * 50 + f"{ONE}\tx.png\n{TWO}\ty.png\n"),
        ("comments and a header.txt", "# a comment\n" * 50 + f"Url;Key\n{ONE};x.png\n{TWO};y.png\n"),
        ("many blank first.csv", "\n" * 50 + f"Url,Key\n{ONE},x.png\n{TWO},y.png\n"),
        ("blank first.csv", f"\n\nUrl,Key\n{ONE},x.png\n{TWO},y.png\n"),
    ],
)
def test_lists_of_other_tools(name: str, content: str, load_file: Callable[..., Loaded]) -> None:
    assert load_file(name, content) == Loaded([(*named, None, None) for named in NAMED], [])
    assert load_file(f"{name}.gz", gzip.compress(content.encode())).names == NAMED


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("header.tsv", f"url\n{ONE}\n{TWO}\n"),
        ("no header.tsv", f"{ONE}\n{TWO}\n"),
        ("no header.csv", f"{ONE}\n{TWO}\n"),
        ("google.txt", f"TsvHttpData-1.0\n{ONE}\n{TWO}\n"),
        ("google.csv", f"\nTsvHttpData-1.0\n{ONE}\n{TWO}\n"),
        ("google.tsv.gz", gzip.compress(f"TsvHttpData-1.0\n{ONE}\n{TWO}\n".encode(), mtime=0)),
    ],
)
def test_lists_of_urls(name: str, content: str | bytes, load_file: Callable[..., Loaded]) -> None:
    assert [url for url, *_ in load_file(name, content).images] == [ONE, TWO]


def test_a_tab_separates_before_a_comma_that_a_url_contains(load_file: Callable[..., Loaded]) -> None:
    content = f"{ONE}?crop=1,2\tx.png\n{TWO}?crop=3,4\ty.png\n"
    assert load_file("a.tsv", content).names == [(f"{ONE}?crop=1,2", "x.png"), (f"{TWO}?crop=3,4", "y.png")]


def test_extra_columns_are_ignored_with_one_warning(
    load_file: Callable[..., Loaded], caplog: pytest.LogCaptureFixture
) -> None:
    rows = "".join(f"https://a.com/{number}.png,{number},4\n" for number in range(50))
    assert len(load_file("a.csv", f"url,width,height\n{rows}").images) == 50
    lines = "".join(f'{{"url": "https://a.com/{n}.png", "width": 1, "n{n}": 2}}\n' for n in range(50))
    assert len(load_file("a.jsonl", lines).images) == 50
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 2
    assert "'width', 'height' are ignored" in caplog.text


def test_objects_of_s3_in_a_table(load_file: Callable[..., Loaded]) -> None:
    content = (
        "Bucket,Key,Size,LastModifiedDate,ETag\n"
        f'photos,2026/a+cat.png,12,2026-11-25T00:00:00.000Z,"{MD5}"\n'
        "photos,2026/,0,2026-11-25T00:00:00.000Z,\n"
        "photos,2026/index.html,7,2026-11-25T00:00:00.000Z,\n"
    )
    ((url, _, size, md5),) = load_file("s3.csv", content).images
    assert (url, size, md5) == ("https://photos.s3.amazonaws.com/2026/a%20cat.png", 12, MD5)


def test_a_file_of_an_s3_inventory_without_its_manifest(load_file: Callable[..., Loaded]) -> None:
    content = '"my.photos","1.png","12","2026-11-25T00:00:00.000Z"\n"my.photos","%E5%9B%BE.png","13",""\n'
    assert [url for url, *_ in load_file("data.csv.gz", gzip.compress(content.encode())).images] == [
        "https://s3.amazonaws.com/my.photos/1.png",
        "https://s3.amazonaws.com/my.photos/%E5%9B%BE.png",
    ]


@pytest.mark.parametrize("size", [12, 12.0, "12", "12.0", " 12.00 "], ids=repr)
def test_a_size_may_be_a_float(size: Any) -> None:
    assert load(read_images([{"url": ONE, "size": size}])).images[0][2] == 12


@pytest.mark.parametrize("size", [12.5, "12.5", "1e3", float("nan"), float("inf"), "", None], ids=repr)
def test_what_is_no_size(size: Any) -> None:
    found = load(read_images([{"url": ONE, "size": size}]))
    assert bool(found.reasons) == (size not in ("", None))


def test_an_etag_may_have_quotes(load_file: Callable[..., Loaded]) -> None:
    assert load_file("a.csv", f'url,etag\n{ONE},"""{MD5.upper()}"""\n').images[0][3] == MD5


def test_an_etag_of_a_multipart_upload_is_ignored_with_a_warning(
    load_file: Callable[..., Loaded], caplog: pytest.LogCaptureFixture
) -> None:
    rows = "".join(f'https://a.com/{number}.png,"""{MD5}-3"""\n' for number in range(3))
    found = load_file("a.csv", f"url,ETag\n{rows}")
    assert [image[3] for image in found.images] == [None] * 3
    (record,) = caplog.records
    assert record.getMessage() == (
        "md5: the ETag of a multipart upload is not an MD5, and is ignored (3 entries, the first is line 2)"
    )


def test_a_text_in_another_encoding(load_file: Callable[..., Loaded]) -> None:
    url = "https://a.com/图.png"
    assert load_file("a.txt", url.encode("gbk"), "gbk").images[0][0] == url
    assert load_file("a.csv.gz", gzip.compress(f"url\n{url}".encode("utf-16")), "utf-16").images[0][0] == url
    assert load_file("a.txt", f"\ufeff{url}", "UTF8").images[0][0] == url
    with pytest.raises(
        Pan123InputError, match='is not UTF-8 .* give its encoding, such as encoding="gb18030"'
    ):
        load_file("a.txt", "https://a.com/测.png".encode("gbk"))
    with pytest.raises(Pan123InputError, match="is not ascii"):
        load_file("a.txt", url, "ascii")
    with pytest.raises(Pan123InputError, match="^encoding: Python knows none of the name 'gbq'"):
        load_file("a.txt", url, "gbq")


def test_a_url_that_is_escaped_for_html_is_decoded_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    found = load(read_images(["https://a.com/1.png?a=1&amp;b=2&#38;c=3", ONE]))
    assert [url for url, *_ in found.images] == ["https://a.com/1.png?a=1&b=2&c=3", ONE]
    (record,) = caplog.records
    assert (
        "escaped for HTML; its &amp; is read as & (1 entries, the first is images[0])" in record.getMessage()
    )


def test_a_blank_in_a_url_is_percent_encoded(load_file: Callable[..., Loaded]) -> None:
    content = "https://a.com/a b.png\nhttps://a.com/a\u3000c.png\n"
    assert [url for url, *_ in load_file("a.txt", content).images] == [
        "https://a.com/a%20b.png",
        "https://a.com/a%E3%80%80c.png",
    ]


@pytest.mark.parametrize(
    ("url", "words"),
    [
        (f"{ONE} {TWO}", "there are several"),
        ("https://a b.com/1.png", "white space"),
        ("https://a.com/\x01.png", "control characters"),
    ],
)
def test_a_blank_that_separates_is_not_encoded(url: str, words: str) -> None:
    (reason,) = load(read_images([url])).reasons
    assert words in str(reason)


def test_a_quote_that_is_not_closed_costs_one_line(load_file: Callable[..., Loaded]) -> None:
    rows = [f'https://a.com/{number}.png,"a caption"' for number in range(6)]
    for bad in ('https://a.com/3.png,"a caption', '"https://a.com/3.png,a caption'):
        rows[3] = bad
        found = load_file("a.csv", "\n".join(["url,caption", *rows, ""]))
        assert [url for url, *_ in found.images] == [
            f"https://a.com/{number}.png" for number in (0, 1, 2, 4, 5)
        ]
        assert found.reasons == ["line 5: it has a quotation mark that is not closed"]


def test_long_lines_before_and_after_a_header_cost_one_line_each(load_file: Callable[..., Loaded]) -> None:
    long = "x" * 70_000
    found = load_file("a.csv", f"{long}\nurl\n" + f"{long}\n" * 30 + f"{ONE}\n")
    assert [url for url, *_ in found.images] == [ONE]
    assert [str(reason).split(":")[0] for reason in found.reasons] == [
        f"line {number}" for number in (1, *range(3, 33))
    ]
    with pytest.raises(Pan123InputError, match="must be the header"):
        load_file("a.csv", f"{long}\n" * 30 + f"{ONE}\n")


def test_a_nul_costs_one_line(load_file: Callable[..., Loaded]) -> None:
    found = load_file("a.csv", f"url\n{ONE}\nhttps://a.com/\0.png\n{TWO}\n")
    assert [url for url, *_ in found.images] == [ONE, TWO]
    assert len(found.reasons) == 1
