"""Pages whose images 123pan cannot fetch: the worker fetches them, and the pages get their new URLs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from airflow_provider_123pan.operators.migrate_pages import Pan123MigratePagesOperator
from airflow_provider_123pan.sandbox import Sandbox
from tests.integration.uploads.support import picture
from tests.sources import image, serve, wants
from tests.support import run

pytestmark = pytest.mark.usefixtures("connect")

REFERER = "https://pages.example/"


@pytest.mark.parametrize("fetch", ["service", "auto", "worker"])
def test_pages_get_the_images_that_want_a_referer(
    fetch: str, sandbox: Sandbox, context: dict[str, Any], tmp_path: Path
) -> None:
    sandbox.configure(fetch=True, upload_end="at-once", delay=0)
    with serve() as source:
        source.answers |= {
            "/open.png": image("image/png", picture("red")),
            "/closed.png": wants("Referer", REFERER, picture("blue")),
        }
        page = tmp_path / "site" / "a.md"
        page.parent.mkdir()
        text = f"![]({source.url}/open.png)\n![]({source.url}/closed.png)\n![](file:///etc/logo.png)\n"
        page.write_text(text)
        given: dict[str, Any] = {
            "task_id": "migrate",
            "pages": str(page.parent),
            "journal": str(tmp_path / "journal"),
            "directory": "blog",
            "fetch": fetch,
            "fetch_headers": {"127.0.0.1": {"Referer": REFERER}} if fetch != "service" else None,
            "private_hosts": ["127.0.0.1"],
            "max_failures": 1,
            "deferrable": False,
            "timeout": 60,
        }
        plan = run(Pan123MigratePagesOperator(mode="plan", **given), context)
        assert (plan["images"], plan["missing"]) == (2, 2)
        assert source.asked == []
        result = run(Pan123MigratePagesOperator(**given), context)
    migrated = 1 if fetch == "service" else 2
    assert (result["images"], result["migrated"], result["failed"]) == (2, migrated, 2 - migrated)
    assert page.read_text().count(sandbox.base_url) == migrated
    assert page.read_text().endswith("![](file:///etc/logo.png)\n")
    assert (f"{source.url}/closed.png" in page.read_text()) == (fetch == "service")
