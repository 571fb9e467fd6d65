"""A batch against the sandbox: what is missing is submitted, and nothing else."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.execution_time.context import OutletEventAccessors

from airflow_provider_123pan.hooks.pan123 import Pan123Hook
from airflow_provider_123pan.sandbox import Sandbox
from airflow_provider_123pan.sync.results import read_results
from dev.waiting import wait_for
from tests.integration.conftest import MemoryStore
from tests.support import addresses, counts, names, submitted, sync

pytestmark = pytest.mark.usefixtures("connect")


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


def test_overwrite_submits_all_again(
    context: dict[str, Any], sandbox: Sandbox, set_timing: Callable[..., None]
) -> None:
    """Where equal images keep their dates, only the end of the window shows that there are no other ones."""
    set_timing(visible_within=1.5)
    sync(context, images=addresses(5))
    for dates in ("refresh", "keep"):
        sandbox.configure(same_etag_dates=dates)
        assert counts(sync(context, images=addresses(5), if_exists="overwrite")) == (0, 5, 0)
    assert set(submitted(sandbox).values()) == {3}


def test_overwriting_gives_the_new_image_where_the_old_one_keeps_its_name(
    context: dict[str, Any], sandbox: Sandbox, tmp_path: Path
) -> None:
    old, new = addresses(2)
    results = str(tmp_path / "results.jsonl")
    sync(context, images=[{"url": old, "file_name": "a.png"}])
    second = time.time()
    wait_for(lambda: time.time() > second + 3, what="a date that is another one", timeout=6)
    sandbox.configure(visible_after=1)
    sync(context, images=[{"url": new, "file_name": "a.png"}], results=results, if_exists="overwrite")
    [record] = read_results(results)
    assert record.file_name == "a(1).png"


def bytes_of(url: str, sandbox: Sandbox, context: dict[str, Any]) -> tuple[int, str]:
    """Size and MD5 of what the sandbox makes of an address."""
    found = sync(context, images=[url], directory="elsewhere")
    assert found["failed"] == 0
    image = next(Pan123Hook().list_images(found["directory_id"]))
    assert image.size
    assert image.etag
    return image.size, image.etag


def test_size_and_md5_are_compared(
    context: dict[str, Any], sandbox: Sandbox, tmp_path: Path, set_timing: Callable[..., None]
) -> None:
    set_timing(visible_within=2.0)  # an image that is overwritten within a second keeps its date
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
    set_timing: Callable[..., None],
    kept: str,
    known: bool,
) -> None:
    set_timing(visible_within=1.5)
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
    before = submitted(sandbox)
    assert counts(sync(context, images=[*images, *addresses(4, start=10)])) == (7, 0, 0)
    assert submitted(sandbox) == before


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
