"""How a sync ends, and what it reports."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred

from airflow_provider_123pan.download.events import to_event
from airflow_provider_123pan.exceptions import (
    Pan123CredentialsError,
    Pan123DownloadFailedError,
    Pan123UnavailableError,
    Pan123WaitTimeoutError,
)
from airflow_provider_123pan.operators.sync_images import DIRECTORIES, Pan123SyncImagesOperator
from airflow_provider_123pan.sandbox import Sandbox
from airflow_provider_123pan.service.client import Pan123Client
from airflow_provider_123pan.service.models import Image, Listing
from airflow_provider_123pan.service.protocol import Answer, Send
from airflow_provider_123pan.sync.results import read_results
from tests.support import addresses, counts, submitted, sync

pytestmark = pytest.mark.usefixtures("connect")


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
        sync(context, images=addresses(6), timeout=3, results=results, deferrable=deferrable)
    records = {record.url: record for record in read_results(results)}
    assert len(records) == 6
    stuck = records[addresses(6)[2]]
    assert (stuck.status, stuck.taskID is not None) == ("failed", True)
    # The retry goes on with what is in flight.
    sandbox.configure(stuck=None)
    with pytest.raises(Pan123WaitTimeoutError):
        sync(context, images=addresses(6), timeout=1)
    assert submitted(sandbox)[stuck.url] == 1


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
    assert event.extra == {"total": 3, "present": 0, "migrated": 3, "suspect": 0, "failed": 0}
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


def refusing(monkeypatch: pytest.MonkeyPatch, path: str, ending: str, status: int) -> None:
    """The gateway has something against the calls for one address, or (with ``""``) against all of a path."""
    send = Pan123Client._send

    def wrapped(self: Pan123Client, step: Send[Any]) -> Answer:
        url = str((step.call.body or {}).get("url", ""))
        if step.call.path.endswith(path) and url.endswith(ending):
            return Answer(status, {}, b"<html>no</html>")
        return send(self, step)

    monkeypatch.setattr(Pan123Client, "_send", wrapped)


@pytest.mark.parametrize("status", [200, 413, 502])
def test_one_image_that_the_gateway_refuses_ends_no_batch(
    context: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    set_timing: Callable[..., None],
    tmp_path: Path,
    status: int,
) -> None:
    set_timing(max_put_backs=2)
    set_timing(max_lost=1)
    set_timing(search=1.0)
    refusing(monkeypatch, "/offline/download", "/3.png", status)
    results = str(tmp_path / "results.jsonl")
    found = sync(context, images=addresses(8), results=results, max_failures=1)
    assert counts(found) == (0, 7, 1)
    assert f"HTTP {status}" in found["failures"][0]["reason"]
    assert len(list(read_results(results))) == 8


def test_a_service_that_stays_away_leaves_complete_results(
    context: dict[str, Any], monkeypatch: pytest.MonkeyPatch, set_timing: Callable[..., None], tmp_path: Path
) -> None:
    set_timing(retry_for=1.0)
    set_timing(max_put_backs=1000)
    refusing(monkeypatch, "/offline/download", "", 503)
    results = str(tmp_path / "results.jsonl")
    with pytest.raises(Pan123UnavailableError, match="HTTP 503"):
        sync(context, images=addresses(8), results=results)
    assert {record.status for record in read_results(results)} == {"failed"}
    assert len(list(read_results(results))) == context["ti"].pushed["failed"] == 8


def test_addresses_that_a_listing_leaves_out_are_asked_for(
    context: dict[str, Any], sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    parse = Image.parse

    def bare(data: Any) -> Image:
        image = parse(data)
        return replace(image, download_url=None) if "totalTraffic" not in data else image

    def page(data: Any) -> Listing:
        items = [{**item} for item in data.get("fileList") or []]
        for item in items:
            item.pop("totalTraffic", None)
        return listing({**data, "fileList": items})

    listing = Listing.parse
    monkeypatch.setattr(Image, "parse", bare)
    monkeypatch.setattr(Listing, "parse", page)
    results = str(tmp_path / "results.jsonl")
    sync(context, images=addresses(3), results=results)
    assert all(record.download_url for record in read_results(results))
    sandbox.configure(answers=[{"path": "file/detail$", "status": 502, "body": "<html>"}])
    assert counts(sync(context, images=addresses(6), results=results)) == (3, 3, 0)


def test_an_error_of_the_trigger_leaves_complete_results(
    context: dict[str, Any], sandbox: Sandbox, tmp_path: Path
) -> None:
    sandbox.configure(hold="/[67].png")
    results = str(tmp_path / "results.jsonl")
    task = Pan123SyncImagesOperator(
        task_id="sync", images=addresses(8), directory="photos", results=results, deferrable=True
    )
    with pytest.raises(TaskDeferred) as deferred:
        task.execute(context)  # type: ignore[arg-type]
    event = to_event(Pan123CredentialsError("the secret was changed", call="login", code=1))
    with pytest.raises(AirflowFailException, match="login: the secret was changed"):
        task.execute_complete(context, event, **(deferred.value.kwargs or {}))  # type: ignore[arg-type]
    found = Counter(record.status for record in read_results(results))
    assert (found["migrated"], found["failed"]) == (6, 2)
    assert (context["ti"].pushed["migrated"], context["ti"].pushed["failed"]) == (6, 2)
    assert [path.name for path in tmp_path.iterdir()] == ["results.jsonl"]


def test_the_first_twenty_failures_are_told(context: dict[str, Any], sandbox: Sandbox) -> None:
    sandbox.configure(fail="example", delay=0)
    found = sync(context, images=addresses(23), max_failures="100%")
    assert (found["failed"], len(found["failures"])) == (23, 20)


def test_no_more_are_in_flight_than_max_active(context: dict[str, Any], sandbox: Sandbox) -> None:
    sandbox.configure(active_cap=3, delay=0.1)
    assert counts(sync(context, images=addresses(12), max_active=3)) == (0, 12, 0)
    assert sandbox.state()["counts"]["requests"]["/api/v1/oss/offline/download"] == 12  # none was refused


def test_other_parameters_may_sign_an_address(
    context: dict[str, Any], sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__PAN123__SIGNATURE_PARAMETERS", "ticket, sess*")
    address = "https://example.com/a.png?size=2&ticket={0}&session={0}"
    assert counts(sync(context, images=[address.format(1), address.format(2)])) == (0, 1, 0)
    assert counts(sync(context, images=[address.format(3)])) == (1, 0, 0)
    assert counts(sync(context, images=[address.format(3).replace("size=2", "size=3")])) == (0, 1, 0)
