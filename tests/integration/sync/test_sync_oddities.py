"""A batch against a service that is slow, lossy or odd: every image arrives, and no other is taken."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_123pan.hooks.pan123 import Pan123Hook
from airflow_provider_123pan.sandbox import Sandbox
from airflow_provider_123pan.sync.directory import ensure_directory
from airflow_provider_123pan.sync.entries import ManifestEntry
from airflow_provider_123pan.sync.results import read_results
from tests.support import addresses, counts, names, submitted, sync

pytestmark = pytest.mark.usefixtures("connect")


REDIRECT = {"status": 302, "headers": {"Location": "https://portal.example/"}}

ODDITIES: dict[str, dict[str, Any]] = {
    "visible late": {"visible_after": 1.5},
    "retrying": {"retrying": "example"},
    "429 as bucket": {"rate": 40, "rate_kind": "bucket"},
    "429 as window": {"rate": 40, "rate_kind": "window"},
    "cap on active tasks": {"active_cap": 4, "delay": 0.1},
    "gateway": {"gateway": "/offline/download", "gateway_share": 0.2},
    "unknown at first": {"unknown_task": 1.5},
    "gateway of listings": {"gateway": "file/list", "gateway_share": 0.3},
    "answers lost": {
        "answers": [{"path": "/offline/download$", "times": 4, "action": "process-then-drop"}],
    },
    "answers redirected": {
        "answers": [{"path": "/offline/download$", "times": 4, "action": "process-then-answer", **REDIRECT}],
    },
    "requests lost": {"answers": [{"path": "/offline/download$", "times": 4, "action": "drop"}]},
}


@pytest.mark.parametrize("deferrable", [False, True], ids=["worker", "triggerer"])
@pytest.mark.parametrize("changes", ODDITIES.values(), ids=ODDITIES)
def test_all_arrive_whatever_the_service_does(
    context: dict[str, Any],
    sandbox: Sandbox,
    set_timing: Callable[..., None],
    changes: dict[str, Any],
    deferrable: bool,
) -> None:
    set_timing(search=3.0, max_lost=20)  # at random, a gateway may lose one image several times
    sandbox.configure(**changes)
    assert counts(sync(context, images=addresses(40), deferrable=deferrable)) == (0, 40, 0)
    lost = changes.get("answers", [{}])[0].get("action") == "drop" or "gateway" in changes
    most = 2 if lost else 1  # a gateway's 502 may come after the work
    assert max(submitted(sandbox).values()) <= most


def test_a_directory_is_found_if_the_answer_to_its_making_was_redirected(sandbox: Sandbox) -> None:
    sandbox.configure(answers=[{"path": "mkdir$", "action": "process-then-answer", **REDIRECT}])
    made = Pan123Hook().run(ensure_directory(("photos",)))
    assert [found.directory_id for found in Pan123Hook().list_directories()] == [made]


def test_no_log_of_a_sync_quotes_a_signature(
    context: dict[str, Any], sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    refused = {"code": 1, "message": "no task for c0ffee5ecret", "data": None}
    sandbox.configure(fail="a.png", answers=[{"path": "process$", "body": refused}])
    signed = "https://example.com/a.png?token=c0ffee5ecret"
    assert counts(sync(context, images=[signed], max_failures=1)) == (0, 0, 1)
    assert "Progress will be polled again later" in caplog.text
    assert "c0ffee5ecret" not in caplog.text


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


def test_somebody_elses_file_is_not_taken(
    context: dict[str, Any], sandbox: Sandbox, set_timing: Callable[..., None], tmp_path: Path
) -> None:
    """It is the only new one while an image does not show, and yet has nothing to do with it."""
    set_timing(resubmit_after=0.6, visible_within=2.0)
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
    sandbox.configure(delay=1.5)
    passed = {"path": "file/list", "times": 3, "action": "pass"}  # the comparison at the start must work
    path, body = odd
    sandbox.configure(answers=[passed, {"path": path, "times": 2, "body": body}])
    assert counts(sync(context, images=addresses(5), deferrable=deferrable)) == (0, 5, 0)
    assert set(submitted(sandbox).values()) == {1}


def name_of(url: str) -> str:
    return ManifestEntry.of({"url": url}).file_name


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
