"""A batch with callbacks: they wake and tell reasons, and whatever they claim, progress decides."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_123pan.sandbox import Sandbox
from airflow_provider_123pan.sync.results import read_results
from tests.support import addresses, counts, submitted, sync

BOTH = pytest.mark.parametrize("deferrable", [False, True], ids=["worker", "triggerer"])


@pytest.fixture(autouse=True)
def _callbacks(
    receiver: str,
    connect: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    set_timing: Callable[..., None],
) -> None:
    connect(extra={"callback_base_url": receiver})
    monkeypatch.setenv("AIRFLOW__PAN123__INBOX_URL", receiver)
    # Silence is asked about too late for these tests: what ends them is the delivery.
    set_timing(silent=(1000.0, 1000.0))
    set_timing(fallback_poll=(1000.0, 1000.0))


@BOTH
@pytest.mark.parametrize("callback", ["normal", "twice", "early", "lying", "wrong-file"])
def test_a_failure_has_its_reason(
    context: dict[str, Any],
    sandbox: Sandbox,
    set_timing: Callable[..., None],
    callback: str,
    deferrable: bool,
) -> None:
    set_timing(reason_wait=0.5 if callback == "lying" else 10.0)
    sandbox.configure(callback=callback, fail="/[25].png", fail_reason="源站拒绝", delay=1)
    result = sync(context, images=addresses(8), max_failures=2, deferrable=deferrable)
    assert counts(result) == (0, 6, 2)
    reasons = {each["reason"] for each in result["failures"]}
    assert (reasons == {"the callback reports: 源站拒绝"}) is (callback != "lying"), reasons
    assert sorted(submitted(sandbox).values()) == [1] * 6 + [2] * 2


@BOTH
def test_each_submission_that_was_called_back_counts_once(
    context: dict[str, Any], sandbox: Sandbox, deferrable: bool
) -> None:
    """The images appear after their callbacks, each of which comes twice; what failed is submitted twice."""
    sandbox.configure(callback="twice", fail="/[25].png", visible_after=1, delay=0.2)
    sync(context, images=addresses(8), max_failures=2, deferrable=deferrable)
    assert context["ti"].pushed["progress"]["called_back"] == sum(submitted(sandbox).values()) == 10


def test_without_callbacks_none_are_counted(context: dict[str, Any]) -> None:
    sync(context, images=addresses(2), use_callback=False)
    assert "called_back" not in context["ti"].pushed["progress"]


@pytest.mark.parametrize("kept", ["rename", "keep"])
@pytest.mark.parametrize("file_id_as", ["string", "number"])
def test_the_same_bytes_are_found_by_what_was_called_back(
    context: dict[str, Any], sandbox: Sandbox, tmp_path: Path, kept: str, file_id_as: str
) -> None:
    sandbox.configure(same_etag=kept, same_etag_dates="keep", file_id_as=file_id_as)
    (url,) = addresses(1)
    images = [{"url": url, "file_name": f"{name}.png"} for name in "abc"]
    results = str(tmp_path / "results.jsonl")
    assert counts(sync(context, images=[*images, *addresses(4, start=10)], results=results)) == (0, 7, 0)
    assert len({record.fileID for record in read_results(results) if record.url == url}) == 1
    assert submitted(sandbox)[url] == 3


@pytest.mark.parametrize("if_exists", ["skip", "overwrite"])
def test_a_callback_that_names_another_image_of_the_list_proves_nothing(
    context: dict[str, Any], sandbox: Sandbox, tmp_path: Path, if_exists: str
) -> None:
    """The images appear late, and each callback names the file of another one."""
    sandbox.configure(callback="wrong-file", visible_after=2, delay=0.1)
    results = str(tmp_path / "results.jsonl")
    sync(context, images=addresses(4), results=results, if_exists=if_exists)
    stored = {file["filename"]: file["fileId"] for file in sandbox.state()["files"]}
    records = list(read_results(results))
    assert len(records) == 4
    assert all(record.fileID == stored[record.file_name] for record in records)


def test_a_name_in_another_unicode_form_is_the_same_name(context: dict[str, Any], sandbox: Sandbox) -> None:
    images = [{"url": "https://example.com/1.png", "file_name": unicodedata.normalize("NFD", "café.png")}]
    assert counts(sync(context, images=images)) == (0, 1, 0)
    images[0]["file_name"] = unicodedata.normalize("NFC", "café.png")
    assert counts(sync(context, images=images)) == (1, 0, 0)


def test_a_worker_does_not_defer_what_was_called_back_since_its_last_check(
    context: dict[str, Any], sandbox: Sandbox, set_timing: Callable[..., None]
) -> None:
    """The triggerer would poll it only after minutes: it waits for callbacks that have not arrived."""
    set_timing(
        check=(2.0, 2.0)
    )  # the first check finds nothing, and an idle worker defers before the second one
    sandbox.configure(delay=0.1)
    assert counts(sync(context, images=addresses(2), deferrable=True)) == (0, 2, 0)
