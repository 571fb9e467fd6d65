"""The blocks of Python run, and do what their pages say."""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from airflow.sdk import DAG
from airflow.sdk.definitions.mappedoperator import MappedOperator
from airflow.sdk.execution_time import macros

from airflow_provider_123pan.pages import undo
from airflow_provider_123pan.sandbox import Sandbox
from tests.integration.documents.support import ROOT, Block, blocks_of, build, in_language, is_test, run_all

MAX_DAG_LINES = 10  # of the README's migration of pages


def is_mapped(dag: DAG) -> bool:
    """Return whether a DAG has mapped tasks, which run_all cannot run."""
    return any(
        isinstance(task, MappedOperator) or task.get_closest_mapped_task_group() is not None
        for task in dag.tasks
    )


@in_language("python", where=lambda block: not is_test(block))
def test_a_python_block_runs(
    block: Block,
    workspace: Path,
    sandbox: Sandbox,
    connect: Callable[..., None],
    context: dict[str, Any],
) -> None:
    context["dag_run"] = argparse.Namespace(run_after=datetime(2026, 11, 25, tzinfo=timezone.utc))
    context["macros"] = macros
    payload = json.loads((ROOT / "tests/golden/expected/arrival_event.json").read_text())
    event = argparse.Namespace(extra={"from_trigger": True, "payload": payload})
    context["triggering_asset_events"] = defaultdict(lambda: [event])
    context["var"] = {"value": {"forum_cookie_secret": "session-0123456789"}}
    sandbox.configure(
        drive_files=[{"file_id": str(14749954 + number), "filename": f"{number}.png"} for number in range(2)]
    )
    for dag in build(block):
        if not is_mapped(dag):
            run_all(dag, context)
    assert "failed" not in {task["state"] for task in sandbox.state()["tasks"]}


def test_the_quick_start_gives_the_new_url(
    sandbox: Sandbox, connect: Callable[..., None], context: dict[str, Any]
) -> None:
    (block,) = blocks_of("docs/quickstart.md", "Pan123OfflineDownloadOperator")
    (dag,) = build(block)
    found = run_all(dag, context)["move"]
    (stored,) = sandbox.state()["files"]
    assert found["download_url"] == stored["downloadURL"]


def test_the_readme_plans_asks_and_then_rewrites_the_pages(
    workspace: Path, sandbox: Sandbox, connect: Callable[..., None], context: dict[str, Any]
) -> None:
    (block,) = blocks_of("README.md", "ApprovalOperator")
    assert len(block.text.splitlines()) <= MAX_DAG_LINES
    (dag,) = build(block)
    results = run_all(dag, context)
    assert [*results] == ["plan", "approve", "apply"]
    asked: Any = dag.get_task("approve")
    assert asked.subject == f"Apply {results['plan']['report']}?"
    (stored,) = sandbox.state()["files"]
    page = workspace / "my-bucket" / "site" / "page.md"
    assert page.read_text() == f"![A dog]({stored['downloadURL']})\n"
    undo(results["apply"]["journal"])
    assert page.read_text() == "![A dog](https://example.com/dog.png)\n"


def test_the_guide_to_rewriting_replaces_the_old_url(workspace: Path) -> None:
    (block,) = blocks_of("docs/howto/rewrite-pages.md", "new_addresses")
    build(block)
    assert (workspace / "site" / "page.md").read_text() == "![A cat](https://vip.123pan.cn/1/cat.jpg)\n"


def test_the_guide_to_checks_replaces_the_url_of_a_gone_image(workspace: Path) -> None:
    (block,) = blocks_of("docs/howto/check-images.md", "new_addresses")
    (workspace / "site" / "page.md").write_text("![A cat](https://vip.123pan.cn/1/gone.jpg)\n")
    build(block)
    assert (workspace / "site" / "page.md").read_text() == "![A cat](https://vip.123pan.cn/1/cat.jpg)\n"
