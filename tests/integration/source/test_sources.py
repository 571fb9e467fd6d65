"""Manifests are written from what a website serves."""

from __future__ import annotations

import gzip
import json
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from airflow_provider_123pan.exceptions import Pan123DocumentError, Pan123InputError
from airflow_provider_123pan.source.addresses import Connector
from airflow_provider_123pan.source.documents import DocumentLimits, Documents
from airflow_provider_123pan.sources import from_feed, from_sitemap
from tests.integration.source.conftest import Website

PRIVATE: dict[str, Any] = {"private_hosts": ["127.0.0.1"]}
LOOPBACK = Connector(frozenset(PRIVATE["private_hosts"]))
SITEMAP = b"""<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">
<url><loc>https://example.com/</loc><image:image><image:loc>https://example.com/%d.png</image:loc></image:image></url>
</urlset>"""


def entries(manifest: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in Path(manifest).read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def manifest(tmp_path: Path) -> str:
    return str(tmp_path / "lists" / "images.jsonl")


def test_a_website_is_read_from_its_robots_txt(website: Website, manifest: str) -> None:
    index = "<sitemapindex><sitemap><loc>/1.xml.gz</loc></sitemap><sitemap><loc>/moved</loc></sitemap></sitemapindex>"
    website.serve("/robots.txt", b"Sitemap: /index.xml\n")
    website.serve("/index.xml", gzip.compress(index.encode()), Content_Encoding="gzip")
    website.serve("/1.xml.gz", gzip.compress(SITEMAP % 1), Content_Type="application/x-gzip")
    website.serve("/moved", b"", 301, Location="/2.xml")
    website.serve("/2.xml", SITEMAP % 2, Content_Type="text/xml")
    assert from_sitemap(f"{website.url}/robots.txt", manifest, **PRIVATE) == manifest
    assert entries(manifest) == [{"url": "https://example.com/1.png"}, {"url": "https://example.com/2.png"}]
    assert website.agents[0].startswith("airflow-provider-123pan/")


def test_a_file_that_is_compressed_twice_is_read(website: Website, manifest: str) -> None:
    body = gzip.compress(gzip.compress(SITEMAP % 1))
    from_sitemap(website.serve("/1.xml.gz", body, Content_Encoding="gzip"), manifest, **PRIVATE)
    assert entries(manifest) == [{"url": "https://example.com/1.png"}]


def test_an_error_names_the_sitemap_and_leaves_the_manifest(website: Website, manifest: str) -> None:
    from_sitemap(website.serve("/1.xml", SITEMAP % 1), manifest, **PRIVATE)
    index = website.serve("/index.xml", b"<sitemapindex><sitemap><loc>/2.xml</loc></sitemap></sitemapindex>")
    with pytest.raises(Pan123DocumentError, match=f"{website.url}/2.xml answered 404"):
        from_sitemap(index, manifest, **PRIVATE)
    assert entries(manifest) == [{"url": "https://example.com/1.png"}]
    assert [path.name for path in Path(manifest).parent.iterdir()] == ["images.jsonl"]


def test_a_feed_is_read(website: Website, manifest: str) -> None:
    feed = b"<rss><channel><item><description>![](https://example.com/1.png)</description></item></channel></rss>"
    assert from_feed(website.serve("/feed", gzip.compress(feed)), manifest, **PRIVATE) == manifest
    assert entries(manifest) == [{"url": "https://example.com/1.png"}]


def test_a_feed_that_is_not_there_is_an_error_that_names_it(website: Website, manifest: str) -> None:
    with pytest.raises(Pan123DocumentError, match="/feed answered 404"):
        from_feed(f"{website.url}/feed", manifest, **PRIVATE)


def _cut(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "100")
    handler.end_headers()
    handler.wfile.write(b"<urlset>")


def _without_end(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    try:
        while True:
            handler.wfile.write(b" " * 65_536)
    except OSError:
        return


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (_cut, "cannot be read"),
        (_without_end, "has more than 1000000 bytes"),
        ((200, {}, gzip.compress(bytes(2_000_000))), "has more than 1000000 bytes"),
        ((200, {"Content-Encoding": "gzip"}, gzip.compress(bytes(2_000_000))), "has more than 1000000 bytes"),
        ((200, {}, gzip.compress(SITEMAP)[:-9]), "cannot be read"),
        ((200, {"Content-Encoding": "gzip"}, b"not gzip"), "cannot be read"),
        ((302, {"Location": "/document?token=verysecret"}, b""), "cannot be read: Exceeded 30 redirects"),
        ((302, {"Location": "file:///etc/passwd"}, b""), "cannot be read"),
        ((503, {}, b""), "answered 503"),
    ],
)
def test_a_document_that_cannot_be_read_whole_is_an_error(
    website: Website, answer: object, reason: str
) -> None:
    website.answers["/document"] = answer  # type: ignore[assignment]
    with (
        Documents(LOOPBACK, DocumentLimits(max_bytes=1_000_000)) as documents,
        pytest.raises(Pan123DocumentError, match=reason) as caught,
    ):
        [*documents.read(f"{website.url}/document?token=verysecret")]
    assert f"{website.url}/document?token=***" in str(caught.value)
    assert "verysecret" not in str(caught.value)


def test_a_document_that_trickles_ends_at_its_time_limit(website: Website) -> None:
    gone = Event()

    def trickle(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        while not gone.wait(0.05):
            handler.wfile.write(b" ")

    website.answers["/slow"] = trickle
    with (
        Documents(LOOPBACK, DocumentLimits(total_seconds=0.5, max_bytes=2**40)) as documents,
        pytest.raises(Pan123DocumentError, match="/slow cannot be read"),
    ):
        [*documents.read(f"{website.url}/slow")]
    gone.set()


@pytest.mark.parametrize("url", ["sitemap.xml", "file:///etc/passwd", "ftp://example.com/sitemap.xml"])
def test_a_url_must_be_http(url: str, manifest: str) -> None:
    with pytest.raises(Pan123InputError, match="must begin with http"):
        from_sitemap(url, manifest)


def test_a_manifest_must_be_json_lines(website: Website, tmp_path: Path) -> None:
    with pytest.raises(Pan123InputError, match="must end with .jsonl"):
        from_sitemap(website.serve("/1.xml", SITEMAP % 1), str(tmp_path / "images.csv"))


def test_nothing_found_is_a_warning(
    website: Website, manifest: str, caplog: pytest.LogCaptureFixture
) -> None:
    from_sitemap(website.serve("/empty.xml", b"<urlset/>"), manifest, **PRIVATE)
    assert "0 entries" in caplog.text
    assert caplog.records[-1].levelname == "WARNING"


def test_a_website_names_no_files_of_the_worker(
    website: Website, manifest: str, caplog: pytest.LogCaptureFixture
) -> None:
    images = "".join(
        f"<image:image><image:loc>{url}</image:loc></image:image>"
        for url in ("file:///etc/logo.png", "s3://secrets/1.png", "a.png", "https://example.com/1.png")
    )
    body = f"<urlset><url>{images}</url></urlset>".encode()
    from_sitemap(website.serve("/1.xml", body), manifest, **PRIVATE)
    assert entries(manifest) == [{"url": "a.png"}, {"url": "https://example.com/1.png"}]
    assert "file:///etc/logo.png is left out: it is not an http or https URL" in caplog.text
