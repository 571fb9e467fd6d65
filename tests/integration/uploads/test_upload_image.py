"""The hook uploads images to the sandbox, whatever goes wrong on the way."""

from __future__ import annotations

import io
import logging
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests

from airflow_provider_123pan.exceptions import (
    Pan123Error,
    Pan123InputError,
    Pan123RedirectError,
    Pan123ServiceError,
    Pan123TokenError,
    Pan123UnavailableError,
    Pan123UploadError,
)
from airflow_provider_123pan.hooks.pan123 import MAX_UPLOADS, Pan123Hook
from airflow_provider_123pan.sandbox import Sandbox
from airflow_provider_123pan.service.models import Image
from airflow_provider_123pan.service.storage import PutSlice, Storage
from airflow_provider_123pan.service.upload import UploadTiming, upload
from tests.integration.uploads.support import image_file, md5, picture

pytestmark = pytest.mark.usefixtures("connect")

RED = picture()
PATHS = {
    "create_upload": "/file/create$",
    "get_upload_url": "/get_upload_url$",
    "put": "/sandbox-storage/",
    "complete_upload": "/upload_complete$",
    "get_upload_result": "/upload_async_result$",
    "get_image": "/file/detail$",
}
CALLS = {name: path for name, path in PATHS.items() if name != "put"}


def send(fast: UploadTiming, content: bytes = RED, name: str = "a.png", etag: str | None = None) -> Image:
    hook = Pan123Hook()
    with image_file(content, etag) as image:
        return hook.run(upload(image, name, "", fast))


def requests_of(sandbox: Sandbox, path: str) -> int:
    counts = sandbox.state()["counts"]["requests"]
    return sum(count for name, count in counts.items() if name.endswith(path.rstrip("$")) or path in name)


def answer(code: int, message: str = "no") -> dict[str, Any]:
    return {"body": {"code": code, "message": message, "data": None}}


# -- what the hook takes and returns --


def test_bytes_become_an_image(sandbox: Sandbox) -> None:
    hook = Pan123Hook()
    directory = hook.make_directory("photos")
    stored = hook.upload_image(io.BytesIO(RED), "a.png", directory.directory_id)
    assert (stored.file_name, stored.etag, stored.size) == ("a.png", md5(RED), len(RED))
    assert stored.directory_id == directory.directory_id
    assert stored.download_url is not None
    assert requests.get(stored.download_url, timeout=60).content == RED
    assert hook.get_image(stored.fileID) == replace(stored, traffic=len(RED))


def test_paths_and_images_are_uploaded_into_the_root(sandbox: Sandbox, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(RED)
    hook = Pan123Hook()
    with image_file(picture("blue")) as image:
        stored = [hook.upload_image(path, "a.png"), hook.upload_image(image, "b.png", "")]
        assert not image.file.closed
    assert [image.file_name for image in hook.list_images()] == ["b.png", "a.png"]
    assert [image.etag for image in stored] == [md5(RED), md5(picture("blue"))]


def test_equal_bytes_are_sent_once(sandbox: Sandbox) -> None:
    hook = Pan123Hook()
    stored = [hook.upload_image(io.BytesIO(RED), name) for name in ("a.png", "b.png")]
    assert stored[0].etag == stored[1].etag
    counts = sandbox.state()["counts"]
    assert (counts["uploads"], counts["reused"], counts["requests"]["/sandbox-storage/slice"]) == (1, 1, 1)


def test_an_image_goes_in_slices(sandbox: Sandbox) -> None:
    sandbox.configure(slice_size=40)
    content = picture("green", "BMP")
    stored = Pan123Hook().upload_image(io.BytesIO(content), "a.bmp")
    assert stored.download_url is not None
    assert requests.get(stored.download_url, timeout=60).content == content
    assert sandbox.state()["counts"]["requests"]["/sandbox-storage/slice"] == -(-len(content) // 40)


@pytest.mark.parametrize(
    ("source", "name", "words"),
    [
        (RED, "a:b.png", "file_name: .* contains :"),
        (RED, "a/b.png", "file_name: "),
        (RED, "  .png", "file_name: "),
        (RED, "a.avif", "file_name: "),
        (RED, "", "file_name: it is empty"),
        (RED, None, "file_name: it is empty"),
        (RED, "a" * 251 + ".png", "file_name: .* 255 characters"),
        (b"\0\0\0\x1cftypavif" + bytes(60), "a.png", "123pan takes no .avif"),
    ],
)
def test_what_123pan_refuses_is_not_sent(sandbox: Sandbox, source: bytes, name: Any, words: str) -> None:
    with pytest.raises(Pan123InputError, match=words):
        Pan123Hook().upload_image(io.BytesIO(source), name)
    assert sandbox.state()["counts"]["requests"] == {}


def test_an_image_above_100_mib_is_not_sent(sandbox: Sandbox, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(RED)
    with path.open("r+b") as file:
        file.truncate(100 * 2**20 + 1)
    with pytest.raises(Pan123InputError, match="more than 100 MiB"):
        Pan123Hook().upload_image(path, "a.png")
    assert sandbox.state()["counts"]["requests"] == {}


def test_a_taken_name_is_an_error(sandbox: Sandbox) -> None:
    hook = Pan123Hook()
    hook.upload_image(io.BytesIO(RED), "a.png")
    with pytest.raises(Pan123ServiceError, match="create_upload: 该目录下文件名重复无法创建") as caught:
        hook.upload_image(io.BytesIO(picture("blue")), "a.png")
    assert caught.value.code == 5060


def test_threads_never_have_more_uploads_in_flight_than_allowed(sandbox: Sandbox) -> None:
    sandbox.configure(upload_cap=MAX_UPLOADS, latency=0.005)
    hook, stored, errors = Pan123Hook(), [], []

    def work(number: int) -> None:
        try:
            stored.append(hook.upload_image(io.BytesIO(picture(f"#0000{number:02x}")), f"{number}.png"))
        except Pan123Error as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3 * MAX_UPLOADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(stored) == 3 * MAX_UPLOADS
    assert sandbox.state()["counts"]["most_uploads_in_flight"] <= MAX_UPLOADS


# -- what goes wrong --


# A storage that answers HTTP 200, whatever the body, has taken the slice.
FAULTS = [
    (step, fault)
    for step in PATHS
    for fault in ("server-error", "bad-gateway", "blocked", "html", "empty", "drop", "late-drop")
    if step != "put" or fault not in ("html", "empty")
]


@pytest.mark.parametrize(("step", "fault"), FAULTS)
def test_every_step_survives_a_fault(sandbox: Sandbox, fast: UploadTiming, step: str, fault: str) -> None:
    scripted = {
        "drop": {"action": "drop"},
        "late-drop": {"action": "process-then-drop"},
    }.get(fault, {"fault": fault})
    sandbox.configure(upload_end="async", answers=[{"path": PATHS[step], **scripted}])
    assert send(fast).etag == md5(RED)
    state = sandbox.state()
    assert state["answers_left"] == [0]
    assert (state["counts"]["files"], state["counts"]["uploads"]) == (1, 1)


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
def test_a_step_that_always_fails_ends_the_upload(sandbox: Sandbox, fast: UploadTiming, path: str) -> None:
    sandbox.configure(upload_end="async", answers=[{"path": path, "fault": "bad-gateway", "times": None}])
    with pytest.raises(Pan123UnavailableError, match="502"):
        send(fast)
    assert requests_of(sandbox, path) == 1 + len(fast.pauses)


REFUSALS = {
    "token": answer(401, "tokens number has exceeded the limit"),
    "rate": answer(429, "请求太频繁") | {"times": 2},
    "verifying": {"fault": "verifying", "times": 3},
    "redirect": {"fault": "redirect"},
}


@pytest.mark.parametrize("path", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("refusal", REFUSALS)
def test_every_call_survives_a_refusal(sandbox: Sandbox, fast: UploadTiming, path: str, refusal: str) -> None:
    sandbox.configure(upload_end="async", answers=[{"path": path} | REFUSALS[refusal]])
    assert send(fast).etag == md5(RED)
    assert sandbox.state()["answers_left"] == [0]
    assert sandbox.state()["counts"]["logins"] == (2 if refusal == "token" else 1)


def test_a_token_that_dies_during_an_upload_is_replaced(sandbox: Sandbox, fast: UploadTiming) -> None:
    sandbox.configure(token_uses=2, upload_end="async")
    assert send(fast).etag == md5(RED)


@pytest.mark.parametrize(
    ("path", "scripted", "kind"),
    [
        (PATHS["create_upload"], {"fault": "redirect", "times": None}, Pan123RedirectError),
        (PATHS["complete_upload"], {"fault": "redirect", "times": None}, Pan123RedirectError),
        (PATHS["put"], {"fault": "redirect", "times": None}, Pan123UploadError),
        (PATHS["put"], {"status": 401, "times": None}, Pan123UploadError),
        (PATHS["complete_upload"], answer(1, "etag is wrong"), Pan123ServiceError),
        (PATHS["create_upload"], {**answer(401), "times": None}, Pan123TokenError),
        (PATHS["get_image"], {**answer(5113), "times": None}, Pan123ServiceError),
    ],
)
def test_a_refusal_ends_the_upload(
    sandbox: Sandbox, fast: UploadTiming, path: str, scripted: dict[str, Any], kind: type[Pan123Error]
) -> None:
    sandbox.configure(answers=[{"path": path, **scripted}])
    with pytest.raises(kind):
        send(fast)


def test_expired_urls_are_fetched_again_and_given_up(sandbox: Sandbox, fast: UploadTiming) -> None:
    sandbox.configure(upload_url_life=0)
    with pytest.raises(Pan123UploadError, match=r"refused the slice: HTTP 403 \(AccessDenied\)"):
        send(fast)
    assert requests_of(sandbox, "/get_upload_url") == 1 + len(fast.pauses)


def test_bytes_that_are_not_the_announced_ones_are_refused(sandbox: Sandbox, fast: UploadTiming) -> None:
    with pytest.raises(Pan123ServiceError, match="complete_upload: etag is not the MD5"):
        send(fast, etag="0" * 32)
    assert sandbox.state()["files"] == []


@pytest.mark.parametrize("change", [{"etag": "f" * 32}, {"size": 1}, {"etag": md5(b"x"), "size": 1}])
def test_details_of_another_image_are_no_success(
    sandbox: Sandbox, fast: UploadTiming, change: dict[str, Any]
) -> None:
    item = {
        "fileId": "x",
        "filename": "a.png",
        "etag": md5(RED),
        "size": len(RED),
        "downloadURL": "http://x/y",
    }
    body = {"code": 0, "message": "ok", "data": item | change}
    sandbox.configure(answers=[{"path": PATHS["get_image"], "body": body}])
    with pytest.raises(Pan123UploadError, match="123pan stored something else"):
        send(fast)


def test_an_etag_in_capitals_is_the_same(sandbox: Sandbox, fast: UploadTiming) -> None:
    item = {
        "fileId": "x",
        "filename": "a.png",
        "etag": md5(RED).upper(),
        "size": len(RED),
        "downloadURL": "http://x/y",
    }
    sandbox.configure(
        answers=[{"path": PATHS["get_image"], "body": {"code": 0, "message": "ok", "data": item}}]
    )
    assert send(fast).fileID == "x"


def test_an_image_that_shows_late_is_found(sandbox: Sandbox, fast: UploadTiming) -> None:
    sandbox.configure(visible_after=0.3, upload_delay=0.2, upload_end="async")
    assert send(fast).etag == md5(RED)


def test_an_upload_after_a_lost_one_sends_nothing_again(sandbox: Sandbox, fast: UploadTiming) -> None:
    """As after a worker that was killed between the completion and its answer."""
    sandbox.configure(answers=[{"path": PATHS["get_image"], "fault": "bad-gateway", "times": 4}])
    with pytest.raises(Pan123UnavailableError):
        send(fast)
    assert send(fast).etag == md5(RED)
    counts = sandbox.state()["counts"]
    assert (counts["requests"]["/sandbox-storage/slice"], counts["files"]) == (1, 1)


def test_secrets_are_in_no_log(
    sandbox: Sandbox, fast: UploadTiming, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    signatures: list[str] = []
    put = Storage.put

    def remember(storage: Storage, step: PutSlice) -> None:
        signatures.append(step.url.partition("X-Amz-Signature=")[2])
        put(storage, step)

    monkeypatch.setattr(Storage, "put", remember)
    caplog.set_level(logging.DEBUG)
    sandbox.configure(
        answers=[{"path": PATHS["put"], "status": 403}, {"path": PATHS["put"], "action": "drop"}]
    )
    send(fast)
    assert len(signatures) == 3
    assert caplog.text != ""
    for secret in (*signatures, sandbox.client_secret):
        assert secret not in caplog.text
