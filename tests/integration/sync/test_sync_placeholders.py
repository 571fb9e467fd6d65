"""What a host sends instead of its images, which 123pan stores as a success."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Callable, Iterator
from hashlib import md5
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import TaskDeferred

from airflow_provider_123pan.exceptions import Pan123DownloadFailedError
from airflow_provider_123pan.operators.migrate_pages import Pan123MigratePagesOperator
from airflow_provider_123pan.operators.sync_images import Pan123SyncImagesOperator
from airflow_provider_123pan.rewriting.addresses import new_addresses
from airflow_provider_123pan.sandbox import Sandbox
from airflow_provider_123pan.sandbox.images import tiny
from airflow_provider_123pan.sync.result_record import ResultRecord
from airflow_provider_123pan.sync.results import read_results
from tests.sources import Answer, Source, image, serve
from tests.support import resume, run, submitted, sync

PRIVATE = {"private_hosts": ["127.0.0.1"]}
REFERER = "https://pages.example/"
HEADERS = {"127.0.0.1": {"Referer": REFERER}}
PIXEL = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")

pytestmark = pytest.mark.usefixtures("connect")


def png(picture: str) -> bytes:
    return tiny(picture).content


def protected(picture: str) -> Answer:
    """Answer with an image if the Referer is right, and else with a placeholder."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        welcome = request.headers.get("Referer") == REFERER
        image("image/png", png(picture if welcome else "placeholder"))(request)

    return answer


def resume_to_the_end(task: Any, deferred: TaskDeferred, context: dict[str, Any]) -> dict[str, Any]:
    while True:
        try:
            found: dict[str, Any] = resume(task, deferred, context)
        except TaskDeferred as again:
            deferred = again
        else:
            return found


@pytest.fixture
def source(sandbox: Sandbox) -> Iterator[Source]:
    sandbox.configure(fetch=True, same_etag="keep", delay=0, upload_end="at-once")
    with serve() as running:
        yield running


def add(source: Source, first: int, end: int, answer: Callable[[int], Answer]) -> list[str]:
    """Add images, and return their URLs."""
    source.answers |= {f"/{number}.png": answer(number) for number in range(first, end)}
    return [f"{source.url}/{number}.png" for number in range(first, end)]


def open_images(source: Source, first: int, end: int) -> list[str]:
    return add(source, first, end, lambda number: image("image/png", png(str(number))))


def statuses(results: Path) -> Counter[str]:
    return Counter(record.status for record in read_results(str(results)))


def by_status(results: Path, status: str) -> list[ResultRecord]:
    return [record for record in read_results(str(results)) if record.status == status]


def test_half_of_a_host_with_one_placeholder_is_suspect(
    source: Source, sandbox: Sandbox, context: dict[str, Any], tmp_path: Path
) -> None:
    good, bad = open_images(source, 0, 20), add(source, 20, 40, lambda number: protected(str(number)))
    results = tmp_path / "results.jsonl"
    given: dict[str, Any] = {"images": good + bad, "directory": "a", "results": str(results), **PRIVATE}
    given |= {"max_failures": 20}
    found = sync(context, **given)
    assert (found["migrated"], found["suspect"], found["failed"]) == (20, 20, 0)
    suspects = by_status(results, "suspect")
    assert {record.url for record in suspects} == {*bad}
    assert "20 of the 40 images of 127.0.0.1" in str(suspects[0].reason)
    assert found["failures"][0]["reason"] == suspects[0].reason
    assert new_addresses(str(results)).keys() == {*good}
    found = sync(context, **given)
    assert (found["present"], found["suspect"]) == (20, 20)
    assert submitted(sandbox) == dict.fromkeys(good + bad, 1)


def test_suspect_images_count_for_max_failures(source: Source, context: dict[str, Any]) -> None:
    urls = add(source, 0, 5, lambda number: protected(str(number)))
    with pytest.raises(Pan123DownloadFailedError, match="0 of 5 images failed and 5 are suspect"):
        sync(context, images=urls, directory="a", **PRIVATE)


@pytest.mark.parametrize("others", [20, 21])
def test_five_images_and_a_fifth_of_the_host_are_needed(
    others: int, source: Source, context: dict[str, Any]
) -> None:
    urls = open_images(source, 0, others) + add(source, 100, 105, lambda number: protected(str(number)))
    found = sync(context, images=urls, directory="a", max_failures=5, **PRIVATE)
    assert found["suspect"] == (5 if others == 20 else 0)


def test_four_images_of_a_host_are_no_sign(source: Source, context: dict[str, Any]) -> None:
    with serve() as another:
        another.answers |= {"/1.png": protected("1")}
        urls = [*add(source, 0, 4, lambda number: protected(str(number))), f"{another.url}/1.png"]
        assert sync(context, images=urls, directory="a", **PRIVATE)["migrated"] == 5


def test_a_stated_md5_proves_equal_images(source: Source, context: dict[str, Any]) -> None:
    urls = add(source, 0, 20, lambda _: image("image/png", png("logo")))
    stated = [{"url": url, "md5": md5(png("logo")).hexdigest()} for url in urls]
    found = sync(context, images=stated, directory="a", **PRIVATE)
    assert (found["migrated"], found["suspect"]) == (20, 0)


def test_equal_images_may_be_allowed(source: Source, context: dict[str, Any]) -> None:
    urls = add(source, 0, 6, lambda _: image("image/png", png("logo")))
    found = sync(context, images=urls, directory="a", allow_equal=True, **PRIVATE)
    assert (found["migrated"], found["suspect"]) == (6, 0)


def test_the_worker_replaces_placeholders(
    source: Source, sandbox: Sandbox, context: dict[str, Any], tmp_path: Path
) -> None:
    good, bad = open_images(source, 0, 10), add(source, 10, 20, lambda number: protected(str(number)))
    stated = add(source, 20, 30, lambda _: image("image/png", png("logo")))
    images = [*good, *bad, *({"url": url, "md5": md5(png("logo")).hexdigest()} for url in stated)]
    results = tmp_path / "results.jsonl"
    given: dict[str, Any] = {"images": images, "directory": "a", "fetch": "auto", "fetch_headers": HEADERS}
    given |= {"results": str(results), **PRIVATE}
    found = sync(context, **given)
    assert (found["migrated"], found["suspect"], found["failed"]) == (30, 0, 0)
    etags = {record.url: record.etag for record in read_results(str(results))}
    pictures = {f"{source.url}/{number}.png": str(number) for number in range(20)}
    pictures |= dict.fromkeys(stated, "logo")
    assert etags == {url: md5(png(picture)).hexdigest() for url, picture in pictures.items()}
    assert {record.url for record in read_results(str(results)) if record.fetched_by == "worker"} == {*bad}
    assert md5(png("placeholder")).hexdigest() not in {file["etag"] for file in sandbox.state()["files"]}
    found = sync(context, **given)
    assert (found["present"], found["suspect"], found["failed"]) == (30, 0, 0)


@pytest.mark.parametrize("fetch", ["service", "auto"])
@pytest.mark.parametrize("with_results", [True, False], ids=["results", "no results"])
def test_images_that_ended_before_a_deferral_count(
    source: Source,
    sandbox: Sandbox,
    context: dict[str, Any],
    tmp_path: Path,
    with_results: bool,
    fetch: str,
) -> None:
    sandbox.configure(hold="held")
    bad, held = add(source, 0, 10, lambda number: protected(str(number))), f"{source.url}/held.png"
    source.answers["/held.png"] = image("image/png", png("held"))
    results = tmp_path / "results.jsonl"
    task = Pan123SyncImagesOperator(
        task_id="sync",
        images=[*bad, held],
        directory="a",
        results=str(results) if with_results else None,
        fetch=fetch,
        fetch_headers=HEADERS if fetch == "auto" else None,
        deferrable=True,
        max_failures=10,
        timeout=60,
        **PRIVATE,
    )
    with pytest.raises(TaskDeferred) as deferred:
        task.execute(context)
    sandbox.configure(hold=None)
    found = resume_to_the_end(task, deferred.value, context)
    suspect = 10 if fetch == "service" else 0
    assert (found["migrated"], found["suspect"], found["failed"]) == (11 - suspect, suspect, 0)
    if with_results:
        urls = [record.url for record in read_results(str(results))]
        assert sorted(urls) == sorted([*bad, held])
        assert statuses(results) == ({"suspect": 10, "migrated": 1} if suspect else {"migrated": 11})


def test_a_placeholder_is_recognized_when_few_images_have_it(
    source: Source, context: dict[str, Any], tmp_path: Path
) -> None:
    good, bad = open_images(source, 0, 5), add(source, 5, 10, lambda number: protected(str(number)))
    given: dict[str, Any] = {"directory": "a", "fetch": "auto", **PRIVATE}
    sync(context, images=good + bad, fetch_headers=HEADERS, **given)
    new = add(source, 10, 11, lambda number: protected(str(number)))
    results = tmp_path / "results.jsonl"
    given |= {"images": good + bad + new, "results": str(results), "max_failures": 1}
    found = sync(context, **given)
    assert (found["present"], found["suspect"]) == (10, 1)
    assert "seen before" in str(by_status(results, "suspect")[0].reason)
    assert sync(context, fetch_headers=HEADERS, **given)["migrated"] == 1
    assert statuses(results) == {"present": 10, "migrated": 1}


def test_equal_bytes_in_the_worker_prove_nothing(source: Source, context: dict[str, Any]) -> None:
    """The headers may be wrong."""
    urls = add(source, 0, 6, lambda number: protected(str(number)))
    given: dict[str, Any] = {"images": urls, "directory": "a", "max_failures": 6, **PRIVATE}
    wrong = {"127.0.0.1": {"Referer": "https://wrong.example/"}}
    found = sync(context, fetch="auto", fetch_headers=wrong, **given)
    assert (found["migrated"], found["suspect"]) == (0, 6)
    assert "the worker got the same bytes" in found["failures"][0]["reason"]


def test_the_worker_compares_some_of_many_images(source: Source, context: dict[str, Any]) -> None:
    urls = add(source, 0, 30, lambda _: image("image/png", png("logo")))
    given: dict[str, Any] = {"images": urls, "directory": "a", "fetch": "auto", "fetch_headers": HEADERS}
    found = sync(context, max_failures=30, **given, **PRIVATE)
    assert (found["migrated"], found["suspect"]) == (0, 30)
    by_worker = [asked.target for asked in source.asked if asked.headers.get("Referer") == REFERER]
    assert len(by_worker) == len({*by_worker}) == 15  # every second image, since 20 at most are compared


def test_an_image_that_has_changed_replaces_no_others(
    source: Source, sandbox: Sandbox, context: dict[str, Any]
) -> None:
    urls = add(source, 0, 6, lambda _: image("image/png", png("logo")))
    given: dict[str, Any] = {"images": urls, "directory": "a", **PRIVATE}
    sync(context, allow_equal=True, **given)
    stored = {file["fileId"] for file in sandbox.state()["files"] if file["etag"]}
    source.answers["/3.png"] = image("image/png", png("another"))
    found = sync(context, fetch="auto", fetch_headers=HEADERS, max_failures=6, **given)
    assert (found["migrated"], found["suspect"]) == (0, 6)
    assert {file["fileId"] for file in sandbox.state()["files"] if file["etag"]} == stored


@pytest.mark.parametrize("same_etag", ["keep", "rename"])
def test_few_images_of_another_host_may_share_the_placeholder(
    same_etag: str,
    source: Source,
    sandbox: Sandbox,
    context: dict[str, Any],
    variables: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Four are too few to be suspect by themselves, and no Variable keeps the placeholder."""

    def fail(name: str, *_: str) -> None:
        if name.startswith("pan123_placeholders__"):
            raise RuntimeError("the database is away")

    sandbox.configure(same_etag=same_etag)
    with serve("127.0.0.2") as another:
        few = add(another, 0, 4, lambda number: protected(str(number)))
        urls = add(source, 10, 20, lambda number: protected(str(number)))
        monkeypatch.setattr(variables, "set", fail)
        given: dict[str, Any] = {"images": urls + few, "directory": "a", "fetch": "auto", "max_failures": 4}
        given |= {"fetch_headers": HEADERS, "private_hosts": ["127.0.0.1", "127.0.0.2"]}
        found = sync(context, **given)
    assert (found["migrated"], found["suspect"], found["failed"]) == (10, 4, 0)


def test_a_host_that_cannot_be_parsed_ends_no_sync(source: Source, context: dict[str, Any]) -> None:
    urls = [*add(source, 0, 5, lambda number: protected(str(number))), "http://x.%5B1%5D/a.png"]
    found = sync(context, images=urls, directory="a", max_failures=6, **PRIVATE)
    assert (found["suspect"], found["failed"]) == (5, 1)


@pytest.mark.parametrize("fetch", ["service", "worker"])
def test_a_pixel_counts_at_once(fetch: str, source: Source, context: dict[str, Any]) -> None:
    urls = open_images(source, 0, 3) + add(source, 3, 4, lambda _: image("image/gif", PIXEL))
    found = sync(context, images=urls, directory="a", fetch=fetch, max_failures=1, **PRIVATE)
    assert (found["migrated"], found["suspect"]) == (3, 1)
    assert "a pixel instead of an image" in found["failures"][0]["reason"]
    found = sync(context, images=urls, directory="a", fetch=fetch, allow_equal=True, **PRIVATE)
    assert (found["present"] + found["migrated"], found["suspect"]) == (4, 0)


def test_pages_keep_the_urls_of_suspect_images(
    source: Source, sandbox: Sandbox, context: dict[str, Any], tmp_path: Path
) -> None:
    good, bad = open_images(source, 0, 5), add(source, 5, 10, lambda number: protected(str(number)))
    page = tmp_path / "site" / "a.md"
    page.parent.mkdir()
    page.write_text("".join(f"![]({url})\n" for url in good + bad))
    given: dict[str, Any] = {"task_id": "migrate", "pages": str(page.parent), "directory": "a", **PRIVATE}
    given |= {"journal": str(tmp_path / "journal"), "deferrable": False, "timeout": 60, "max_failures": 5}
    found = run(Pan123MigratePagesOperator(**given), context)
    assert (found["migrated"], found["suspect"], found["failed"]) == (5, 5, 0)
    text = page.read_text()
    assert all(url in text for url in bad)
    assert not any(url in text for url in good)
    assert sum(found["unknown"].values()) == 5
    given |= {"fetch": "auto", "fetch_headers": HEADERS}
    found = run(Pan123MigratePagesOperator(**given), context)
    assert (found["migrated"], found["suspect"]) == (5, 0)
    assert source.url not in page.read_text()
