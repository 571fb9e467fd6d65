"""Checks find exactly the images that are no longer served, and their list brings them back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_123pan.hooks.pan123 import Pan123Hook
from airflow_provider_123pan.operators.images import Pan123CheckImagesOperator
from airflow_provider_123pan.rewriting import rewrite
from airflow_provider_123pan.sandbox import Sandbox
from airflow_provider_123pan.service.protocol import Call
from airflow_provider_123pan.sync.results import read_results
from airflow_provider_123pan.verification.loading import LoadTiming
from tests.support import addresses, counts, run, submitted, sync

pytestmark = pytest.mark.usefixtures("connect")

COUNT = 1000
LIST, DETAIL = "/api/v1/oss/file/list", "/api/v1/oss/file/detail"
HEALTHY = {
    "failed": 0,
    "gone": 0,
    "rejected": 0,
    "wrong_type": 0,
    "wrong_content": 0,
    "slow": 0,
    "traffic_exceeded": 0,
    "unreachable": 0,
}


def check(context: dict[str, Any], **arguments: Any) -> dict[str, Any]:
    given: dict[str, Any] = {"requests_per_second": 1000.0} | arguments
    result: dict[str, Any] = run(Pan123CheckImagesOperator(task_id="check", **given), context)
    return result


def found(result: dict[str, Any]) -> dict[str, Any]:
    return {key: result[key] for key in ("images", "healthy", *HEALTHY) if result[key]}


def requests_of(sandbox: Sandbox) -> dict[str, int]:
    state = sandbox.state()["counts"]
    return {"served": state["served"]} | {path: state["requests"].get(path, 0) for path in (LIST, DETAIL)}


def lines(path: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def tree(sandbox: Sandbox) -> list[dict[str, Any]]:
    """Return the images, with the path below ``photos`` that the test with a tree gave to each."""
    paths = {"x": "x", "y": "x/y"}
    return [file | {"path": paths[file["parentFilename"]]} for file in sandbox.state()["files"]]


@pytest.fixture
def results(context: dict[str, Any], tmp_path: Path) -> str:
    """The results of a sync of five images to ``photos/2026``."""
    path = str(tmp_path / "results.jsonl")
    sync(context, images=addresses(5), results=path)
    return path


def test_lost_images_are_named_and_come_back(
    context: dict[str, Any], sandbox: Sandbox, tmp_path: Path
) -> None:
    urls, results = addresses(COUNT), str(tmp_path / "results.jsonl")
    sync(context, images=urls, results=results)
    page = tmp_path / "page.md"
    page.write_text("".join(f"![]({record.download_url})\n" for record in read_results(results)))
    pages_before = page.read_bytes()
    lost = {url for url in urls if url.endswith(("00.png", "50.png"))} | {urls[0]}
    assert sandbox.lose(r"^(\d*[05]0|0)-") == len(lost) == 20

    before = requests_of(sandbox)
    report = str(tmp_path / "report.html")
    result = check(context, results=results, directory="photos/2026", report=report, max_failures=len(lost))
    assert found(result) == {
        "images": COUNT,
        "healthy": COUNT - len(lost),
        "failed": len(lost),
        "gone": len(lost),
    }
    assert {line["url"] for line in lines(result["list"])} == lost
    after = requests_of(sandbox)
    assert after["served"] - before["served"] == COUNT - len(lost)
    assert after[DETAIL] == before[DETAIL]
    # Two listings find the directory by its path.
    assert after[LIST] - before[LIST] <= 2 + -(-COUNT // 100)

    again = sync(context, manifest=result["list"], results=str(tmp_path / "again.jsonl"))
    assert counts(again) == (0, len(lost), 0)
    assert sum(submitted(sandbox).values()) == COUNT + len(lost)
    assert page.read_bytes() == pages_before

    sync(context, images=urls, results=results)
    assert sum(submitted(sandbox).values()) == COUNT + len(lost)
    assert found(check(context, results=results, directory="photos/2026")) == {
        "images": COUNT,
        "healthy": COUNT,
    }


def test_without_a_directory_gone_images_cost_a_call(
    context: dict[str, Any], sandbox: Sandbox, results: str
) -> None:
    sandbox.lose("^[04]-")
    before = requests_of(sandbox)
    result = check(context, results=results, max_failures=2)
    assert found(result) == {"images": 5, "healthy": 3, "failed": 2, "gone": 2}
    assert {failure["reason"] for failure in result["failures"]} == {"123pan does not know it (code 5066)"}
    after = requests_of(sandbox)
    assert {key: after[key] - before[key] for key in after} == {"served": 3, LIST: 1, DETAIL: 3}


def test_a_directory_is_checked_with_those_below_it(
    context: dict[str, Any], sandbox: Sandbox, tmp_path: Path
) -> None:
    sync(
        context,
        images=[f"https://example.com/{folder}/a.png" for folder in ("x", "x/y")],
        directory="photos",
        keep_tree=True,
    )
    result = check(context, directory="photos")
    assert found(result) == {"images": 2, "healthy": 2}
    before = sandbox.state()["counts"]["served"]
    traffic = check(context, directory="photos", verify=None)["traffic"]
    assert {path: size for path, size in traffic.items() if size} == {
        f"photos/{file['path']}": file["size"] for file in tree(sandbox)
    }
    assert sandbox.state()["counts"]["served"] == before


def test_an_image_that_was_moved_is_found(context: dict[str, Any], sandbox: Sandbox, results: str) -> None:
    hook = Pan123Hook()
    elsewhere = hook.make_directory("elsewhere").directory_id
    moved = sandbox.state()["files"][0]["fileId"]
    body = {"fileIDs": [moved], "toParentFileID": elsewhere}
    hook.call(Call("move", "POST", "/api/v1/oss/file/move", lambda data, _: data, body=body, reads=False))
    assert found(check(context, results=results)) == {"images": 5, "healthy": 5}
    result = check(context, results=results, directory="photos/2026", max_failures=1)
    assert (result["gone"], result["failures"][0]["reason"]) == (1, "its directory does not list it any more")


def test_each_problem_is_named(context: dict[str, Any], sandbox: Sandbox, tmp_path: Path) -> None:
    results, report = str(tmp_path / "results.csv"), str(tmp_path / "report.html")
    sync(context, images=addresses(5), results=results)
    files = {int(file["filename"].partition("-")[0]): file for file in sandbox.state()["files"]}
    answers: dict[int, dict[str, Any]] = {
        0: {"status": 404},
        1: {"fault": "traffic-exceeded"},
        2: {"fault": "html"},
        3: {"fault": "server-error"},
    }
    sandbox.configure(
        answers=[{"path": files[number]["fileId"], **answer} for number, answer in answers.items()]
    )
    result = check(context, results=results, report=report, max_failures="100%")
    assert found(result) == {
        "images": 5,
        "healthy": 1,
        "failed": 4,
        "gone": 1,
        "traffic_exceeded": 1,
        "wrong_type": 1,
        "unreachable": 1,
    }
    by_problem = {line["problem"]: line for line in lines(result["list"])}
    assert {problem: line["url"] for problem, line in by_problem.items()} == {
        "gone": addresses(5)[0],
        "traffic_exceeded": addresses(5)[1],
        "wrong_type": addresses(5)[2],
        "unreachable": addresses(5)[3],
    }
    assert by_problem["traffic_exceeded"]["reason"].endswith("(code 5113)")
    assert {line["directory"] for line in by_problem.values()} == {"2026"}
    # What is still there is not submitted again.
    assert counts(sync(context, manifest=result["list"])) == (4, 0, 0)


def test_a_review_rejects_an_image_without_loading_it(context: dict[str, Any], sandbox: Sandbox) -> None:
    sandbox.configure(review="1.png")
    sync(context, images=addresses(2), max_failures=1)
    result = check(context, directory="photos/2026", max_failures=1)
    assert found(result) == {"images": 2, "healthy": 1, "failed": 1, "rejected": 1}
    assert result["failures"][0]["reason"] == "rejected by review (status 101)"
    assert sandbox.state()["counts"]["served"] == 1


def test_content_is_compared(context: dict[str, Any], sandbox: Sandbox, results: str) -> None:
    assert found(check(context, results=results, verify="content")) == {"images": 5, "healthy": 5}
    file = sandbox.state()["files"][0]
    body = ("GIF89a" + "x" * file["size"])[: file["size"]]
    sandbox.configure(answers=[{"path": file["fileId"], "body": body, "times": None}])
    result = check(context, results=results, verify="content", max_failures=1)
    assert found(result) == {"images": 5, "healthy": 4, "failed": 1, "wrong_content": 1}
    assert found(check(context, results=results, verify="address")) == {"images": 5, "healthy": 5}


def test_a_slow_image_is_a_failure(
    context: dict[str, Any], results: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Pan123CheckImagesOperator, "timing", LoadTiming(slow=0.0))
    result = check(context, results=results, max_failures=5)
    assert found(result) == {"images": 5, "failed": 5, "slow": 5}


@pytest.mark.parametrize(("max_failures", "fails"), [(1, True), ("20%", True), (2, False), ("40%", False)])
def test_the_task_fails_by_its_allowance(
    context: dict[str, Any], sandbox: Sandbox, results: str, max_failures: Any, fails: bool
) -> None:
    sandbox.lose("^[04]-")
    if not fails:
        assert check(context, results=results, max_failures=max_failures)["failed"] == 2
        return
    with pytest.raises(AirflowFailException, match=f"2 of 5 images .* max_failures is {max_failures}: 0-"):
        check(context, results=results, max_failures=max_failures)
    assert context["ti"].pushed["gone"] == 2


def test_images_that_failed_in_the_sync_are_left_out(
    context: dict[str, Any], sandbox: Sandbox, tmp_path: Path
) -> None:
    results = str(tmp_path / "results.jsonl")
    sandbox.configure(fail="0.png")
    sync(context, images=addresses(2), results=results, max_failures=1)
    assert found(check(context, results=results)) == {"images": 1, "healthy": 1}


def test_two_source_urls_of_one_image_have_a_line_each(
    context: dict[str, Any], sandbox: Sandbox, tmp_path: Path
) -> None:
    results, report = str(tmp_path / "results.jsonl"), str(tmp_path / "report.html")
    urls = ["https://example.com/a.png", "https://EXAMPLE.com/a.png"]
    sync(context, images=urls, results=results)
    sandbox.lose("^a-")
    result = check(context, results=results, directory="photos/2026", report=report, max_failures=1)
    assert (result["images"], result["gone"]) == (1, 1)
    assert [line["url"] for line in lines(result["list"])] == urls
    assert counts(sync(context, manifest=result["list"])) == (0, 1, 0)


def test_pages_can_follow_an_image_that_came_back(
    context: dict[str, Any], sandbox: Sandbox, results: str, tmp_path: Path
) -> None:
    page = "".join(f"![]({record.download_url})\n" for record in read_results(results))
    sandbox.lose("^3-")
    report, again = str(tmp_path / "report.html"), str(tmp_path / "again.jsonl")
    result = check(context, results=results, directory="photos/2026", report=report, max_failures=1)
    sync(context, manifest=result["list"], results=again)
    old = {line["url"]: line["image_url"] for line in lines(result["list"])}
    new = {old[record.url]: str(record.download_url) for record in read_results(again)}
    assert rewrite(page, new) == page.replace(*next(iter(new.items())))


def test_a_repeated_listing_is_read_again_while_the_service_is_out(
    context: dict[str, Any], sandbox: Sandbox, results: str
) -> None:
    sandbox.configure(answers=[{"path": "/file/list$", "fault": "bad-gateway"}])
    assert found(check(context, results=results)) == {"images": 5, "healthy": 5}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "results: give results, directory or directory_id"),
        ({"directory": "a", "directory_id": "b"}, "directory: give either"),
        ({"directory": "nowhere/at/all"}, "directory: there is no directory 'nowhere/at/all'"),
        ({"directory": "a", "verify": "all"}, "verify: 'all' is neither"),
        ({"directory": "a", "report": "report.txt"}, "report: 'report.txt' must end with .html"),
        ({"directory": "a", "requests_per_second": 0}, "requests_per_second: 0 is not a number above 0"),
        ({"directory": "a", "max_failures": "many"}, "max_failures: 'many' is neither"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_wrong_arguments_fail_without_a_retry(
    context: dict[str, Any], arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(AirflowFailException, match=f"^{message}"):
        check(context, **arguments)
