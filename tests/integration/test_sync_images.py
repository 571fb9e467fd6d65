"""A batch against the sandbox: what is missing is submitted, and nothing else."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.execution_time.context import OutletEventAccessors

from airflow_provider_123pan.hooks.pan123 import Pan123Hook
from airflow_provider_123pan.operators.sync_images import DIRECTORIES, Pan123SyncImagesOperator
from airflow_provider_123pan.outcome import Pan123DownloadFailedError, Pan123WaitTimeoutError
from airflow_provider_123pan.sandbox import Sandbox
from airflow_provider_123pan.sync.images import Wanted
from airflow_provider_123pan.sync.results import read_results
from tests.integration.conftest import MemoryStore
from tests.integration.modes import run

pytestmark = pytest.mark.usefixtures("connect")


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_provider_123pan.triggers.sync_images.EARLIEST", 0.0)
    monkeypatch.setattr("airflow_provider_123pan.triggers.sync_images.LOOKS", (0.3, 0.5))
    monkeypatch.setattr("airflow_provider_123pan.sync.turn.WORTH_WAITING", 0.5)
    monkeypatch.setattr("airflow_provider_123pan.sync.turn.LOOK_AGAIN", 1.0)
    monkeypatch.setattr("airflow_provider_123pan.sync.asking.SILENT", (1.0, 3.0))
    monkeypatch.setattr("airflow_provider_123pan.sync.watch.SETTLED_AFTER", 0.5)
    for module in ("flight", "batch"):
        monkeypatch.setattr(f"airflow_provider_123pan.sync.{module}.SKEW", timedelta(seconds=2))


def addresses(count: int, start: int = 0) -> list[str]:
    return [f"https://example.com/{number}.png" for number in range(start, start + count)]


def sync(context: dict[str, Any], **arguments: Any) -> dict[str, Any]:
    given: dict[str, Any] = {"directory": "photos/2026", "deferrable": False, "timeout": 60} | arguments
    result: dict[str, Any] = run(Pan123SyncImagesOperator(task_id="sync", **given), context)
    return result


def name_of(url: str) -> str:
    return Wanted.of({"url": url}).file_name


def counts(result: dict[str, Any]) -> tuple[int, int, int]:
    return result["present"], result["migrated"], result["failed"]


def submitted(sandbox: Sandbox) -> Counter[str]:
    return Counter(task["url"] for task in sandbox.state(100_000)["tasks"])


@pytest.mark.parametrize("deferrable", [False, True], ids=["worker", "triggerer"])
def test_what_is_missing_is_migrated_once(
    context: dict[str, Any], sandbox: Sandbox, tmp_path: Path, deferrable: bool
) -> None:
    sandbox.configure(delay=1.5)
    results = tmp_path / "out" / "results.jsonl"
    result = sync(context, images=addresses(30), deferrable=deferrable, results=str(results))
    assert counts(result) == (0, 30, 0)
    records = [json.loads(line) for line in results.read_text().splitlines()]
    assert sorted(record["url"] for record in records) == sorted(addresses(30))
    assert {record["status"] for record in records} == {"migrated"}
    assert all(record["fileID"] and record["download_url"] and record["etag"] for record in records)
    assert list(results.parent.iterdir()) == [results]

    sandbox.configure(delay=0)
    result = sync(context, images=addresses(35), deferrable=deferrable, results=str(results))
    assert counts(result) == (30, 5, 0)
    assert submitted(sandbox) == Counter(dict.fromkeys(addresses(35), 1))

    before = sandbox.state()["counts"]["requests"]
    result = sync(context, images=addresses(35), deferrable=deferrable, results=str(results))
    assert counts(result) == (35, 0, 0)
    after = sandbox.state()["counts"]["requests"]
    spent = {path: after[path] - before.get(path, 0) for path in after if after[path] != before.get(path, 0)}
    assert set(spent) == {"/api/v1/oss/file/list"}, spent
    assert spent["/api/v1/oss/file/list"] == 3  # the root, photos, 2026
    assert len(results.read_text().splitlines()) == 35


# -- what is there --


def names(sandbox: Sandbox, directory: str = "2026") -> set[str]:
    return {
        file["filename"] for file in sandbox.state(100_000)["files"] if file["parentFilename"] == directory
    }


def test_an_image_deleted_by_hand_comes_back(
    context: dict[str, Any], sandbox: Sandbox, tmp_path: Path
) -> None:
    results = str(tmp_path / "results.csv")
    sync(context, images=addresses(3), results=results)
    gone = next(record for record in read_results(results) if record.url == addresses(3)[1])
    session = Pan123Hook().get_conn()
    address = f"{sandbox.base_url}/api/v1/oss/file/delete"
    assert session.post(address, json={"fileIDs": [gone.fileID]}, timeout=5).json()["code"] == 0
    assert counts(sync(context, images=addresses(3), results=results)) == (2, 1, 0)
    assert submitted(sandbox)[gone.url] == 2
    assert {record.status for record in read_results(results)} == {"present", "migrated"}


def test_overwrite_submits_all_again(context: dict[str, Any], sandbox: Sandbox) -> None:
    sync(context, images=addresses(5))
    for dates in ("refresh", "keep"):
        sandbox.configure(same_etag_dates=dates)
        assert counts(sync(context, images=addresses(5), if_exists="overwrite")) == (0, 5, 0)
    assert set(submitted(sandbox).values()) == {3}


def bytes_of(url: str, sandbox: Sandbox, context: dict[str, Any]) -> tuple[int, str]:
    """Size and MD5 of what the sandbox makes of an address."""
    found = sync(context, images=[url], directory="elsewhere")
    assert found["failed"] == 0
    image = next(Pan123Hook().list_images(found["directory_id"]))
    assert image.size
    assert image.etag
    return image.size, image.etag


def test_size_and_md5_are_compared(context: dict[str, Any], sandbox: Sandbox, tmp_path: Path) -> None:
    good, bad = addresses(2)
    size, md5 = bytes_of(good, sandbox, context)
    results = str(tmp_path / "results.jsonl")
    images = [
        {"url": good, "size": size, "md5": md5},
        {"url": bad, "file_name": "bad-md5.png", "md5": "0" * 32},
        {"url": f"{bad}?2", "file_name": "bad-size.png", "size": 1},
    ]
    result = sync(context, images=images, results=results, max_failures=2)
    assert counts(result) == (0, 1, 2)
    reasons = {record.file_name: record.reason for record in read_results(results) if record.reason}
    assert "MD5 is" in str(reasons["bad-md5.png"])
    assert "the list says 1" in str(reasons["bad-size.png"])
    # What differs counts as missing the next time.
    sync(context, images=images, max_failures=2)
    assert submitted(sandbox)[bad] == 4


def test_another_image_under_the_name_is_missing(
    context: dict[str, Any], sandbox: Sandbox, tmp_path: Path
) -> None:
    old, new = addresses(2)
    size, md5 = bytes_of(new, sandbox, context)
    sync(context, images=[{"url": old, "file_name": "photo.png"}])
    results = str(tmp_path / "results.jsonl")
    result = sync(context, images=[{"url": new, "file_name": "photo.png", "md5": md5}], results=results)
    assert counts(result) == (0, 1, 0)
    (record,) = read_results(results)
    assert (record.etag, record.size) == (md5, size)
    assert counts(sync(context, images=[{"url": new, "file_name": "photo.png", "md5": md5}])) == (1, 0, 0)


@pytest.mark.parametrize("kept", ["rename", "keep"])
@pytest.mark.parametrize("known", [True, False], ids=["md5", "nothing"])
def test_the_same_bytes_are_one_file_with_two_records(
    context: dict[str, Any],
    sandbox: Sandbox,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kept: str,
    known: bool,
) -> None:
    monkeypatch.setattr("airflow_provider_123pan.sync.watch.AGAIN_AFTER", 1.0)
    (url,) = addresses(1)
    more = {"md5": bytes_of(url, sandbox, context)[1]} if known else {}
    sandbox.configure(same_etag=kept, delay="0.1,0.4")
    images = [{"url": url, "file_name": f"{name}.png"} | more for name in "abc"]
    results = str(tmp_path / "results.jsonl")
    result = sync(context, images=[*images, *addresses(4, start=10)], results=results)
    assert counts(result) == (0, 7, 0)
    same = [record for record in read_results(results) if record.url == url]
    assert len(same) == 3
    assert len({record.fileID for record in same}) == 1
    if known:
        assert counts(sync(context, images=[*images, *addresses(4, start=10)])) == (7, 0, 0)


# -- ends --


def test_a_failed_image_is_submitted_once_more(
    context: dict[str, Any], sandbox: Sandbox, tmp_path: Path
) -> None:
    sandbox.configure(fail="/[37].png", fail_reason="the source answered 404")
    results = str(tmp_path / "results.jsonl")
    with pytest.raises(Pan123DownloadFailedError, match=r"2 of 10 images failed, max_failures is 1: .*3.png"):
        sync(context, images=addresses(10), results=results, max_failures=1)
    assert sorted(submitted(sandbox).values()) == [1] * 8 + [2] * 2
    pushed = context["ti"].pushed
    assert (pushed["migrated"], pushed["failed"]) == (8, 2)
    assert [each["url"] for each in pushed["failures"]] == [addresses(10)[3], addresses(10)[7]]
    failed = [record for record in read_results(results) if record.status == "failed"]
    assert [record.taskID is not None and bool(record.reason) for record in failed] == [True, True]
    assert counts(sync(context, images=addresses(10), max_failures="20%")) == (8, 0, 2)


def test_what_fails_at_first_may_succeed(context: dict[str, Any], sandbox: Sandbox) -> None:
    refused = {"path": "/offline/download$", "times": 3, "body": {"code": 1, "message": "busy", "data": None}}
    sandbox.configure(answers=[refused])
    assert counts(sync(context, images=addresses(8))) == (0, 8, 0)


KNOBS: dict[str, dict[str, Any]] = {
    "visible late": {"visible_after": 2.5},
    "retrying": {"retrying": "example"},
    "429 as bucket": {"rate": 40, "rate_kind": "bucket"},
    "429 as window": {"rate": 40, "rate_kind": "window"},
    "cap on active tasks": {"active_cap": 4, "delay": 0.3},
    "gateway": {"gateway": "/offline/download", "gateway_share": 0.2},
    "unknown at first": {"unknown_task": 1.5},
    "answers lost": {
        "answers": [{"path": "/offline/download$", "times": 4, "action": "process-then-drop"}],
    },
    "requests lost": {"answers": [{"path": "/offline/download$", "times": 4, "action": "drop"}]},
}


@pytest.mark.parametrize("deferrable", [False, True], ids=["worker", "triggerer"])
@pytest.mark.parametrize("knobs", KNOBS.values(), ids=KNOBS)
def test_all_arrive_whatever_the_service_does(
    context: dict[str, Any],
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    knobs: dict[str, Any],
    deferrable: bool,
) -> None:
    monkeypatch.setattr("airflow_provider_123pan.sync.watch.SEARCH", 3.0)
    monkeypatch.setattr("airflow_provider_123pan.sync.batch.TOO_MANY_TASKS_PAUSES", (0.2, 0.5, 1.0))
    sandbox.configure(**knobs)
    assert counts(sync(context, images=addresses(40), deferrable=deferrable)) == (0, 40, 0)
    lost = knobs.get("answers", [{}])[0].get("action") == "drop" or "gateway" in knobs
    most = 2 if lost else 1  # a gateway's 502 may come after the work
    assert max(submitted(sandbox).values()) <= most


@pytest.mark.parametrize("deferrable", [False, True], ids=["worker", "triggerer"])
def test_rejected_by_review(
    context: dict[str, Any], sandbox: Sandbox, tmp_path: Path, deferrable: bool
) -> None:
    sandbox.configure(review="/1.png")
    results = str(tmp_path / "results.jsonl")
    for expected in ((0, 2, 1), (2, 0, 1)):
        result = sync(context, images=addresses(3), max_failures=1, results=results, deferrable=deferrable)
        assert counts(result) == expected
    assert "rejected by review" in result["failures"][0]["reason"]
    assert set(submitted(sandbox).values()) == {1}


@pytest.mark.parametrize("deferrable", [False, True], ids=["worker", "triggerer"])
def test_the_deadline_leaves_complete_results(
    context: dict[str, Any], sandbox: Sandbox, tmp_path: Path, deferrable: bool
) -> None:
    sandbox.configure(stuck="/2.png", active_cap=3)
    results = str(tmp_path / "results.jsonl")
    with pytest.raises(Pan123WaitTimeoutError):
        sync(context, images=addresses(6), timeout=4, results=results, deferrable=deferrable)
    records = {record.url: record for record in read_results(results)}
    assert len(records) == 6
    stuck = records[addresses(6)[2]]
    assert (stuck.status, stuck.taskID is not None) == ("failed", True)
    # The retry goes on with what is in flight.
    sandbox.configure(stuck=None)
    with pytest.raises(Pan123WaitTimeoutError):
        sync(context, images=addresses(6), timeout=4)
    assert submitted(sandbox)[stuck.url] == 1


def test_two_at_once_end_with_one_file_per_name(
    connect: Any, sandbox: Sandbox, tmp_path: Path, context: dict[str, Any]
) -> None:
    sandbox.configure(delay=1)
    results: dict[str, Any] = {}

    def one(name: str, start: int) -> None:
        own = {**context, "ti": SimpleNamespace(**vars(context["ti"]) | {"run_id": name})}
        own |= {"task_state_store": MemoryStore(), "outlet_events": OutletEventAccessors()}
        results[name] = sync(own, images=addresses(20, start), results=str(tmp_path / f"{name}.jsonl"))

    threads = [Thread(target=one, args=(name, start)) for name, start in (("a", 0), ("b", 10))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [results[name]["failed"] for name in "ab"] == [0, 0]
    assert results["a"]["directory_id"] == results["b"]["directory_id"]
    assert len(names(sandbox)) == 30
    assert all(len(list(read_results(str(tmp_path / f"{name}.jsonl")))) == 20 for name in "ab")


def test_the_services_own_directory(context: dict[str, Any], sandbox: Sandbox) -> None:
    for expected in ((0, 3, 0), (3, 0, 0)):
        assert counts(sync(context, images=addresses(3), directory=None)) == expected


def test_signed_addresses_are_the_same_tomorrow(context: dict[str, Any], sandbox: Sandbox) -> None:
    for night in ("one", "two"):
        signed = [f"{url}?v=1&X-Amz-Signature={night}&X-Amz-Date={night}" for url in addresses(3)]
        result = sync(context, images=signed)
    assert counts(result) == (3, 0, 0)


def test_what_other_systems_are_told(
    context: dict[str, Any], connect: Callable[..., None], sandbox: Sandbox
) -> None:
    operator = Pan123SyncImagesOperator(
        task_id="sync",
        images=[*addresses(2), "https://me:secret@cdn.example.org:81/a.png"],
        directory="图/a b",
    )
    result = operator.execute(context)  # type: ignore[arg-type]
    uri = "pan123://pan123_default/%E5%9B%BE/a%20b"
    (event,) = context["outlet_events"][DIRECTORIES].asset_alias_events
    assert event.dest_asset_key.uri == uri
    assert event.extra == {"total": 3, "present": 0, "migrated": 3, "failed": 0}
    assert context["ti"].pushed["progress"]["done"] == 3
    assert result["failures"] == []

    lineage = operator.get_openlineage_facets_on_complete(None)
    assert [dataset.namespace for dataset in lineage.inputs] == [
        "https://cdn.example.org:81",
        "https://example.com",
    ]
    assert [(each.namespace, each.name) for each in lineage.outputs] == [
        ("pan123://pan123_default", "%E5%9B%BE/a%20b")
    ]


def test_no_secret_of_an_address_is_shown(
    context: dict[str, Any], sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    sandbox.configure(fail=".", fail_reason="no")
    with pytest.raises(Pan123DownloadFailedError) as error:
        sync(context, images=["https://me:hunter2@example.com/a.png?token=hunter2"])
    assert "hunter2" not in str(error.value) + caplog.text + str(context["ti"].pushed)


@pytest.mark.parametrize(
    "refused",
    [{"path": "mkdir$", "body": {"code": 1, "message": "name must be a list", "data": None}}],
)
def test_the_other_spelling_of_a_directorys_name(
    context: dict[str, Any], sandbox: Sandbox, refused: dict[str, Any]
) -> None:
    sandbox.configure(answers=[refused])
    assert counts(sync(context, images=addresses(2))) == (0, 2, 0)
    assert names(sandbox)


# -- what an attack found --


def test_somebody_elses_file_is_not_taken(
    context: dict[str, Any], sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It is the only new one while an image does not show, and yet has nothing to do with it."""
    monkeypatch.setattr("airflow_provider_123pan.sync.watch.AGAIN_AFTER", 0.6)
    monkeypatch.setattr("airflow_provider_123pan.sync.watch.VISIBLE_WITHIN", 6.0)
    sandbox.configure(same_etag="keep", same_etag_dates="keep", delay=0)
    (url,) = addresses(1)
    result = sync(context, images=[{"url": url, "file_name": "theirs.png"}])
    sandbox.configure(same_etag_dates="refresh")
    results = str(tmp_path / "results.jsonl")
    sync(context, images=[{"url": url, "file_name": "mine.png"}], results=results, max_failures=1)
    (record,) = read_results(results)
    assert (record.status, record.fileID) == ("failed", None)
    assert "the same bytes" in str(record.reason)
    assert result["migrated"] == 1


def test_overwriting_is_proved_by_progress(context: dict[str, Any], sandbox: Sandbox) -> None:
    """The old images are there all the time, and perhaps the service ignores startTime."""
    sync(context, images=addresses(4))
    sandbox.configure(fail="/[12].png", delay=1)
    result = sync(context, images=addresses(4), if_exists="overwrite", max_failures=2)
    assert counts(result) == (0, 2, 2)


ODD = {
    "unknown status": ("download/process", {"code": 0, "message": "ok", "data": {"status": 9, "process": 1}}),
    "no JSON": ("download/process", "<html>"),
    "null data": ("download/process", {"code": 0, "message": "ok", "data": None}),
    "a listing's internal error": ("file/list", {"code": 1, "message": "内部错误", "data": None}),
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
@pytest.mark.parametrize("deferrable", [False, True], ids=["worker", "triggerer"])
def test_one_odd_answer_does_not_end_the_batch(
    context: dict[str, Any], sandbox: Sandbox, odd: tuple[str, Any], deferrable: bool
) -> None:
    sandbox.configure(delay=3)
    passed = {"path": "file/list", "times": 3, "action": "pass"}  # the comparison at the start must work
    path, body = odd
    sandbox.configure(answers=[passed, {"path": path, "times": 2, "body": body}])
    assert counts(sync(context, images=addresses(5), deferrable=deferrable)) == (0, 5, 0)
    assert set(submitted(sandbox).values()) == {1}


def test_the_directory_may_be_unlistable_for_its_odd_rows_only(
    context: dict[str, Any], sandbox: Sandbox
) -> None:
    sync(context, images=addresses(1), directory=None)
    directory = {"fileId": 7, "filename": "来自:离线下载", "type": 1}
    rows = [
        {"fileId": None, "filename": "a.png"},
        {"fileId": 1.5, "filename": "b.png"},
        {"fileId": "x", "filename": 123},
        {
            "fileId": 99,
            "filename": f"{name_of(addresses(1)[0])}",
            "downloadURL": {"no": "text"},
            "size": 2**70,
        },
    ]
    pages = [{"lastFileId": "-1", "fileList": [directory]}, {"lastFileId": -1, "fileList": rows}]
    sandbox.configure(
        answers=[{"path": "file/list", "body": {"code": 0, "message": "ok", "data": page}} for page in pages]
    )
    assert counts(sync(context, images=addresses(1), directory=None)) == (1, 0, 0)
