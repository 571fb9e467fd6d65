"""The pages of the documentation, their blocks and their links, and how a block of Python becomes DAGs that run."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import DAG, XComArg
from markdown_it import MarkdownIt

from airflow_provider_123pan.hooks.pan123 import Pan123Hook
from tests.support import approve, run

ROOT = Path(__file__).parents[3]
PACKAGE = ROOT / "airflow_provider_123pan"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
#: A directory ID that the pages use as an example; it becomes that of a directory in the sandbox.
EXAMPLE_DIRECTORY_ID = "yk6baz03t0l000d7w33fbyq51l4izkne"


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        """Return the place of the block, which pytest shows."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def _blocks(page: Path) -> Iterator[Block]:
    for token in MarkdownIt("commonmark").parse(page.read_text(encoding="utf-8")):
        if token.type == "fence" and token.map:
            yield Block(page, token.map[0] + 1, token.info.strip(), token.content)


BLOCKS = [block for page in PAGES for block in _blocks(page)]


def blocks_of(path: str, containing: str) -> list[Block]:
    """Return the blocks of a page that contain a string.

    :param path: the page, from the root of the repository.
    """
    return [block for block in BLOCKS if block.page == ROOT / path and containing in block.text]


def in_language(*languages: str, where: Callable[[Block], bool] = lambda _: True) -> Any:
    """Parametrize a test with the blocks in these languages that meet the condition."""
    found = [block for block in BLOCKS if block.language in languages and where(block)]
    assert found
    return pytest.mark.parametrize("block", found, ids=str)


def example_result() -> dict[str, Any]:
    """Return the record that the reference shows."""
    (block,) = blocks_of("docs/reference/results.md", '"url"')
    record: dict[str, Any] = json.loads(block.text)
    return record


def is_test(block: Block) -> bool:
    """Return whether a block holds tests for pytest."""
    return "def test_" in block.text


def build(block: Block) -> list[DAG]:
    """Execute a block inside a DAG, and return the DAGs that it fills or defines."""
    text = block.text.replace("s3://", f"file://{Path.cwd()}/")
    if EXAMPLE_DIRECTORY_ID in text:
        text = text.replace(EXAMPLE_DIRECTORY_ID, Pan123Hook().make_directory("example").directory_id)
    tree = ast.parse(text, filename=str(block))
    for statement in tree.body:
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
            # The call of a DAG function returns the DAG; keep it for the test.
            kept = ast.Call(ast.Name("keep", ast.Load()), [statement.value], [])
            statement.value = ast.copy_location(kept, statement.value)
    made: list[Any] = []
    with DAG("documented") as dag:
        exec(compile(ast.fix_missing_locations(tree), str(block), "exec"), {"keep": made.append})
    return [found for found in [dag, *made] if isinstance(found, DAG) and found.tasks]


def run_all(dag: DAG, context: dict[str, Any]) -> dict[str, Any]:
    """Run the tasks of a DAG one after the other, as Airflow would, and return their results.

    A person approves whatever an ApprovalOperator asks.
    """
    results: dict[str, Any] = {}
    context["ti"].xcom_pull = results.__getitem__

    def resolved(value: Any) -> Any:
        if isinstance(value, XComArg):
            source, key = value.operator.task_id, value.key  # type: ignore[attr-defined]
            return results[source] if key == "return_value" else results[source][key]
        if isinstance(value, (list, tuple)):
            return type(value)(map(resolved, value))
        if isinstance(value, dict):
            return {key: resolved(item) for key, item in value.items()}
        return task.render_template(value, context)

    for task in dag.topological_sort():  # type: ignore[no-untyped-call]
        for name in task.template_fields:
            setattr(task, name, resolved(getattr(task, name)))
        if hasattr(task, "poke_interval"):
            task.poke_interval = 0.05
        results[task.task_id] = (approve if isinstance(task, ApprovalOperator) else run)(task, context)
    return results
