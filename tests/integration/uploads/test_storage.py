"""One slice on its way to the storage: what is sent, what is not, and that no error or log shows the URL."""

from __future__ import annotations

import logging
import os
import pickle
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_123pan.exceptions import Pan123Error, Pan123UnavailableError, Pan123UploadError
from airflow_provider_123pan.service.endpoint import Endpoint
from airflow_provider_123pan.service.storage import PutSlice
from airflow_provider_123pan.service.storage import Storage as Sender
from tests.integration.uploads.support import SECRET, Storage, image_file, status

CONTENT = os.urandom(600_000)  # more than two chunks
XML = b"<Error><Code>AccessDenied</Code><Message>Request has expired</Message><Given>%s</Given></Error>"
ERROR = XML % SECRET.encode()


def put(url: str, seconds: float = 30.0, **endpoint: Any) -> None:
    sender = Sender(Endpoint(**endpoint))
    try:
        sender.put(PutSlice(url, image_file(CONTENT), 100, 500_000, seconds))
    finally:
        sender.close()


def failure(url: str, seconds: float = 30.0, **endpoint: Any) -> Pan123Error:
    with pytest.raises(Pan123Error) as caught:
        put(url, seconds, **endpoint)
    error = caught.value
    shown = [str(error), repr(error), repr(vars(error)), repr(pickle.loads(pickle.dumps(error)))]
    assert SECRET not in "".join(shown)
    assert error.__cause__ is None
    return error


def test_a_slice_is_sent_without_credentials(
    storage: Storage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret\ndefault login me password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    put(storage.url)
    [request] = storage.puts
    assert request.body == CONTENT[100:500_100]
    assert request.target.endswith(SECRET)
    headers = {name.lower(): value for name, value in request.headers.items()}
    assert headers["content-type"] == "application/octet-stream"
    assert headers["content-length"] == "500000"
    assert not {"authorization", "platform", "transfer-encoding", "cookie", "expect"} & {*headers}


def test_a_url_is_sent_as_it_was_signed(storage: Storage) -> None:
    query = "a=%7e%2b/&b=c==&X-Amz-Credential=x%2Fy"
    put(storage.url.partition("?")[0] + "?" + query)
    assert storage.puts[0].target.partition("?")[2].lower() == query.lower()


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(storage: Storage, code: int) -> None:
    storage.answer = status(code, Location=storage.url.replace("slice", "elsewhere"))
    error = failure(storage.url)
    assert isinstance(error, Pan123UploadError)
    assert f"redirected the slice, which is not followed: HTTP {code}" in str(error)
    assert len(storage.puts) == 1


@pytest.mark.parametrize("code", [400, 401, 403, 404, 411, 429])
def test_a_refusal_names_the_storage_and_its_cause(storage: Storage, code: int) -> None:
    storage.answer = status(code, ERROR)
    error = failure(storage.url)
    assert isinstance(error, Pan123UploadError)  # among them 401, which says nothing about the access token
    assert error.description == (
        f"upload_slice: the storage 127.0.0.1 refused the slice: HTTP {code} (AccessDenied) (code {code})"
    )


@pytest.mark.parametrize("body", [b"", b"<html>" + SECRET.encode(), b"<Code>" + SECRET.encode() + b"</Code>"])
def test_a_failing_storage_is_unavailable(storage: Storage, body: bytes) -> None:
    storage.answer = status(503, body)
    error = failure(storage.url)
    assert isinstance(error, Pan123UnavailableError)
    assert "the storage 127.0.0.1 answered HTTP 503 (code 503)" in str(error)


def test_a_storage_that_cannot_be_reached_is_unavailable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    error = failure(f"http://127.0.0.1:{port}/slice?X-Amz-Signature={SECRET}")
    assert isinstance(error, Pan123UnavailableError)
    assert "no answer from the storage 127.0.0.1: " in str(error)
    assert "refused" in str(error)


def test_a_storage_that_hangs_up_is_unavailable(storage: Storage) -> None:
    storage.answer = lambda request: request.connection.close()
    assert isinstance(failure(storage.url), Pan123UnavailableError)


def test_a_storage_that_never_answers_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/slice?X-Amz-Signature={SECRET}"
        assert isinstance(failure(url, seconds=0.2), Pan123UnavailableError)


@pytest.mark.parametrize(("pause", "words"), [(0.01, "was not sent within 0.5 seconds"), (60.0, "timed out")])
def test_a_storage_that_reads_slowly_or_not_at_all_is_given_up(pause: float, words: str) -> None:
    stop = threading.Event()

    def read() -> None:
        connection, _ = listener.accept()
        with connection:
            while not stop.wait(pause) and connection.recv(65_536):
                pass

    content = bytes(32 * 2**20)  # more than the system takes at once
    sender = Sender(Endpoint())
    with socket.create_server(("127.0.0.1", 0)) as listener:
        reader = threading.Thread(target=read)
        reader.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/slice?X-Amz-Signature={SECRET}"
        try:
            with pytest.raises(Pan123UnavailableError, match=words):
                sender.put(PutSlice(url, image_file(content), 0, len(content), 0.5))
        finally:
            sender.close()
            stop.set()
            reader.join()


def test_a_url_that_requests_refuses_is_not_quoted() -> None:
    error = failure(f"http://.example/slice?X-Amz-Signature={SECRET}")
    assert "InvalidURL" in str(error)


def test_no_log_shows_the_url(storage: Storage, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    put(storage.url)
    storage.answer = status(403, ERROR)
    failure(storage.url)
    failure("http://127.0.0.1:1/slice?X-Amz-Signature=" + SECRET)
    assert SECRET not in caplog.text
    assert SECRET not in repr(PutSlice(storage.url, image_file(CONTENT), 0, 1, 1.0))


def test_other_requests_are_still_logged(storage: Storage, caplog: pytest.LogCaptureFixture) -> None:
    put(storage.url)
    caplog.set_level(logging.DEBUG)
    logging.getLogger("urllib3.connectionpool").debug("GET /public")
    assert "GET /public" in caplog.text


def test_the_proxy_of_the_connection_is_used(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    proxy = storage.url.partition("/slice")[0]
    put(f"http://storage.example/slice?X-Amz-Signature={SECRET}", proxy=proxy)
    assert storage.puts[0].target == f"http://storage.example/slice?X-Amz-Signature={SECRET}"
