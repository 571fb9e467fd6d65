"""Loading an image from its new URL: what counts as served, and what is wrong otherwise."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from airflow_provider_123pan.verification.loading import (
    ImageLoader,
    Loaded,
    LoadTiming,
    Problem,
    ServedImage,
    hosts_named_by,
)
from airflow_provider_123pan.verification.pacing import LOAD_THREADS, load_all
from tests.sources import JPEG, Source, image, redirect, serve

MD5 = hashlib.md5(JPEG, usedforsecurity=False).hexdigest()
SVG = b"<?xml version='1.0'?><!-- " + b"long " * 200 + b"--><svg/>"


@pytest.fixture
def source() -> Iterator[Source]:
    with serve() as running:
        yield running


def load(source: Source, *, size: int | None = None, etag: str | None = None, **options: Any) -> Loaded:
    with ImageLoader(options.pop("hosts", ["127.0.0.1"]), **options) as loader:
        return loader.load(ServedImage(f"{source.url}/a.jpg", etag, size))


def json_answer(body: bytes, status: int = 200) -> Callable[[BaseHTTPRequestHandler], None]:
    return image("application/json", body, status)


def test_an_image_is_served_by_its_bytes_or_its_type(source: Source) -> None:
    for media_type, body in (
        ("image/jpeg", JPEG),
        ("application/octet-stream", JPEG),
        (None, JPEG),
        ("image/svg+xml", SVG),
        ("image/x-unknown", b"\x01\x02"),
    ):
        source.answers["/a.jpg"] = image(media_type, body)
        assert load(source, size=len(body)).problem is None
    assert {request.headers["Range"] for request in source.asked} == {"bytes=0-511"}
    assert set(source.methods()) == {"GET"}


@pytest.mark.parametrize(
    ("answer", "problem", "words"),
    [
        (image(status=404), Problem.GONE, "answered 404"),
        (image(status=410), Problem.GONE, "answered 410"),
        (json_answer(b'{"message": "x", "code": 5066}'), Problem.GONE, "code 5066"),
        (json_answer(b'{"code": 5113, "message": "'), Problem.TRAFFIC_EXCEEDED, "code 5113"),
        (json_answer(b'{"code":"5113"}', 403), Problem.TRAFFIC_EXCEEDED, "traffic is exceeded"),
        (json_answer(b'{"code": 401}'), Problem.WRONG_TYPE, "application/json with code 401"),
        (image("image/jpeg", b'{"code": 1}'), Problem.WRONG_TYPE, "with code 1"),
        (image("image/png", b" <!DOCTYPE HTML>"), Problem.WRONG_TYPE, "Content-Type image/png"),
        (image("image/svg+xml", b"<html>"), Problem.WRONG_TYPE, "Content-Type image/svg+xml"),
        (image("text/html", b"<html>"), Problem.WRONG_TYPE, "Content-Type text/html"),
        (image(None, b""), Problem.WRONG_TYPE, "no Content-Type"),
        (image(body=JPEG + b"x"), Problem.WRONG_CONTENT, "65 bytes, but 64 are stored"),
        (image(status=403), Problem.UNREACHABLE, "answered 403"),
        (image(status=503), Problem.UNREACHABLE, "answered 503"),
        (redirect("/a.jpg"), Problem.UNREACHABLE, "redirects more than 5 times"),
    ],
)
def test_what_is_no_image_is_named(source: Source, answer: Any, problem: Problem, words: str) -> None:
    source.answers["/a.jpg"] = answer
    loaded = load(source, size=len(JPEG))
    assert loaded.problem is problem
    assert words in str(loaded.reason)
    assert not loaded.is_served


def test_the_length_of_a_part_is_that_of_the_whole(source: Source) -> None:
    def part(request: BaseHTTPRequestHandler) -> None:
        request.send_response(206)
        request.send_header("Content-Type", "image/jpeg")
        request.send_header("Content-Range", f"bytes 0-{len(JPEG) - 1}/70000")
        request.send_header("Content-Length", str(len(JPEG)))
        request.end_headers()
        request.wfile.write(JPEG)

    source.answers["/a.jpg"] = part
    assert load(source, size=70_000).problem is None
    assert load(source, size=70_001).problem is Problem.WRONG_CONTENT


def test_the_content_is_compared_with_the_etag(source: Source) -> None:
    body = JPEG + bytes(200_000)
    source.answers["/a.jpg"] = image(body=body)
    etag = hashlib.md5(body, usedforsecurity=False).hexdigest()
    assert load(source, etag=etag, content=True).problem is None
    assert load(source, etag=MD5, content=True).problem is Problem.WRONG_CONTENT
    assert load(source, etag=MD5).problem is None
    assert ["Range" in request.headers for request in source.asked] == [False, False, True]


def test_a_cut_image_is_found_by_its_content_alone(source: Source) -> None:
    def cut(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Type", "image/jpeg")
        request.send_header("Content-Length", "1000000")
        request.end_headers()
        request.wfile.write(JPEG * 100)
        request.close_connection = True

    source.answers["/a.jpg"] = cut
    assert load(source, size=1_000_000).is_served
    assert load(source, size=1_000_000, etag=MD5, content=True).problem is Problem.UNREACHABLE


def test_a_slow_image_is_served(source: Source) -> None:
    source.answers["/a.jpg"] = image()
    times = iter([0.0, 6.0, 6.0])
    loaded = load(source, clock=lambda: next(times))
    assert loaded == Loaded(Problem.SLOW, "its first bytes took 6.0 s", 6.0)
    assert loaded.is_served


def test_a_silent_server_is_given_up(source: Source) -> None:
    def silent(request: BaseHTTPRequestHandler) -> None:
        source.stopped.wait(30)

    source.answers["/a.jpg"] = silent
    loaded = load(source, timing=LoadTiming(address=0.2))
    assert loaded.problem is Problem.UNREACHABLE
    assert loaded.reason == "its URL did not answer within 0.2 s"


def test_a_closed_port_is_named_without_the_url() -> None:
    with serve() as stopped:
        url = f"{stopped.url}/a.jpg?token=secret1"
        stopped.server.server_close()
    with ImageLoader(["127.0.0.1"]) as loader:
        loaded = loader.load(ServedImage(url, None, None))
    assert loaded.problem is Problem.UNREACHABLE
    assert "refused" in str(loaded.reason)
    assert "secret1" not in str(loaded.reason)


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/a.jpg?t=secret1", "http://[::1?t=secret1", "no?t=secret1"])
def test_what_is_no_url_is_an_answer_that_is_redacted(url: str) -> None:
    with ImageLoader([]) as loader:
        loaded = loader.load(ServedImage(url, None, None))
    assert loaded.problem is Problem.UNREACHABLE
    assert "secret1" not in str(loaded.reason)


def test_only_hosts_that_the_service_names_may_be_private(source: Source) -> None:
    source.answers["/a.jpg"] = image()
    loaded = load(source, hosts=[])
    assert (loaded.problem, loaded.reason) == (
        Problem.UNREACHABLE,
        "its URL leads to an address that is not public",
    )
    assert not source.asked


def test_a_redirect_leads_to_public_addresses_only(source: Source) -> None:
    source.answers["/a.jpg"] = redirect(f"http://127.0.0.2:{source.port}/b.jpg")
    assert load(source).reason == "its URL leads to an address that is not public"
    source.answers["/a.jpg"] = redirect("/b.jpg")
    source.answers["/b.jpg"] = image()
    assert load(source).problem is None


def test_a_connection_closed_without_an_answer_is_repeated_once(source: Source) -> None:
    def close(request: BaseHTTPRequestHandler) -> None:
        request.close_connection = True
        if len(source.asked) == 2:
            image()(request)

    source.answers["/a.jpg"] = close
    assert load(source).problem is None
    assert load(source).problem is Problem.UNREACHABLE
    assert len(source.asked) == 4


def test_hosts_are_taken_from_urls() -> None:
    urls = ["https://Vip.123pan.cn:8443/a", None, "", "http://[::1]/a", "http://[::1"]
    assert hosts_named_by(urls) == {"vip.123pan.cn", "::1"}


# -- many images --


class Instant:
    """Loads at once, and counts."""

    def __init__(self) -> None:
        self.loaded: list[str] = []

    def load(self, image: ServedImage) -> Loaded:
        self.loaded.append(image.url)
        return Loaded(None)


class Time:
    def __init__(self) -> None:
        self.now = 100.0

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def served(count: int) -> Iterator[tuple[int, ServedImage]]:
    return ((number, ServedImage(f"https://example.com/{number}", None, None)) for number in range(count))


def test_images_are_loaded_in_order_and_at_the_rate() -> None:
    time, loader = Time(), Instant()
    found = [*load_all(loader, served(101), 10.0, clock=time.clock, sleep=time.sleep)]
    assert [number for number, _ in found] == [*range(101)]
    assert sorted(loader.loaded) == sorted(image.url for _, image in served(101))
    assert time.now == pytest.approx(110.0)


def test_after_the_time_limit_nothing_is_loaded() -> None:
    time, loader = Time(), Instant()
    found = [*load_all(loader, served(30), 10.0, 1.0, clock=time.clock, sleep=time.sleep)]
    assert [number for number, _ in found] == [*range(30)]
    assert len(loader.loaded) in (10, 11)
    late = found[-1][1]
    assert (late.problem, late.reason) == (
        Problem.UNREACHABLE,
        "its URL was not loaded before the task's time limit",
    )
    assert time.now <= 101.1


def test_a_bounded_number_of_images_is_in_memory() -> None:
    taken = 0

    def images() -> Iterator[tuple[int, ServedImage]]:
        nonlocal taken
        for each in served(1000):
            taken += 1
            yield each

    next(load_all(Instant(), images(), 1e9))
    assert taken <= 2 * LOAD_THREADS + 1
