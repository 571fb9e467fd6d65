"""What a sync keeps in its checkpoint, its journal, its results, its XComs and its metrics."""

from __future__ import annotations

import base64
import csv
import json
import zlib
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from airflow.sdk.exceptions import TaskDeferred

from airflow_provider_123pan.operators.sync_images import Pan123SyncImagesOperator
from airflow_provider_123pan.rewriting import new_addresses, rewrite
from airflow_provider_123pan.sandbox import Sandbox
from airflow_provider_123pan.service.models import Image
from airflow_provider_123pan.source.naming import Naming
from airflow_provider_123pan.sync.checkpoint import Checkpoint
from airflow_provider_123pan.sync.conversions import Conversion
from airflow_provider_123pan.sync.entries import ManifestEntry
from airflow_provider_123pan.sync.image_state import ImageState
from airflow_provider_123pan.sync.in_flight import InFlight
from airflow_provider_123pan.sync.inventory import Inventory
from airflow_provider_123pan.sync.known_contents import KnownContents
from airflow_provider_123pan.sync.known_conversions import KnownConversions
from airflow_provider_123pan.sync.raw_entries import RawEntry
from airflow_provider_123pan.triggers.sync_images import Pan123SyncImagesTrigger

IMAGES = [
    {"url": "https://example.com/held-1.jpg", "file_name": "held-1.jpg"},
    {"url": "https://example.com/there.jpg?X-Amz-Signature=1", "size": None},
    "https://example.com/rejected-1.jpg",
]


class Deferral(NamedTuple):
    """What is left when a sync has deferred, and what a worker needs to resume it."""

    raised: TaskDeferred
    context: dict[str, Any]
    results: Path
    files: list[str]


def sync(results: Path, **arguments: Any) -> Pan123SyncImagesOperator:
    given: dict[str, Any] = {"pan123_conn_id": "callbacks", "images": IMAGES, "max_failures": 1, **arguments}
    return Pan123SyncImagesOperator(task_id="task", results=str(results), timeout=86400, **given)


@pytest.fixture(scope="module")
def deferral(
    connections: None,
    stats: dict[str, Any],
    new_context: Callable[[], dict[str, Any]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Deferral:
    """Defer a sync."""
    context, results = new_context(), tmp_path_factory.mktemp("results") / "results.jsonl"
    with pytest.raises(TaskDeferred) as raised:
        sync(results, deferrable=True).execute(context)
    return Deferral(raised.value, context, results, [path.name for path in results.parent.iterdir()])


def test_a_deferred_sync_has_a_golden_checkpoint(golden: Any, deferral: Deferral) -> None:
    assert deferral.raised.kwargs is not None
    state = deferral.raised.kwargs["state"]
    states = [*zlib.decompress(base64.b85decode(state["ledger"]["states"]))]
    golden.check("sync_states", states)
    golden.check("sync_checkpoint", state | {"ledger": state["ledger"] | {"states": "<base 85 of zlib>"}})
    assert deferral.raised.method_name == "execute_complete"
    assert deferral.raised.kwargs.keys() == {"state"}


def test_a_deferred_sync_has_a_golden_trigger(golden: Any, deferral: Deferral) -> None:
    golden.check("sync_trigger", deferral.raised.trigger.serialize())


def test_a_sync_keeps_a_golden_record_of_what_is_in_flight(
    golden: Any, deferral: Deferral, account: Callable[[str], str]
) -> None:
    key, record = deferral.context["task_state_store"].written[-1]
    target = f"{account('main')} 来自:离线下载"
    assert record.pop("target") == sha256(target.encode()).hexdigest()
    golden.check("sync_record", [key, record])


def test_parts_of_the_results_are_named_after_the_task(deferral: Deferral) -> None:
    owner = sha256(b"dag run task -1").hexdigest()[:12]
    assert deferral.files == [f"results.jsonl.{owner}.part0"]


def test_worker_and_trigger_derive_the_same_callback_id(sandbox: Sandbox, deferral: Deferral) -> None:
    _, arguments = deferral.raised.trigger.serialize()
    ((key, (task_id, attempt, _)),) = arguments["active"].items()
    (task,) = (task for task in sandbox.state()["tasks"] if task["taskID"] == task_id)
    callback_id = sha256(f"{arguments['seed']} {key} {attempt}".encode()).hexdigest()[:32]
    assert f".{callback_id}." in task["callBackUrl"]


def test_a_sync_reports_progress_to_the_ui_and_to_metrics(
    golden: Any, stats: dict[str, Any], deferral: Deferral
) -> None:
    progress = dict(deferral.context["ti"].pushed["progress"])
    assert isinstance(progress.pop("images_per_second"), float)
    progress.pop("seconds_left")  # None, or a number of seconds
    golden.check("sync_progress", progress)
    assert deferral.context["ti"].pushed.keys() == {"progress"}
    names = ("pan123.sync.images.done", "pan123.sync.images.active", "pan123.sync.images.failed")
    assert [stats[name][0] for name in names] == [2, 1, 1]


def test_a_golden_checkpoint_is_resumed_to_the_end(
    golden: Any, sandbox: Sandbox, deferral: Deferral, new_context: Callable[[], dict[str, Any]]
) -> None:
    assert deferral.raised.kwargs is not None
    template = golden.load("sync_checkpoint")
    states = zlib.compress(bytes(golden.load("sync_states")))
    actual = deferral.raised.kwargs["state"]
    state = golden.filled(template, actual)
    state["ledger"]["states"] = base64.b85encode(states).decode()
    before = sandbox.state()["counts"]["submissions"]
    sandbox.configure(hold="held-by-nothing")
    try:
        event = {"status": "woken", "ended": [*state["flight"]["active"]]}
        result = sync(deferral.results).execute_complete(new_context(), event, state=state)
    finally:
        sandbox.configure(hold="held")
    assert sandbox.state()["counts"]["submissions"] == before
    result["results"] = Path(result["results"]).name
    golden.check("sync_xcom", result)
    assert [*deferral.results.parent.iterdir()] == [deferral.results]


def test_folders_are_stored_only_if_there_are_any(golden: Any) -> None:
    stored = golden.load("sync_checkpoint")
    class_path, arguments = golden.load("trigger_Pan123SyncImagesTrigger")
    assert Checkpoint.load(stored).dump() == stored
    assert Pan123SyncImagesTrigger(**arguments).serialize() == (class_path, arguments)
    stored["folders"], arguments["folders"] = {"2026/11": "id"}, {"id": "2026/11"}
    assert Checkpoint.load(stored).dump() == stored
    assert Pan123SyncImagesTrigger(**arguments).serialize() == (class_path, arguments)


def test_the_count_of_callbacks_is_stored_only_if_there_are_any(golden: Any) -> None:
    stored = golden.load("sync_checkpoint")["flight"] | {"active": {}}
    assert InFlight.load(stored, Inventory()).dump() == stored
    stored["called_back"] = 7
    assert InFlight.load(stored, Inventory()).dump() == stored


def test_the_key_of_an_image_in_a_folder() -> None:
    row = {"url": "https://example.com/2026/11/a.jpg"}
    assert ManifestEntry.of(row, Naming("{stem}.{ext}", keep_tree=True)).key == "qlat6dxtq5tm"


def test_results_have_golden_records_that_rewriting_reads(
    golden: Any, tmp_path: Path, context: dict[str, Any], connections: None
) -> None:
    images = ["https://example.com/one.jpg", "https://example.com/rejected-one.jpg"]
    table, lines = tmp_path / "results.csv", tmp_path / "results.jsonl"
    for path in (lines, table):
        sync(path, images=images).execute(context)
    golden.check("results_jsonl", [json.loads(line) for line in lines.read_text().splitlines()])
    header, *rows = csv.reader(table.read_text().splitlines())
    at = header.index("reason")
    rows = [[*row[:at], "<reason>" if row[at] else "", *row[at + 1 :]] for row in rows]
    golden.check("results_csv", [header, *rows])
    assert new_addresses(str(lines)) == new_addresses(str(table))
    ((old, new),) = new_addresses(str(lines)).items()
    assert old == images[0]
    assert rewrite(f"![]({old})", new_addresses(str(lines))) == f"![]({new})"


def test_an_asset_event_names_the_directory(
    golden: Any, tmp_path: Path, context: dict[str, Any], connections: None
) -> None:
    task = sync(tmp_path / "results.jsonl", images=[], allow_empty=True)
    task.execute(context)
    (alias,) = task.outlets
    events = context["outlet_events"][alias].asset_alias_events
    golden.check("sync_asset", [alias.name, [[e.dest_asset_key.uri, e.extra] for e in events]])


def test_derived_names_of_canonical_urls_stay(golden: Any) -> None:
    """A sync recognizes its images by these names, so another name would migrate an image again."""
    names: dict[str, str] = golden.load("derived_names")
    assert {url: ManifestEntry.of({"url": url}).file_name for url in names} == names


def test_images_under_other_names_are_kept_in_a_golden_variable(
    golden: Any, variables: dict[str, str], account: Callable[[str], str]
) -> None:
    name = "pan123_contents__" + sha256(f"{account('main')} photos".encode()).hexdigest()[:16]
    inventory = Inventory()
    inventory.load([RawEntry("item 0", {"url": "https://example.com/cat.jpg", "file_name": "cat.jpg"})])
    contents = KnownContents.of(account("main"), "photos")
    contents.load(inventory)
    stored = Image("1", "dog.jpg", "10023", None, "0" * 32, 1, 2, None, "https://vip.123pan.cn/1.jpg", None)
    inventory.record(0, ImageState.MIGRATED, stored)
    contents.save(inventory)
    golden.check("contents_variable", json.loads(variables[name]))


def test_conversions_are_kept_in_a_golden_variable(
    golden: Any, variables: dict[str, str], account: Callable[[str], str]
) -> None:
    name = "pan123_conversions__" + sha256(f"{account('main')} photos".encode()).hexdigest()[:16]
    inventory = Inventory(Naming(targets={"avif": "webp"}))
    entry = {"url": "https://example.com/cat.avif", "file_name": "cat.avif", "md5": "0" * 32}
    inventory.load([RawEntry("item 0", entry)])
    inventory.conversions.add(0, Conversion("0" * 32, 48213, "1" * 32))
    conversions = KnownConversions.of(account("main"), "photos")
    conversions.save(inventory)
    golden.check("conversions_variable", json.loads(variables[name]))
