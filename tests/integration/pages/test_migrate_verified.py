"""Only URLs that serve an image are put into pages."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_123pan.exceptions import Pan123DownloadFailedError
from airflow_provider_123pan.operators.migrate_pages import Pan123MigratePagesOperator
from airflow_provider_123pan.sandbox import Sandbox
from tests.support import run, submitted

pytestmark = pytest.mark.usefixtures("connect")

URLS = [f"https://example.com/{number}.png" for number in range(3)]


@pytest.fixture
def page(tmp_path: Path) -> Path:
    path = tmp_path / "site" / "a.md"
    path.parent.mkdir()
    path.write_text("".join(f"![]({url})\n" for url in URLS))
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


def test_a_url_that_is_not_served_stays_out_until_it_is(
    context: dict[str, Any], sandbox: Sandbox, page: Path
) -> None:
    sandbox.configure(answers=[{"path": r"^/\d+/", "fault": "traffic-exceeded"}])
    with pytest.raises(Pan123DownloadFailedError, match="1 of 3 images failed") as failure:
        migrate(context, page)
    assert failure.value.retryable
    pushed = context["ti"].pushed
    assert (pushed["migrated"], pushed["failed"], pushed["pages_changed"]) == (2, 1, 1)
    assert pushed["unknown"] == {"not verified: the account's download traffic is exceeded (code 5113)": 1}
    assert sum(url in page.read_text() for url in URLS) == 1

    following = context | {"ti": SimpleNamespace(**vars(context["ti"]) | {"run_id": "next"})}
    result = migrate(following, page)
    assert (result["images"], result["present"], result["failed"], result["pages_changed"]) == (1, 1, 0, 1)
    assert not any(url in page.read_text() for url in URLS)
    assert set(submitted(sandbox).values()) == {1}
    assert sandbox.state()["counts"]["served"] == 4


def test_without_verification_pages_get_urls_unseen(
    context: dict[str, Any], sandbox: Sandbox, page: Path
) -> None:
    assert migrate(context, page, verify=None)["pages_changed"] == 1
    assert sandbox.state()["counts"]["served"] == 0


def test_a_plan_loads_nothing(context: dict[str, Any], sandbox: Sandbox, page: Path) -> None:
    migrate(context, page, mode="plan")
    assert sandbox.state()["counts"]["served"] == 0
