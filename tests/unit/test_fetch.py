"""The worker's own copy of an image: what it takes, whom it sends which headers, and that it always ends."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import ObjectStoragePath

from airflow_provider_123pan.exceptions import Pan123Error, Pan123InputError, Pan123SourceError
from airflow_provider_123pan.source import fetch
from airflow_provider_123pan.source.client import MAX_REDIRECTS, SourceClient
from airflow_provider_123pan.source.fetch import fetch_image, fetch_url
from tests.sources import AVIF, JPEG, Network, Source, image, redirect, serve

PUBLIC = "93.184.215.14"
SECRET = "Basic c2VjcmV0OnNlY3JldA=="
PNG = b"\x89PNG\r\n\x1a\n" + bytes(5_000_000)  # more than is kept in memory


@pytest.fixture
def source() -> Iterator[Source]:
    with serve() as running:
        yield running


def content(found: Any) -> bytes:
    with found as image:
        return b"".join(image.chunks(0, image.size))


def download(source: Source, path: str = "/x", **arguments: Any) -> Any:
    return fetch_url(source.url + path, private_hosts=["127.0.0.1"], **arguments)


def error_of(kind: type[Pan123Error], source: Source, path: str = "/x", **arguments: Any) -> str:
    with pytest.raises(kind) as caught:
        download(source, path, **arguments)
    return str(caught.value)


def streaming(*chunks: bytes, **headers: str) -> Any:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        request.end_headers()
        for chunk in chunks:
            request.wfile.write(chunk)
        request.close_connection = True

    return answer


# -- from a URL --


@pytest.mark.parametrize("body", [JPEG, PNG], ids=["small", "large"])
def test_a_download_knows_its_size_and_md5(source: Source, body: bytes) -> None:
    source.answers["/x"] = image(body=body)
    with download(source) as found:
        assert (found.size, found.etag) == (len(body), hashlib.md5(body, usedforsecurity=False).hexdigest())
        assert b"".join(found.chunks(0, found.size)) == body
        assert b"".join(found.chunks(3, 7)) == body[3:10]
    assert source.methods() == ["GET"]


def test_headers_reach_the_host_of_the_url(source: Source) -> None:
    source.answers["/x"] = redirect("/y")
    source.answers["/y"] = image()
    given = {"Referer": "https://mp.weixin.qq.com/", "Cookie": "a=b", "User-Agent": "Mozilla/5.0"}
    download(source, headers=given).close()
    for request in source.asked:
        assert {name: request.headers.get(name) for name in given} == given
        assert "Range" not in request.headers
        assert len([name for name in request.headers if name.lower() == "user-agent"]) == 1


@pytest.mark.parametrize(
    ("location", "sent"),
    [
        ("http://images.example:8080/y", False),
        ("http://other.example/y", False),
        ("http://sub.images.example/y", False),
        ("http://images.example/y", True),
    ],
)
def test_headers_do_not_leave_the_host(source: Source, location: str, sent: bool) -> None:
    names = ("images_example", "other_example", "sub_images_example")
    network = Network(source, **{name: [PUBLIC] for name in names})
    source.answers["/x"] = redirect(location)
    source.answers["/y"] = image()
    client = SourceClient(network.connector())
    fetch_url("http://images.example/x", {"Authorization": SECRET}, client=client).close()
    assert [request.headers.get("Authorization") for request in source.asked] == [
        SECRET,
        SECRET if sent else None,
    ]


def test_headers_do_not_come_back_after_another_host(source: Source) -> None:
    network = Network(source, images_example=[PUBLIC], other_example=[PUBLIC])
    source.answers |= {
        "/x": redirect("http://other.example/y"),
        "/y": redirect("http://images.example/z"),
        "/z": image(),
    }
    client = SourceClient(network.connector())
    fetch_url("http://images.example/x", {"Authorization": SECRET}, client=client).close()
    assert [request.headers.get("Authorization") for request in source.asked] == [SECRET, None, None]


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ({"X Y": "a"}, "'X Y' is not the name of a header"),
        ({"": "a"}, "is not the name of a header"),
        ({"Host": "a"}, "Host is set by the worker"),
        ({"content-LENGTH": "1"}, "is set by the worker"),
        ({"Accept-Encoding": "gzip"}, "is set by the worker"),
        ({"Cookie": f"{SECRET}\r\nX: y"}, "the value of Cookie must be a string of printable ASCII"),
        ({"Cookie": f"{SECRET}图"}, "the value of Cookie"),
        ({"Cookie": 7}, "the value of Cookie"),
    ],
)
def test_wrong_headers_are_refused_before_anything_is_sent(
    source: Source, headers: dict[str, Any], words: str
) -> None:
    message = error_of(Pan123InputError, source, headers=headers)
    assert words in message
    assert SECRET not in message
    assert source.asked == []


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "10.0.0.1", "169.254.169.254"])
def test_private_addresses_are_refused(source: Source, host: str) -> None:
    with pytest.raises(Pan123InputError, match="private_hosts: .* not public"):
        fetch_image(f"http://{host}:{source.port}/x")
    assert source.asked == []


def test_a_redirect_into_the_own_network_is_refused(source: Source) -> None:
    network = Network(source, images_example=[PUBLIC])
    source.answers["/x"] = redirect("http://169.254.169.254/latest/meta-data/")
    with pytest.raises(Pan123InputError, match="not public"):
        fetch_url("http://images.example/x", client=SourceClient(network.connector()))
    assert network.opened == [PUBLIC]


def test_redirects_end(source: Source) -> None:
    source.answers["/x"] = redirect("/x")
    assert "redirects more than" in error_of(Pan123InputError, source)
    assert len(source.asked) == MAX_REDIRECTS + 1


@pytest.mark.parametrize(
    ("status", "headers", "words"),
    [
        (403, {}, "source answered 403 without Referer"),
        (403, {"referer": "https://a.example/"}, "source answered 403"),
        (404, {}, "source answered 404"),
        (206, {}, "source answered 206"),
        (500, {}, "source answered 500"),
    ],
)
def test_another_status_is_no_image(source: Source, status: int, headers: dict[str, str], words: str) -> None:
    source.answers["/x"] = image(status=status)
    message = error_of(Pan123SourceError, source, f"/x?sig={SECRET}", headers=headers)
    assert message.endswith(f"{words} [pan123-source]")
    assert "sig=***" in message
    assert SECRET not in message


@pytest.mark.parametrize(
    "answer",
    [
        streaming(JPEG, Content_Length="1000"),
        streaming(b"40\r\n" + JPEG + b"\r\n", Transfer_Encoding="chunked"),
        streaming(JPEG, Content_Encoding="gzip"),
        streaming(Content_Length="0"),
        streaming(b"<html><body>Please log in</body></html>"),
    ],
    ids=["short", "cut", "compressed", "empty", "page"],
)
def test_an_incomplete_image_is_never_taken(source: Source, answer: Any) -> None:
    source.answers["/x"] = answer
    error_of(Pan123SourceError, source)


def test_an_image_without_a_length_is_taken(source: Source) -> None:
    source.answers["/x"] = streaming(JPEG)
    assert content(download(source)) == JPEG


def test_a_source_without_end_is_given_up(source: Source) -> None:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.end_headers()
        while not source.stopped.wait(0.01):
            request.wfile.write(JPEG)

    source.answers["/x"] = answer
    assert "source did not send the image within 0.3 s" in error_of(Pan123SourceError, source, seconds=0.3)


def test_a_large_image_is_refused_by_its_length(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "MAX_IMAGE_BYTES", len(JPEG))
    source.answers["/x"] = image(body=JPEG)
    assert content(download(source)) == JPEG
    source.answers["/x"] = streaming(Content_Length=str(len(JPEG) + 1))  # of which nothing comes
    assert "source: the image has more than" in error_of(Pan123InputError, source)


def test_a_large_image_is_refused_while_it_arrives(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "MAX_IMAGE_BYTES", len(JPEG))
    source.answers["/x"] = streaming(JPEG, b"\0")
    assert "source: the image has more than" in error_of(Pan123InputError, source)


def test_a_wrong_url_is_refused() -> None:
    with pytest.raises(Pan123InputError, match="url: it is not a URL"):
        fetch_image("http://[::1")


# -- from elsewhere --


def test_paths_and_files_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(JPEG)
    with path.open("rb") as opened:
        sources = [
            str(path),
            path,
            f"file://{path}",
            ObjectStoragePath(f"file://{path}"),
            io.BytesIO(JPEG),
            opened,
        ]
        assert [content(fetch_image(source)) for source in sources] == [JPEG] * len(sources)


def test_a_file_is_read_from_its_position() -> None:
    file = io.BytesIO(b"before" + JPEG)
    file.seek(6)
    assert content(fetch_image(file)) == JPEG


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    for source in (tmp_path / "a.jpg", f"file://{tmp_path}/a.jpg", tmp_path):
        with pytest.raises(Pan123SourceError, match="source: .* cannot be read: "):
            fetch_image(source)


@pytest.mark.parametrize("source", [None, "", 7, b"a.jpg", ["a.jpg"]])
def test_what_is_no_source_is_refused(source: Any) -> None:
    with pytest.raises(Pan123InputError, match="source: got .*; give a URL, a path or a binary file"):
        fetch_image(source)


def test_a_storage_without_a_provider_is_refused() -> None:
    with pytest.raises(Pan123InputError, match="source: nowhere:// cannot be opened"):
        fetch_image("nowhere://bucket/a.jpg")


def test_a_text_file_is_refused() -> None:
    with pytest.raises(Pan123InputError, match="binary mode"):
        fetch_image(io.StringIO("x"))


@pytest.mark.parametrize(
    ("body", "kind", "words"),
    [
        (b"", Pan123SourceError, "it is empty"),
        (b"<html></html>", Pan123SourceError, "its bytes are no image that 123pan takes"),
        (AVIF, Pan123InputError, "123pan takes no .avif"),
    ],
)
def test_only_images_that_123pan_takes_are_copied(body: bytes, kind: type[Pan123Error], words: str) -> None:
    with pytest.raises(kind, match=words):
        fetch_image(io.BytesIO(body))


def test_an_svg_may_begin_with_comments() -> None:
    svg = b"<?xml version='1.0'?>" + b"<!-- drawn -->" * 100 + b"<svg xmlns='http://www.w3.org/2000/svg'/>"
    assert content(fetch_image(io.BytesIO(svg))) == svg


def test_the_limit_is_100_mib() -> None:
    class Long(io.RawIOBase):
        left = 0

        def readinto(self, buffer: Any) -> int:
            count = min(len(buffer), self.left)
            buffer[:count] = (JPEG if self.left == self.size else b"").ljust(count, b"\0")
            self.left -= count
            return count

        def __init__(self, size: int) -> None:
            self.size = self.left = size

    limit = 100 * 2**20
    with fetch_image(Long(limit)) as image:
        assert image.size == limit
    with pytest.raises(Pan123InputError, match="more than 100 MiB, which 123pan refuses"):
        fetch_image(Long(limit + 1))
