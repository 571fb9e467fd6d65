"""The MD5 of a source's bytes, which the worker downloads."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler

import pytest

from airflow_provider_123pan.source import probe
from airflow_provider_123pan.source.addresses import Connector
from airflow_provider_123pan.source.probe import Prober
from tests.sources import Source, image, redirect, serve

LOCAL = frozenset({"127.0.0.1"})
BODY = bytes(range(256)) * 4096


@pytest.fixture
def source() -> Iterator[Source]:
    with serve() as running:
        yield running


def md5(source: Source, path: str = "/x", hosts: frozenset[str] = LOCAL) -> str | None:
    return Prober(Connector(hosts)).md5(source.url + path)


def test_all_bytes_count(source: Source) -> None:
    source.answers |= {"/x": image(body=BODY), "/moved": redirect("/x")}
    expected = hashlib.md5(BODY, usedforsecurity=False).hexdigest()
    assert md5(source) == md5(source, "/moved") == expected
    assert source.methods() == ["GET"] * 3


@pytest.mark.parametrize("status", [206, 404, 500])
def test_another_answer_than_the_whole_image_proves_nothing(source: Source, status: int) -> None:
    source.answers["/x"] = image(status=status)
    assert md5(source) is None


def test_nothing_is_proven_by_no_bytes(source: Source) -> None:
    source.answers["/x"] = image(body=b"")
    assert md5(source) is None


def test_an_image_that_is_cut_off_proves_nothing(source: Source) -> None:
    def cut(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(len(BODY) + 1))
        request.end_headers()
        request.wfile.write(BODY)

    source.answers["/x"] = cut
    assert md5(source) is None


def test_of_a_larger_file_than_an_image_may_be_no_more_is_read(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "MAX_IMAGE_BYTES", len(BODY) - 1)
    source.answers["/x"] = image(body=BODY)
    assert md5(source) is None


def test_a_private_source_is_not_downloaded(source: Source) -> None:
    source.answers["/x"] = image()
    assert md5(source, hosts=frozenset()) is None
    assert source.asked == []


def test_a_download_meets_its_time_limit(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    def trickle(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.end_headers()
        while not source.stopped.wait(0.01):
            request.wfile.write(b"x")

    monkeypatch.setattr(probe, "DOWNLOAD_SECONDS", 0.3)
    source.answers["/x"] = trickle
    assert md5(source) is None
