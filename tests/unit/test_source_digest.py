"""The MD5 of a source's bytes, which its headers state or the worker counts."""

from __future__ import annotations

import hashlib
import threading
from base64 import b64encode
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler

import pytest

from airflow_provider_123pan.source import digests, probe
from airflow_provider_123pan.source.addresses import Connector
from airflow_provider_123pan.source.digests import SourceDigest
from airflow_provider_123pan.source.probe import Prober
from tests.sources import Answer, Source, image, redirect, serve

LOCAL = frozenset({"127.0.0.1"})
BODY = bytes(range(256)) * 4096
MD5 = hashlib.md5(BODY, usedforsecurity=False).hexdigest()
COUNTED = SourceDigest(MD5)

# What headers say is another MD5 than that of the body, so that it shows which one counts.
OTHER = "0123456789abcdef0123456789abcdef"
STATED = SourceDigest(OTHER, len(BODY))
CONTENT_MD5 = b64encode(bytes.fromhex(OTHER)).decode()


@pytest.fixture
def source() -> Iterator[Source]:
    with serve() as running:
        yield running


def digest(
    source: Source, path: str = "/x", hosts: frozenset[str] = LOCAL, *, as_stated: bool = True
) -> SourceDigest | None:
    return Prober(Connector(hosts)).digest(source.url + path, as_stated=as_stated)


# -- from the headers --


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-MD5": CONTENT_MD5},
        {"Content-MD5": CONTENT_MD5, "ETag": f'"{MD5}"'},
        {"ETag": f'"{OTHER}"'},
        {"ETag": f'"{OTHER.upper()}"'},
        {"ETag": OTHER},
        {"ETag": f'"{OTHER}"', "Content-MD5": "none"},
        {"ETag": f'"{OTHER}"', "Content-Encoding": "Identity"},
    ],
)
def test_headers_that_state_an_md5_spare_the_download(source: Source, headers: dict[str, str]) -> None:
    source.answers |= {"/x": image(body=BODY, headers=headers), "/moved": redirect("/x")}
    assert digest(source) == digest(source, "/moved") == STATED
    assert digest(source, as_stated=False) == COUNTED


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-MD5": OTHER},
        {"Content-MD5": b64encode(b"\0" * 15).decode()},
        {"Content-MD5": CONTENT_MD5.rstrip("=")},
        {"Content-MD5": f"{CONTENT_MD5}, {CONTENT_MD5}"},
        {"Content-MD5": ""},
        {"ETag": f'W/"{OTHER}"'},
        {"ETag": f'"{OTHER}-2"'},
        {"ETag": f'"{OTHER[1:]}"'},
        {"ETag": f'"{OTHER}0"'},
        {"ETag": f'"{OTHER[1:]}g"'},
        {"ETag": '""'},
        {"ETag": f'"{OTHER}"', "Content-Encoding": "gzip"},
    ],
)
def test_headers_that_state_no_md5_are_ignored(source: Source, headers: dict[str, str]) -> None:
    source.answers["/x"] = image(body=BODY, headers=headers)
    assert digest(source) == COUNTED


@pytest.mark.parametrize("status", [203, 206, 404, 500])
def test_headers_state_nothing_about_another_answer_than_the_whole_image(source: Source, status: int) -> None:
    source.answers["/x"] = image(status=status, headers={"Content-MD5": CONTENT_MD5, "ETag": f'"{OTHER}"'})
    assert digest(source) is None


def test_without_a_length_headers_prove_nothing(source: Source) -> None:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-MD5", CONTENT_MD5)
        request.end_headers()
        request.wfile.write(BODY)

    source.answers["/x"] = answer
    assert digest(source) == COUNTED


def without_body(source: Source, gone: threading.Event) -> Answer:
    """Answer with headers, and wait until the client goes."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("ETag", f'"{OTHER}"')
        request.send_header("Content-Length", str(len(BODY)))
        request.end_headers()
        request.connection.settimeout(30)
        if request.rfile.read(1) == b"":
            gone.set()

    return answer


def test_the_body_is_not_waited_for(source: Source) -> None:
    gone = threading.Event()
    source.answers["/x"] = without_body(source, gone)
    assert digest(source) == STATED
    assert gone.wait(30)
    assert source.methods() == ["GET"]


# -- counted --


def test_all_bytes_count(source: Source) -> None:
    source.answers |= {"/x": image(body=BODY), "/moved": redirect("/x")}
    assert digest(source) == digest(source, "/moved") == COUNTED
    assert source.methods() == ["GET"] * 3


@pytest.mark.parametrize("status", [206, 404, 500])
def test_another_answer_than_the_whole_image_proves_nothing(source: Source, status: int) -> None:
    source.answers["/x"] = image(status=status)
    assert digest(source) is None


def test_nothing_is_proven_by_no_bytes(source: Source) -> None:
    source.answers["/x"] = image(body=b"", headers={"ETag": f'"{OTHER}"'})
    assert digest(source) is None


def test_an_image_that_is_cut_off_proves_nothing(source: Source) -> None:
    def cut(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(len(BODY) + 1))
        request.end_headers()
        request.wfile.write(BODY)

    source.answers["/x"] = cut
    assert digest(source) is None


@pytest.mark.parametrize("headers", [{}, {"ETag": f'"{OTHER}"'}])
def test_a_larger_file_than_an_image_may_be_proves_nothing(
    source: Source, monkeypatch: pytest.MonkeyPatch, headers: dict[str, str]
) -> None:
    monkeypatch.setattr(digests, "MAX_IMAGE_BYTES", len(BODY) - 1)
    source.answers["/x"] = image(body=BODY, headers=headers)
    assert digest(source) is None


def test_a_private_source_is_not_asked(source: Source) -> None:
    source.answers["/x"] = image()
    assert digest(source, hosts=frozenset()) is None
    assert source.asked == []


def test_a_download_meets_its_time_limit(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    def trickle(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.end_headers()
        while not source.stopped.wait(0.01):
            request.wfile.write(b"x")

    monkeypatch.setattr(probe, "DOWNLOAD_SECONDS", 0.3)
    source.answers["/x"] = trickle
    assert digest(source) is None
