"""A migration of pages probes images whose URLs show no format, and explains failures, as a sync does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_123pan.operators.migrate_pages import Pan123MigratePagesOperator
from airflow_provider_123pan.sandbox import Sandbox
from tests.sources import Source, image, serve
from tests.support import run, submitted

pytestmark = pytest.mark.usefixtures("connect")


@pytest.fixture
def source() -> Iterator[Source]:
    with serve() as running:
        running.answers["/640"] = image()
        yield running


@pytest.fixture
def page(source: Source, tmp_path: Path) -> Path:
    """A page that shows an image without a format."""
    path = tmp_path / "site" / "a.md"
    path.parent.mkdir()
    path.write_text(f"![]({source.url}/640)")
    return path


def migrate(context: dict[str, Any], page: Path, **arguments: Any) -> dict[str, Any]:
    task = Pan123MigratePagesOperator(
        task_id="migrate",
        pages=str(page.parent),
        directory="blog",
        journal=str(page.parent.parent / "journal"),
        deferrable=False,
        timeout=60,
        **arguments,
    )
    result: dict[str, Any] = run(task, context)
    return result


@pytest.mark.parametrize("hosts", [["127.0.0.1"], []], ids=["named", "not named"])
def test_a_missing_format_is_probed_where_that_is_allowed(
    context: dict[str, Any], source: Source, page: Path, hosts: list[str]
) -> None:
    result = migrate(context, page, private_hosts=hosts, max_failures=1)
    assert (result["migrated"], result["failed"], result["pages_changed"]) == (
        (1, 0, 1) if hosts else (0, 1, 0)
    )
    assert (source.url in page.read_text()) is not bool(hosts)
    assert bool(source.asked) is bool(hosts)
    for reason in result["unknown"]:
        assert reason.startswith("file_name: neither the URL nor the source shows an image extension")
        assert "'127.0.0.1', which is not public; add the host" in reason


def test_without_probes_a_format_must_be_shown(context: dict[str, Any], source: Source, page: Path) -> None:
    result = migrate(context, page, probe=False, private_hosts=["127.0.0.1"], max_failures=1)
    assert result["unknown"] == {"file_name: the URL shows no image extension; give a name that has one": 1}
    assert not source.asked


def test_a_failure_is_explained(
    context: dict[str, Any], source: Source, sandbox: Sandbox, page: Path
) -> None:
    sandbox.configure(fail="broken")
    page.write_text(f"![]({source.url}/broken.png)")
    source.answers["/broken.png"] = image(status=403)
    result = migrate(context, page, private_hosts=["127.0.0.1"], max_failures=1)
    (reason,) = result["unknown"]
    assert reason.endswith("source answered 403 without Referer")


def test_a_plan_counts_probes_and_sends_none(
    context: dict[str, Any], source: Source, sandbox: Sandbox, page: Path
) -> None:
    found = migrate(context, page, mode="plan", private_hosts=["127.0.0.1"])
    assert {key: found[key] for key in ("images", "missing", "probes", "failed", "pages_changed")} == {
        "images": 1,
        "missing": 1,
        "probes": 1,
        "failed": 0,
        "pages_changed": 1,
    }
    stored = json.loads(Path(found["report"]).with_suffix(".json").read_text())
    assert stored["probes"] == 1
    (diff,) = stored["diffs"]
    new = diff["diff"].splitlines()[-1]
    assert new.startswith("+![](https://123pan.example/640-")
    assert "." not in new.rpartition("/")[2]
    assert not source.asked
    assert not submitted(sandbox)


def test_a_plan_counts_no_probe_for_what_is_there(
    context: dict[str, Any], source: Source, page: Path
) -> None:
    text = page.read_text()
    migrate(context, page, private_hosts=["127.0.0.1"])
    page.write_text(text)
    found = migrate(context, page, mode="plan")
    assert (found["present"], found["missing"], found["probes"]) == (1, 0, 0)


@pytest.mark.parametrize("mode", ["plan", "apply"])
def test_wrong_private_hosts_fail_at_once(
    context: dict[str, Any], sandbox: Sandbox, page: Path, mode: str
) -> None:
    with pytest.raises(AirflowFailException, match="^private_hosts: give a list of hosts"):
        migrate(context, page, mode=mode, private_hosts="127.0.0.1")
    assert sandbox.state()["counts"]["requests"] == {}
