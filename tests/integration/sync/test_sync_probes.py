"""A sync probes the sources of images that show no format, and of those that failed without a reason."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred

from airflow_provider_123pan.operators.sync_images import Pan123SyncImagesOperator
from airflow_provider_123pan.sandbox import Sandbox
from tests.sources import AVIF, Answer, Source, image, serve
from tests.support import counts, names, resume, submitted, sync

PRIVATE = {"private_hosts": ["127.0.0.1"]}
NO_FORMAT = "file_name: neither the URL nor the source shows an image extension"

pytestmark = pytest.mark.usefixtures("connect")


@pytest.fixture
def source() -> Iterator[Source]:
    with serve() as running:
        yield running


def records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def paths(source: Source) -> Counter[str]:
    return Counter(request.target for request in source.asked)


def test_a_missing_format_is_probed_once_and_never_again(
    source: Source, sandbox: Sandbox, context: dict[str, Any]
) -> None:
    source.answers |= {"/640": image(), "/a.png!large": image("image/webp")}
    urls = [f"{source.url}/640?id=1", f"{source.url}/640?id=2", f"{source.url}/a.png!large"]
    assert counts(sync(context, images=urls, **PRIVATE)) == (0, 3, 0)
    assert sorted(name.rpartition(".")[2] for name in names(sandbox, "2026")) == ["jpg", "jpg", "webp"]
    assert sum(paths(source).values()) == 3
    assert counts(sync(context, images=urls, **PRIVATE)) == (3, 0, 0)
    assert sum(paths(source).values()) == 3  # the second night recognizes them without a probe
    assert sum(submitted(sandbox).values()) == 3


def test_what_a_source_shows_no_format_of_fails_with_its_place(
    source: Source, sandbox: Sandbox, context: dict[str, Any], tmp_path: Path
) -> None:
    source.answers |= {
        "/good": image(),
        "/avif": image("image/avif", AVIF),
        "/hotlink": image(status=403),
        "/page": image("text/html", b"<html>"),
    }
    urls = [f"{source.url}/{name}" for name in ("good", "avif", "hotlink", "page")]
    results = tmp_path / "results.jsonl"
    result = sync(context, images=urls, results=str(results), max_failures=3, **PRIVATE)
    assert counts(result) == (0, 1, 3)
    reasons = {record["url"].rpartition("/")[2]: record["reason"] for record in records(results)}
    assert reasons == {
        "good": None,
        "avif": f"images[1]: {NO_FORMAT} (Content-Type image/avif); give a name that has one",
        "hotlink": f"images[2]: {NO_FORMAT} (source answered 403 without Referer); give a name that has one",
        "page": f"images[3]: {NO_FORMAT} (Content-Type text/html); give a name that has one",
    }
    assert [record["file_name"] is None for record in records(results)] == [False, True, True, True]
    # What may change is probed a second time, at the end.
    assert paths(source) == {"/good": 1, "/avif": 2, "/page": 2, "/hotlink": 4}
    assert sum(submitted(sandbox).values()) == 1


def test_a_source_that_was_down_for_a_moment_is_probed_again(source: Source, context: dict[str, Any]) -> None:
    answers = iter([image(status=503), image(status=503), image()])
    source.answers["/640"] = lambda request: next(answers)(request)
    assert counts(sync(context, images=[f"{source.url}/640"], **PRIVATE)) == (0, 1, 0)


def test_private_sources_are_not_probed_by_default(
    source: Source, sandbox: Sandbox, context: dict[str, Any]
) -> None:
    source.answers["/640"] = image()
    result = sync(context, images=[f"{source.url}/640"], max_failures=1)
    assert "'127.0.0.1', which is not public; add the host" in result["failures"][0]["reason"]
    assert source.asked == []
    assert sandbox.state()["counts"]["submissions"] == 0


def test_without_probe_an_entry_without_a_format_is_invalid(source: Source, context: dict[str, Any]) -> None:
    source.answers["/640"] = image()
    result = sync(context, images=[f"{source.url}/640"], probe=False, max_failures=1, **PRIVATE)
    reason = "images[0]: file_name: the URL shows no image extension; give a name that has one"
    assert result["failures"][0]["reason"] == reason
    assert source.asked == []


def test_wrong_private_hosts_fail_before_anything_is_sent(sandbox: Sandbox, context: dict[str, Any]) -> None:
    with pytest.raises(AirflowFailException, match="^private_hosts: give a list of hosts"):
        sync(context, images=["https://example.com/a.png"], private_hosts="127.0.0.1")
    assert sandbox.state()["counts"]["requests"] == {}


def test_slow_sources_do_not_hold_up_other_images(
    source: Source, sandbox: Sandbox, context: dict[str, Any]
) -> None:
    """Each source answers when all images with a format have been submitted."""
    plain = [f"https://example.com/{number}.png" for number in range(50)]

    def answer(request: Any) -> None:
        while len(submitted(sandbox)) < len(plain) and not source.stopped.wait(0.02):
            pass
        image()(request)

    source.answers["/640"] = answer
    slow = [f"{source.url}/640?{number}" for number in range(20)]
    assert counts(sync(context, images=slow + plain, **PRIVATE)) == (0, 70, 0)


def test_a_changed_source_changes_nothing_across_deferrals(
    source: Source,
    sandbox: Sandbox,
    context: dict[str, Any],
    set_timing: Callable[..., None],
    tmp_path: Path,
) -> None:
    """In each worker the source shows another format, or none; no image is submitted twice, or lost."""
    set_timing(idle_before_deferral=0.2, resubmit_after=0.1, trigger_check=(0.2, 0.5))
    source.answers["/640"] = image()
    sandbox.configure(delay=1.0)
    urls = [f"{source.url}/640?{number}" for number in range(4)]
    results = tmp_path / "results.jsonl"
    operator = Pan123SyncImagesOperator(
        task_id="sync",
        images=urls,
        directory="photos/2026",
        results=str(results),
        deferrable=True,
        max_active=2,
        timeout=60,
        **PRIVATE,
    )
    later = iter([image("image/png"), image(status=403), image("image/webp")])
    result, workers = None, 1
    try:
        result = operator.execute(context)  # type: ignore[arg-type]
    except TaskDeferred as deferred:
        pending = deferred
    while result is None:
        source.answers["/640"] = next(later, image())
        workers += 1
        try:
            result = resume(operator, pending, context)
        except TaskDeferred as deferred:
            pending = deferred
    assert workers > 2
    assert result["migrated"] + result["failed"] == 4
    assert max(submitted(sandbox).values()) == 1
    assert len(records(results)) == 4
    assert [record["reason"] for record in records(results) if record["status"] == "failed"] == []


# -- the reasons of failures --


def silent(source: Source) -> Answer:
    def answer(request: BaseHTTPRequestHandler) -> None:
        source.stopped.wait()

    return answer


def test_a_failure_without_a_reason_is_explained_by_one_probe(
    source: Source, sandbox: Sandbox, context: dict[str, Any], tmp_path: Path
) -> None:
    source.answers |= {
        "/a.png": image(status=403),
        "/b.png": image("image/avif", AVIF),
        "/c.png": image("text/html", b"<html>not found"),
    }
    sandbox.configure(fail=".")
    urls = [f"{source.url}/{name}.png" for name in "abc"]
    results = tmp_path / "results.jsonl"
    result = sync(context, images=urls, results=str(results), max_failures=3, **PRIVATE)
    expected = [
        "123pan could not download or keep the image; a probe by the worker: source answered 403 without Referer",
        "123pan could not download or keep the image; a probe by the worker: Content-Type image/avif",
        "123pan could not download or keep the image; a probe by the worker: Content-Type text/html",
    ]
    assert [failure["reason"] for failure in result["failures"]] == expected
    assert [record["reason"] for record in records(results)] == expected
    assert paths(source) == {"/a.png": 2, "/b.png": 2, "/c.png": 2}  # HEAD and GET


@pytest.mark.parametrize("option", [{"probe": False}, {"explained": False}])
def test_a_failure_keeps_its_reason_without_a_probe(
    option: dict[str, bool],
    source: Source,
    sandbox: Sandbox,
    context: dict[str, Any],
    set_timing: Callable[..., None],
) -> None:
    """Without probes, or when the time for them is over."""
    sandbox.configure(fail=".")
    if "explained" in option:
        set_timing(explain=0.0)
        source.answers["/a.png"] = silent(source)
    arguments = {"probe": option.get("probe", True), **PRIVATE}
    result = sync(context, images=[f"{source.url}/a.png"], max_failures=1, **arguments)
    assert result["failures"][0]["reason"] == "123pan could not download or keep the image"
