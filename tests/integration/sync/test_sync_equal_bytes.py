"""Several source URLs with the same bytes, of which the service keeps one file."""

from __future__ import annotations

from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_123pan.sandbox import Sandbox
from airflow_provider_123pan.sandbox.images import tiny
from airflow_provider_123pan.sync.results import read_results
from tests.sources import Answer, Source, image, serve
from tests.support import counts, submitted, sync

PRIVATE = {"private_hosts": ["127.0.0.1"]}

pytestmark = pytest.mark.usefixtures("connect")


def png(picture: str) -> Answer:
    """Answer with a small image; different pictures have different bytes."""
    return image("image/png", tiny(picture).content)


@pytest.fixture
def source() -> Iterator[Source]:
    with serve() as running:
        yield running


@pytest.mark.parametrize("kept", ["rename", "keep"])
@pytest.mark.parametrize("deferrable", [False, True], ids=["worker", "triggerer"])
def test_their_number_does_not_matter(
    source: Source,
    sandbox: Sandbox,
    context: dict[str, Any],
    tmp_path: Path,
    set_timing: Callable[..., None],
    kept: str,
    deferrable: bool,
) -> None:
    set_timing(resubmit_after=3.0)
    sandbox.configure(fetch=True, same_etag=kept, delay=0.2)
    source.answers |= {f"/{number}.png": png("same") for number in range(12)}
    urls = [f"{source.url}/{number}.png" for number in range(12)]
    results = str(tmp_path / "results.jsonl")
    given: dict[str, Any] = {"images": urls, "deferrable": deferrable, "allow_equal": True, **PRIVATE}
    assert counts(sync(context, results=results, **given)) == (0, 12, 0)
    assert len({record.fileID for record in read_results(results)}) == 1
    assert submitted(sandbox) == dict.fromkeys(urls, 1)
    assert (
        max(Counter(request.target for request in source.asked).values()) == 2
    )  # the service, and the worker
    assert counts(sync(context, results=results, **given)) == (12, 0, 0)
    assert submitted(sandbox) == dict.fromkeys(urls, 1)


def to_service(answer: Answer, headers: dict[str, str]) -> Answer:
    """Send the image to the service, and nothing but headers to the worker."""

    def divided(request: BaseHTTPRequestHandler) -> None:
        if request.headers["User-Agent"] != "airflow-provider-123pan":
            answer(request)
            return
        request.send_response(200)
        for name, value in headers.items():
            request.send_header(name, value)
        request.end_headers()

    return divided


@pytest.mark.parametrize("header", ["ETag", "Content-MD5"])
def test_what_the_host_states_is_not_downloaded(
    source: Source,
    sandbox: Sandbox,
    context: dict[str, Any],
    tmp_path: Path,
    set_timing: Callable[..., None],
    header: str,
) -> None:
    set_timing(visible_within=4.0)
    sandbox.configure(fetch=True, same_etag="keep", delay=0.2)
    picture = tiny("same")
    stated = {
        "ETag": f'"{picture.etag.upper()}"',
        "Content-MD5": b64encode(bytes.fromhex(picture.etag)).decode(),
    }
    headers = {header: stated[header], "Content-Length": str(len(picture.content))}
    source.answers |= {f"/{number}.png": to_service(png("same"), headers) for number in range(3)}
    urls = [f"{source.url}/{number}.png" for number in range(3)]
    results = str(tmp_path / "results.jsonl")
    assert counts(sync(context, images=urls, results=results, **PRIVATE)) == (0, 3, 0)
    assert len({record.fileID for record in read_results(results)}) == 1
    assert submitted(sandbox) == dict.fromkeys(urls, 1)


def test_a_digest_of_another_kind_is_followed_by_a_download(
    source: Source, sandbox: Sandbox, context: dict[str, Any], tmp_path: Path
) -> None:
    sandbox.configure(fetch=True, same_etag="keep", delay=0.2)
    answer = image("image/png", tiny("same").content, headers={"ETag": f'"{"0" * 32}"'})
    source.answers |= {f"/{number}.png": answer for number in range(3)}
    urls = [f"{source.url}/{number}.png" for number in range(3)]
    results = str(tmp_path / "results.jsonl")
    assert counts(sync(context, images=urls, results=results, **PRIVATE)) == (0, 3, 0)
    assert len({record.fileID for record in read_results(results)}) == 1
    assert submitted(sandbox) == dict.fromkeys(urls, 1)
    # The service, the headers and the download: only for those that do not appear under their names.
    assert sorted(Counter(request.target for request in source.asked).values()) == [1, 3, 3]


@pytest.mark.parametrize("deferrable", [False, True], ids=["worker", "triggerer"])
def test_they_are_not_submitted_again_after_a_failed_verification(
    source: Source, sandbox: Sandbox, context: dict[str, Any], tmp_path: Path, deferrable: bool
) -> None:
    sandbox.configure(
        fetch=True,
        same_etag="keep",
        delay=0.2,
        answers=[{"path": r"^/\d+/", "fault": "traffic-exceeded", "times": None}],
    )
    source.answers |= {f"/{number}.png": png("same") for number in range(3)}
    urls = [f"{source.url}/{number}.png" for number in range(3)]
    given: dict[str, Any] = {"images": urls, "deferrable": deferrable, "allow_equal": True, **PRIVATE}
    given |= {"verify": "address", "results": str(tmp_path / "results.jsonl")}
    assert counts(sync(context, max_failures=3, **given)) == (0, 0, 3)
    sandbox.configure(answers=[])
    assert counts(sync(context, **given)) == (3, 0, 0)
    assert submitted(sandbox) == dict.fromkeys(urls, 1)


def test_a_source_that_has_changed_since_proves_nothing(
    source: Source, sandbox: Sandbox, context: dict[str, Any], tmp_path: Path, set_timing: Callable[..., None]
) -> None:
    set_timing(visible_within=1.5)
    sandbox.configure(fetch=True, same_etag="keep", delay=0.2)
    asked = Counter[str]()

    def changing(request: BaseHTTPRequestHandler) -> None:
        asked[request.path] += 1
        png(str(asked[request.path]))(request)

    source.answers |= {"/1.png": changing, "/2.png": changing}
    urls = [f"{source.url}/{number}.png" for number in (1, 2)]
    results = str(tmp_path / "results.jsonl")
    assert counts(sync(context, images=urls, results=results, **PRIVATE)) == (0, 2, 0)
    assert len({record.fileID for record in read_results(results)}) == 2
    assert sorted(submitted(sandbox).values()) == [1, 2]
