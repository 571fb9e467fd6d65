"""A sync whose worker fetches and uploads what the service cannot fetch."""

from __future__ import annotations

import base64
import io
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred

from airflow_provider_123pan.hooks.pan123 import Pan123Hook
from airflow_provider_123pan.operators.sync_images import Pan123SyncImagesOperator
from airflow_provider_123pan.sandbox import Sandbox
from airflow_provider_123pan.service.image_file import ImageFile
from airflow_provider_123pan.source.access import SourceAccess
from airflow_provider_123pan.sync.result_record import ResultRecord
from airflow_provider_123pan.sync.results import read_results
from airflow_provider_123pan.sync.worker_fetches import WorkerFetches
from tests.integration.uploads.support import md5, picture
from tests.sources import Source, image, redirect, serve, wants
from tests.support import counts, names, resume, submitted, sync

PRIVATE = {"private_hosts": ["127.0.0.1", "other.example"]}
REFERER = {"127.0.0.1": {"Referer": "https://pages.example/"}}
TOKEN = "session-0123456789"
COLOURS = ("red", "green", "blue", "yellow", "black", "white", "orange", "purple")

pytestmark = pytest.mark.usefixtures("connect")


@pytest.fixture
def source(sandbox: Sandbox) -> Iterator[Source]:
    """A host of images, which the service downloads by itself."""
    sandbox.configure(fetch=True, upload_end="at-once", delay=0)
    with serve() as running:
        yield running


def records(results: Path) -> list[ResultRecord]:
    return [*read_results(str(results))]


def kept(sandbox: Sandbox) -> Counter[str]:
    return Counter(file["etag"] for file in sandbox.state()["files"])


def connect_http(monkeypatch: pytest.MonkeyPatch, conn_id: str, **fields: Any) -> None:
    content = {"conn_type": "http", **fields}
    monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(content))


@pytest.mark.parametrize("deferrable", [False, True], ids=["worker", "triggerer"])
def test_what_wants_more_than_a_request_arrives(
    deferrable: bool,
    source: Source,
    sandbox: Sandbox,
    context: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    login = base64.b64encode(b"reader:wiki-password").decode()
    connect_http(monkeypatch, "wiki_http", login="reader", password="wiki-password")
    wanted = {
        "referer": ("Referer", "https://pages.example/"),
        "agent": ("User-Agent", "Mozilla/5.0"),
        "cookie": ("Cookie", TOKEN),
        "basic": ("Authorization", f"Basic {login}"),
    }
    bodies = {name: picture(colour) for name, colour in zip([*wanted, "open"], COLOURS, strict=False)}
    source.answers |= {f"/{name}.png": wants(*wanted[name], bodies[name]) for name in wanted}
    source.answers["/open.png"] = image("image/png", bodies["open"])
    headers = {"127.0.0.*": {name: value for name, value in wanted.values() if name != "Authorization"}}
    results = tmp_path / "results.jsonl"
    result = sync(
        context,
        images=[f"{source.url}/{name}.png" for name in bodies],
        results=str(results),
        fetch="worker",
        fetch_headers=headers,
        fetch_conn_ids={"127.0.0.1": "wiki_http"},
        deferrable=deferrable,
        **PRIVATE,
    )
    assert counts(result) == (0, 5, 0)
    found = {record.url.rpartition("/")[2][:-4]: record for record in records(results)}
    assert {name: record.etag for name, record in found.items()} == {
        name: md5(body) for name, body in bodies.items()
    }
    assert {record.fetched_by for record in found.values()} == {"worker"}
    assert all(record.download_url and record.fileID and record.reason is None for record in found.values())
    assert not submitted(sandbox)

    result = sync(
        context,
        images=[f"{source.url}/{name}.png" for name in bodies],
        results=str(results),
        fetch="worker",
        deferrable=deferrable,
    )
    assert counts(result) == (5, 0, 0)
    assert {record.fetched_by for record in records(results)} == {None}
    assert not submitted(sandbox)


def test_a_connection_may_have_a_token_or_headers(
    source: Source, context: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    connect_http(monkeypatch, "bearer", password=TOKEN)
    connect_http(monkeypatch, "keys", extra={"X-Key": TOKEN, "verify": False, "timeout": 3})
    source.answers |= {
        "/bearer.png": wants("Authorization", f"Bearer {TOKEN}", picture("red")),
        "/key.png": wants("X-Key", TOKEN, picture("blue")),
    }
    for name, conn_id in (("bearer", "bearer"), ("key", "keys")):
        given = {"images": [f"{source.url}/{name}.png"], "fetch_conn_ids": {"127.0.0.1": conn_id}}
        assert counts(sync(context, fetch="worker", **given, **PRIVATE)) == (0, 1, 0)
    assert not {"verify", "Timeout", "timeout"} & {*source.asked[-1].headers}


def test_a_connection_for_https_is_not_used_in_the_clear(
    source: Source, context: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    connect_http(monkeypatch, "wiki_http", schema="https", login="reader", password="wiki-password")
    source.answers["/a.png"] = image("image/png", picture())
    sync(
        context,
        images=[f"{source.url}/a.png"],
        fetch="worker",
        fetch_conn_ids={"127.0.0.1": "wiki_http"},
        **PRIVATE,
    )
    assert len(source.asked) == 1
    assert "Authorization" not in source.asked[0].headers


def test_headers_stay_with_their_host(
    source: Source, context: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve = "airflow_provider_123pan.source.addresses.resolve_host"
    monkeypatch.setattr(resolve, lambda host, port: ["127.0.0.1"])
    other = f"http://other.example:{source.port}"
    source.answers |= {
        "/moved.png": redirect(f"{other}/there.png"),
        "/there.png": image("image/png", picture("red")),
        "/other.png": image("image/png", picture("blue")),
    }
    urls = [f"{source.url}/moved.png", f"{other}/other.png"]
    headers = {"127.0.0.1": {"Cookie": TOKEN}}
    assert counts(sync(context, images=urls, fetch="worker", fetch_headers=headers, **PRIVATE)) == (0, 2, 0)
    sent = {request.target: request.headers.get("Cookie") for request in source.asked}
    assert sent == {"/moved.png": TOKEN, "/there.png": None, "/other.png": None}


def test_a_private_network_is_refused_unless_it_is_named(
    source: Source, sandbox: Sandbox, context: dict[str, Any]
) -> None:
    source.answers["/a.png"] = image("image/png", picture())
    result = sync(context, images=[f"{source.url}/a.png"], fetch="worker", max_failures=1)
    assert counts(result) == (0, 0, 1)
    assert result["failures"][0]["reason"] == (
        "private_hosts: the source's host has the address '127.0.0.1', which is not public; add the host if workers "
        "may connect to it"
    )
    assert source.asked == []


@pytest.mark.parametrize("deferrable", [False, True], ids=["worker", "triggerer"])
@pytest.mark.parametrize("fetch", ["service", "auto", "worker"])
def test_a_folder_and_a_bucket_migrate_beside_urls(
    fetch: str,
    deferrable: bool,
    source: Source,
    sandbox: Sandbox,
    context: dict[str, Any],
    object_store: Any,
    tmp_path: Path,
) -> None:
    bodies = dict(zip(("web", "a b#1?2", "bucket", "no format"), map(picture, COLOURS), strict=False))
    source.answers["/web.png"] = image("image/png", bodies["web"])
    (tmp_path / "a b#1?2.png").write_bytes(bodies["a b#1?2"])
    object_store.pipe("/photos/2026/bucket.png", bodies["bucket"])
    object_store.pipe("/photos/no format", bodies["no format"])
    images = [
        f"{source.url}/web.png",
        f"file://{tmp_path}/a b#1?2.png",
        "memory://photos/2026/bucket.png",
        "memory://photos/no format",
    ]
    results = tmp_path / "results.csv"
    given = {"images": images, "results": str(results), "fetch": fetch, "deferrable": deferrable, **PRIVATE}
    assert counts(sync(context, **given)) == (0, 4, 0)
    assert [record.url for record in records(results)] == images
    assert [record.etag for record in records(results)] == [md5(body) for body in bodies.values()]
    assert [record.fetched_by for record in records(results)] == [
        "worker" if fetch == "worker" else "service",
        *["worker"] * 3,
    ]
    assert {name.rpartition("-")[0] for name in names(sandbox)} == {"web", "a b#1_2", "bucket", "no format"}
    assert counts(sync(context, **given)) == (4, 0, 0)
    assert kept(sandbox) == Counter(md5(body) for body in bodies.values())


def test_the_worker_takes_what_the_service_stored_wrongly(
    source: Source, sandbox: Sandbox, context: dict[str, Any], tmp_path: Path
) -> None:
    right, wrong = picture("red"), picture("blue")

    def answer(request: BaseHTTPRequestHandler) -> None:
        image("image/png", right if request.headers.get("Referer") else wrong)(request)

    source.answers["/a.png"] = answer
    results = tmp_path / "results.jsonl"
    given = {
        "images": [{"url": f"{source.url}/a.png", "md5": md5(right)}],
        "results": str(results),
        **PRIVATE,
    }
    assert counts(sync(context, fetch="auto", fetch_headers=REFERER, **given)) == (0, 1, 0)
    (record,) = records(results)
    assert (record.etag, record.fetched_by, record.taskID) == (md5(right), "worker", None)
    assert kept(sandbox) == Counter([md5(right), md5(wrong)])
    assert counts(sync(context, **given)) == (1, 0, 0)
    assert records(results)[0].fileID == record.fileID


def test_both_reasons_are_reported(source: Source, context: dict[str, Any], tmp_path: Path) -> None:
    source.answers["/a.png"] = image(status=403)
    results = tmp_path / "results.jsonl"
    url = f"{source.url}/a.png?token=secret-value"
    given = {"images": [url], "results": str(results), "max_failures": 1, **PRIVATE}
    assert counts(sync(context, fetch="auto", fetch_headers=REFERER, **given)) == (0, 0, 1)
    (record,) = records(results)
    assert record.reason is not None
    assert record.reason.startswith("service: ")
    assert record.reason.endswith("; worker: source answered 403")
    by_worker = [request for request in source.asked if "Referer" in request.headers]
    assert len(by_worker) == 2  # a second try when all others have ended


def test_what_can_never_be_uploaded_is_fetched_once(source: Source, context: dict[str, Any]) -> None:
    source.answers["/a.png"] = image("image/avif", b"\0\0\0\x1cftypavif" + bytes(60))
    result = sync(context, images=[f"{source.url}/a.png"], fetch="worker", max_failures=1, **PRIVATE)
    assert "123pan takes no .avif" in result["failures"][0]["reason"]
    assert len(source.asked) == 1


def test_other_bytes_than_the_list_says_are_not_uploaded(
    source: Source, sandbox: Sandbox, context: dict[str, Any]
) -> None:
    source.answers["/a.png"] = image("image/png", picture("red"))
    entry = {"url": f"{source.url}/a.png", "md5": md5(picture("blue"))}
    result = sync(context, images=[entry], fetch="worker", max_failures=1, **PRIVATE)
    assert result["failures"][0]["reason"].startswith("the fetched image's MD5 is ")
    assert kept(sandbox) == {}


def test_a_name_that_other_bytes_took_is_a_clear_reason(
    source: Source, sandbox: Sandbox, context: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    source.answers["/a.png"] = image("image/png", picture("red"))
    upload = Pan123Hook.upload_image

    def taken(hook: Pan123Hook, source: Any, name: str, directory_id: str | None = None) -> Any:
        if not kept(sandbox):
            upload(hook, io.BytesIO(picture("blue")), name, directory_id)
        return upload(hook, source, name, directory_id)

    monkeypatch.setattr(Pan123Hook, "upload_image", taken)
    entry = {"url": f"{source.url}/a.png", "file_name": "a.png"}
    result = sync(context, images=[entry], fetch="worker", max_failures=1, **PRIVATE)
    assert result["failures"][0]["reason"] == (
        "file_name: the directory has another image of the name 'a.png'; give another name, or delete that image"
    )
    assert kept(sandbox) == Counter([md5(picture("blue"))])


def test_equal_bytes_are_sent_once(source: Source, sandbox: Sandbox, context: dict[str, Any]) -> None:
    source.answers |= {f"/{number}.png": image("image/png", picture()) for number in range(6)}
    urls = [f"{source.url}/{number}.png" for number in range(6)]
    given: dict[str, Any] = {"images": urls, "fetch": "worker", "allow_equal": True, **PRIVATE}
    assert counts(sync(context, max_uploads=1, **given)) == (0, 6, 0)
    assert sandbox.state()["counts"]["requests"]["/upload/v1/oss/file/upload_complete"] == 1
    assert counts(sync(context, **given)) == (6, 0, 0)


def test_a_review_that_rejects_an_image_is_final(
    source: Source, sandbox: Sandbox, context: dict[str, Any]
) -> None:
    sandbox.configure(review="a.png")
    source.answers["/a.png"] = image("image/png", picture())
    result = sync(context, images=[f"{source.url}/a.png"], fetch="auto", max_failures=1, **PRIVATE)
    assert result["failures"][0]["reason"] == "rejected by review (status 101)"
    assert len(source.asked) == 1  # by the service


def test_a_sync_defers_only_when_its_uploads_have_ended(
    sandbox: Sandbox,
    context: dict[str, Any],
    set_timing: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    set_timing(idle_before_deferral=0.0)
    sandbox.configure(hold="held")
    (tmp_path / "a.png").write_bytes(picture())
    loops, enough = count(), threading.Event()
    fill, fetch = WorkerFetches.fill, SourceAccess.fetch

    def counted(fetches: WorkerFetches, *, others_ended: bool) -> None:
        fill(fetches, others_ended=others_ended)
        if next(loops) > 20:
            enough.set()

    def slow(access: SourceAccess, url: str) -> ImageFile:
        enough.wait(30)
        return fetch(access, url)

    monkeypatch.setattr(WorkerFetches, "fill", counted)
    monkeypatch.setattr(SourceAccess, "fetch", slow)
    task = Pan123SyncImagesOperator(
        task_id="sync",
        images=["https://example.com/held.png", f"file://{tmp_path}/a.png"],
        directory="photos/2026",
        fetch="auto",
        fetch_headers={"*": {"Cookie": TOKEN}},
        deferrable=True,
        timeout=60,
    )
    with pytest.raises(TaskDeferred) as deferred:
        task.execute(context)
    assert kept(sandbox) == Counter([md5(picture())])
    stored = [deferred.value.trigger.serialize(), deferred.value.kwargs, context["task_state_store"].values]
    assert TOKEN not in json.dumps(stored)
    sandbox.configure(hold=None)
    assert counts(resume(task, deferred.value, context)) == (0, 2, 0)


WRONG = {
    "fetch": ({"fetch": "both"}, "fetch: 'both' is none of 'service', 'worker' and 'auto'"),
    "headers without a worker": (
        {"fetch_headers": REFERER},
        "fetch_headers: 123pan sends no headers; pass fetch=",
    ),
    "no dict": ({"fetch": "auto", "fetch_headers": "Referer"}, "fetch_headers: give a dict by host"),
    "no dict of headers": (
        {"fetch": "auto", "fetch_headers": {"a.example": "Referer"}},
        "fetch_headers: give each host a dict of headers",
    ),
    "URL as host": (
        {"fetch": "auto", "fetch_headers": {"https://a.example": {}}},
        "fetch_headers: a URL is not a host",
    ),
    "host header": (
        {"fetch": "auto", "fetch_headers": {"a.example": {"Host": "b"}}},
        "fetch_headers: Host is set by the worker",
    ),
    "secret with a line feed": (
        {"fetch": "auto", "fetch_headers": {"a.example": {"Cookie": f"{TOKEN}\n"}}},
        "fetch_headers: the value of Cookie must be a string of printable ASCII",
    ),
    "no connection": (
        {"fetch": "auto", "fetch_conn_ids": {"a.example": "nowhere"}},
        "fetch_conn_ids: there is no connection 'nowhere'",
    ),
    "connection without credentials": (
        {"fetch": "auto", "fetch_conn_ids": {"a.example": "empty"}},
        "fetch_conn_ids: connection 'empty' has neither a login, a password nor headers",
    ),
    "no uploads": ({"fetch": "auto", "max_uploads": 0}, "max_uploads: 0 is not a number from 1 to 8"),
    "many uploads": ({"fetch": "auto", "max_uploads": 9}, "max_uploads: 9 is not a number from 1 to 8"),
    "default directory": ({"fetch": "auto", "directory": None}, "directory: the worker uploads images"),
    "default directory of a path": (
        {"images": ["file:///a.png"], "directory": None},
        "directory: the worker uploads images",
    ),
}


@pytest.mark.parametrize(("given", "message"), WRONG.values(), ids=WRONG)
def test_wrong_arguments_fail_before_anything_is_sent(
    given: dict[str, Any],
    message: str,
    sandbox: Sandbox,
    context: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    connect_http(monkeypatch, "empty", host="a.example")
    with pytest.raises(AirflowFailException, match=rf"^{message}") as failed:
        sync(context, **{"images": ["https://a.example/a.png"], **given})
    assert TOKEN not in str(failed.value)
    assert TOKEN not in caplog.text
    assert sandbox.state()["counts"]["requests"] == {}
