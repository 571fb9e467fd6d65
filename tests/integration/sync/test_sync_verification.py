"""Images whose new URLs do not serve them count as failed, and are not submitted again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_123pan.sandbox import Sandbox
from airflow_provider_123pan.sync.results import read_results
from tests.integration.uploads.support import picture
from tests.sources import serve, wants
from tests.support import addresses, counts, submitted, sync

pytestmark = pytest.mark.usefixtures("connect")


def test_without_verification_nothing_is_loaded(context: dict[str, Any], sandbox: Sandbox) -> None:
    assert counts(sync(context, images=addresses(3))) == (0, 3, 0)
    assert sandbox.state()["counts"]["served"] == 0


@pytest.mark.parametrize("deferrable", [False, True], ids=["worker", "triggerer"])
def test_each_image_is_loaded_once(context: dict[str, Any], sandbox: Sandbox, deferrable: bool) -> None:
    sandbox.configure(delay=1)
    sync(context, images=addresses(3), max_failures=0)
    for verify in ("address", "content"):
        before = sandbox.state()["counts"]["served"]
        result = sync(context, images=addresses(6), verify=verify, deferrable=deferrable)
        assert result["failed"] == 0
        assert sandbox.state()["counts"]["served"] == before + 6


@pytest.mark.parametrize("deferrable", [False, True], ids=["worker", "triggerer"])
def test_an_image_that_is_not_served_fails_and_is_verified_again(
    context: dict[str, Any], sandbox: Sandbox, tmp_path: Path, deferrable: bool
) -> None:
    sandbox.configure(answers=[{"path": r"^/\d+/", "fault": "traffic-exceeded"}], delay=1)
    results = str(tmp_path / "results.jsonl")
    given = {"images": addresses(3), "verify": "address", "results": results, "deferrable": deferrable}
    result = sync(context, **given, max_failures=1)
    assert counts(result) == (0, 2, 1)
    (failed,) = (record for record in read_results(results) if record.status == "failed")
    assert failed.reason == "not verified: the account's download traffic is exceeded (code 5113)"
    assert result["failures"] == [
        {"url": failed.url, "file_name": failed.file_name, "reason": failed.reason},
    ]
    assert failed.fileID
    assert failed.download_url

    assert counts(sync(context, **given)) == (3, 0, 0)
    assert [record.status for record in read_results(results)] == ["present"] * 3
    assert set(submitted(sandbox).values()) == {1}


@pytest.mark.parametrize("deferrable", [False, True], ids=["worker", "triggerer"])
@pytest.mark.parametrize("fetch", ["worker", "auto"])
def test_an_image_that_the_worker_fetched_is_verified_like_any_other(
    context: dict[str, Any], sandbox: Sandbox, tmp_path: Path, fetch: str, deferrable: bool
) -> None:
    sandbox.configure(fetch=True, upload_end="at-once", delay=0)
    results = str(tmp_path / "results.jsonl")
    with serve() as source:
        for name in ("red", "blue"):
            source.answers[f"/{name}.png"] = wants("Cookie", "session-0123456789", picture(name))
        given: dict[str, Any] = {
            "images": [f"{source.url}/{name}.png" for name in ("red", "blue")],
            "results": results,
            "fetch": fetch,
            "fetch_headers": {"127.0.0.1": {"Cookie": "session-0123456789"}},
            "private_hosts": ["127.0.0.1"],
            "deferrable": deferrable,
        }
        sandbox.configure(answers=[{"path": r"^/\d+/", "fault": "traffic-exceeded"}])
        result = sync(context, **given, verify="content", max_failures=1)
        loads = len(source.asked)
        assert counts(result) == (0, 1, 1)
        records = [*read_results(results)]
        assert [record.fetched_by for record in records] == ["worker"] * 2
        assert all(record.fileID and record.download_url for record in records)
        (failed,) = (record for record in records if record.status == "failed")
        assert failed.reason == "not verified: the account's download traffic is exceeded (code 5113)"

        assert counts(sync(context, **given, verify="content")) == (2, 0, 0)
        assert len(source.asked) == loads


def test_the_url_on_the_users_own_domain_is_loaded(context: dict[str, Any], sandbox: Sandbox) -> None:
    """Port 9 answers nothing."""
    sandbox.configure(own_domain="http://127.0.0.1:9")
    result = sync(context, images=addresses(1), verify="address", max_failures=1)
    assert counts(result) == (0, 0, 1)
    assert "not verified: its URL gives no answer" in result["failures"][0]["reason"]
    assert sandbox.state()["counts"]["served"] == 0


def test_content_is_compared_with_the_stored_etag(context: dict[str, Any], sandbox: Sandbox) -> None:
    sync(context, images=addresses(2))
    file = sandbox.state()["files"][0]
    body = ("GIF89a" + "x" * file["size"])[: file["size"]]
    sandbox.configure(answers=[{"path": file["fileId"], "body": body, "times": None}])
    assert counts(sync(context, images=addresses(2), verify="address")) == (2, 0, 0)
    result = sync(context, images=addresses(2), verify="content", max_failures=1)
    assert counts(result) == (1, 0, 1)
    (failure,) = result["failures"]
    assert failure["file_name"] == file["filename"]
    assert failure["reason"] == (
        "not verified: the MD5 of the bytes that its URL serves is not the stored etag"
    )


def test_two_entries_with_one_image_load_it_once(
    context: dict[str, Any], sandbox: Sandbox, tmp_path: Path
) -> None:
    images = [f"{addresses(1)[0]}?X-Amz-Signature={n}&X-Amz-Algorithm=a&X-Amz-Credential=c" for n in (1, 2)]
    results = str(tmp_path / "results.jsonl")
    sync(context, images=images, verify="address", results=results)
    assert len([*read_results(results)]) == 2
    assert sandbox.state()["counts"]["served"] == len(submitted(sandbox))


@pytest.mark.parametrize("verify", ["", "bytes", True, ["address"]], ids=str)
def test_another_verification_fails_at_once(context: dict[str, Any], sandbox: Sandbox, verify: Any) -> None:
    with pytest.raises(AirflowFailException, match="^verify: .* is neither 'address' nor 'content' nor None"):
        sync(context, images=addresses(1), verify=verify)
    assert sandbox.state()["counts"]["requests"] == {}
