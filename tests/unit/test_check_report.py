"""The report of a check, and the database behind it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import closing
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_123pan.check.checked_images import CheckedImages
from airflow_provider_123pan.check.report import write_report
from airflow_provider_123pan.html_report import begin, origin_of
from airflow_provider_123pan.sync.result_record import ResultRecord
from airflow_provider_123pan.verification.loading import Problem
from tests.support import image

HOSTILE = "<script>alert(1)</script>\"'.png"


@pytest.fixture
def images() -> Iterator[CheckedImages]:
    with closing(CheckedImages(lists_all=False)) as made:
        yield made


def record(fileID: str, url: str, **more: Any) -> ResultRecord:
    fields: dict[str, Any] = dict.fromkeys(ResultRecord._fields) | {
        "url": url,
        "file_name": f"{fileID}.png",
        "status": "present",
        "fileID": fileID,
        "download_url": f"https://vip.123pan.cn/1/{fileID}.png",
    }
    return ResultRecord(**fields | more)


def report(images: CheckedImages, tmp_path: Path) -> tuple[str, list[dict[str, Any]]]:
    path = tmp_path / "report.html"
    write_report(str(path), "photos/<b>", images.counts(), images, "owner")
    lines = path.with_suffix(".jsonl").read_text().splitlines()
    return path.read_text(), [*map(json.loads, lines)]


def test_the_report_shows_thumbnails_of_its_hosts_and_runs_nothing(
    images: CheckedImages, tmp_path: Path
) -> None:
    images.add_record(record("slow", "https://old.example/slow.png?token=secret1", file_name=HOSTILE))
    images.add_record(record("gone", "https://old.example/gone.png"))
    images.add_record(record("own", "https://old.example/own.png", user_url="http://img.example:8080/'a.png"))
    images.add_record(record("bad", "https://old.example/bad.png", download_url="javascript:alert(2)"))
    images.fail("slow", Problem.SLOW, "it took <long>")
    images.fail("gone", Problem.GONE, "its URL answered 404")
    images.fail("own", Problem.UNREACHABLE, "refused")
    images.fail("bad", Problem.UNREACHABLE, "no URL")
    html, lines = report(images, tmp_path)
    assert "<script" not in html
    assert not re.search(r"\b(?:style|on\w+)=|url\(|@import|javascript:", html)
    (style,) = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', html)
    assert policy == (
        "default-src 'none'; img-src http://img.example:8080 https://vip.123pan.cn; "
        f"style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )
    pictures = re.findall(r"<img [^>]*>", html)
    assert [unescape(url) for url in re.findall(r'<img src="([^"]*)"', html)] == [
        "https://vip.123pan.cn/1/slow.png",
        "http://img.example:8080/'a.png",
    ]
    assert all('referrerpolicy="no-referrer"' in each and 'loading="lazy"' in each for each in pictures)
    assert '<meta name="referrer" content="no-referrer">' in html
    assert "secret1" not in html
    assert {line["url"]: line["problem"] for line in lines} == {
        "https://old.example/gone.png": "gone",
        "https://old.example/slow.png?token=secret1": "slow",
        "https://old.example/own.png": "unreachable",
        "https://old.example/bad.png": "unreachable",
    }


def test_a_report_without_failures_allows_no_images(images: CheckedImages, tmp_path: Path) -> None:
    images.add_record(record("a", "https://old.example/a.png"))
    html, lines = report(images, tmp_path)
    assert "All images are healthy." in html
    assert "img-src" not in html
    assert lines == []


def test_traffic_is_summed_by_directory_and_shown(images: CheckedImages, tmp_path: Path) -> None:
    images.add_record(record("a", "https://old.example/a.png"))
    for number, traffic in enumerate((1_500_000, None, 500_000)):
        images.add_listed(image(file_id=f"f{number}", traffic=traffic), "photos")
    images.add_listed(image(file_id="a", traffic=999), "photos/<b>")
    images.add_listed(image(file_id="a", traffic=999), "photos/<b>")
    assert images.traffic == {"photos": 2_000_000, "photos/<b>": 999}
    html, _ = report(images, tmp_path)
    assert "<td>photos</td><td>2.0 MB</td>" in html
    assert "<td>photos/&lt;b&gt;</td><td>999 bytes</td>" in html
    assert images.counts()["images"] == 1


def test_what_a_listing_says_replaces_what_results_say(images: CheckedImages) -> None:
    images.add_record(record("a", "https://old.example/a.png", etag="f" * 32, size=1))
    images.add_listed(image(file_id="a", user_url="https://img.example/a.png"), "photos")
    ((_, served),) = images.to_load()
    assert served == ("https://img.example/a.png", "e" * 32, 3)
    assert images.hosts == {"img.example", "vip"}
    assert images.next_unlisted() is None


def test_an_image_without_a_url_cannot_be_reached(images: CheckedImages) -> None:
    images.add_record(record("a", "https://old.example/a.png", download_url=None))
    images.add_listed(image(file_id="a", download_url=None), "photos")
    images.fail_without_url("123pan lists no URL of it")
    assert images.counts()["unreachable"] == 1
    assert [*images.to_load()] == []


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://vip.123pan.cn/a", "https://vip.123pan.cn"),
        ("http://127.0.0.1:80/a", "http://127.0.0.1:80"),
        ("https://a.example; script-src */a", None),
        ("https://user@a.example/", None),
        ("//a.example/", None),
        ("data:image/png,", None),
        ("http://[::1", None),
    ],
)
def test_a_policy_names_plain_hosts_only(url: str, origin: str | None) -> None:
    assert origin_of(url) == origin
    assert ("img-src" in begin("a", "b", [url])) is (origin is not None)
