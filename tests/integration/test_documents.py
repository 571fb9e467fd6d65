"""The documentation is correct: its code runs, its commands and files exist, and its lists are complete."""

from __future__ import annotations

import argparse
import ast
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import DAG, XComArg
from airflow.sdk.definitions.mappedoperator import MappedOperator
from markdown_it import MarkdownIt
from sqlalchemy.engine import make_url

from airflow_provider_123pan.cli import get_pan123_cli_commands
from airflow_provider_123pan.get_provider_info import get_provider_info
from airflow_provider_123pan.hooks.pan123 import Pan123Hook
from airflow_provider_123pan.pages import undo
from airflow_provider_123pan.sandbox import Sandbox
from airflow_provider_123pan.sandbox.__main__ import parser as sandbox_parser
from airflow_provider_123pan.sandbox.images import tiny
from airflow_provider_123pan.source.documents import Documents
from tests.support import approve, run

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "airflow_provider_123pan"
MAX_README_LINES = 130
MAX_DAG_LINES = 10  # of the README's migration of pages
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
ARCHITECTURE = ROOT / "docs" / "explanation" / "architecture.md"
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


def in_language(*languages: str, where: Callable[[Block], bool] = lambda _: True) -> Any:
    """Parametrize a test with the blocks in these languages that meet the condition."""
    found = [block for block in BLOCKS if block.language in languages and where(block)]
    assert found
    return pytest.mark.parametrize("block", found, ids=str)


def example_result() -> dict[str, Any]:
    """Return the record that the reference shows."""
    (block,) = (block for block in BLOCKS if block.page.name == "results.md" and block.language == "json")
    record: dict[str, Any] = json.loads(block.text)
    return record


def is_test(block: Block) -> bool:
    """Return whether a block holds tests for pytest."""
    return "def test_" in block.text


# --- Python --------------------------------------------------------------------------------------------------


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a folder with all files that the pages mention the current directory, and answer for their websites."""
    bucket = tmp_path / "my-bucket"
    (bucket / "results").mkdir(parents=True)
    (bucket / "logo.png").write_bytes(tiny("logo").content)
    (bucket / "images.csv").write_text("url\nhttps://example.com/cat.jpg\nhttps://example.com/dog.png\n")
    record = example_result() | {"download_url": "https://vip.123pan.cn/1/cat.jpg"}
    (bucket / "results" / "2026-11-24.jsonl").write_text(json.dumps(record) + "\n")
    (bucket / "results" / "photos.jsonl").write_text("")
    (tmp_path / "reports").mkdir()
    failure = {"url": record["url"], "image_url": "https://vip.123pan.cn/1/gone.jpg"}
    (tmp_path / "reports" / "latest.jsonl").write_text(json.dumps(failure) + "\n")
    (tmp_path / "reports" / "again.jsonl").write_text(json.dumps(record) + "\n")
    (bucket / "site").mkdir()
    (bucket / "site" / "page.md").write_text("![A dog](https://example.com/dog.png)\n")
    (bucket / "journals" / "2026-11-26").mkdir(parents=True)
    (bucket / "photos").mkdir()
    (bucket / "photos" / "cat.jpg").write_bytes(tiny("cat").content)
    segment = "rewritten-20261126T010203.000004Z-0123456789ab.jsonl"
    (bucket / "journals" / "2026-11-26" / segment).write_text('{"version": 1, "pages": "/site"}\n')
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "page.md").write_text("![A cat](https://example.com/cat.jpg)\n")
    sitemap = b"<urlset><url><image:image><image:loc>https://example.com/cat.jpg</image:loc></image:image></url></urlset>"
    monkeypatch.setattr(Documents, "read", lambda self, url: iter([sitemap]))
    login = {"conn_type": "http", "login": "reader", "password": "wiki-password"}
    monkeypatch.setenv("AIRFLOW_CONN_WIKI_HTTP", json.dumps(login))
    monkeypatch.chdir(tmp_path)
    return tmp_path


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
    context["var"] = {"value": {"forum_cookie": "session-0123456789"}}
    payload = json.loads((ROOT / "tests/golden/expected/arrival_event.json").read_text())
    event = argparse.Namespace(extra={"from_trigger": True, "payload": payload})
    context["triggering_asset_events"] = defaultdict(lambda: [event])
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
    (block,) = (
        block for block in BLOCKS if block.page.name == "quickstart.md" and block.language == "python"
    )
    (dag,) = build(block)
    found = run_all(dag, context)["move"]
    (stored,) = sandbox.state()["files"]
    assert found["download_url"] == stored["downloadURL"]


def test_the_readme_plans_asks_and_then_rewrites_the_pages(
    workspace: Path, sandbox: Sandbox, connect: Callable[..., None], context: dict[str, Any]
) -> None:
    (block,) = (
        block for block in BLOCKS if block.page.name == "README.md" and "ApprovalOperator" in block.text
    )
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
    (block,) = (
        block for block in BLOCKS if block.page.name == "rewrite-pages.md" and "new_addresses" in block.text
    )
    build(block)
    assert (workspace / "site" / "page.md").read_text() == "![A cat](https://vip.123pan.cn/1/cat.jpg)\n"


def test_the_guide_to_checks_replaces_the_url_of_a_gone_image(workspace: Path) -> None:
    (block,) = (
        block for block in BLOCKS if block.page.name == "check-images.md" and "new_addresses" in block.text
    )
    (workspace / "site" / "page.md").write_text("![A cat](https://vip.123pan.cn/1/gone.jpg)\n")
    build(block)
    assert (workspace / "site" / "page.md").read_text() == "![A cat](https://vip.123pan.cn/1/cat.jpg)\n"


def test_the_test_that_a_guide_shows_passes(tmp_path: Path) -> None:
    """The DAG and the test of the guide run in a new Airflow home."""
    guide = [block for block in BLOCKS if block.page.name == "test-your-dags.md"]
    (dag,) = (block for block in guide if "def cats" in block.text)
    (test,) = (block for block in guide if is_test(block))
    dags = tmp_path / "dags"
    dags.mkdir()
    (dags / "cats.py").write_text(dag.text)
    (dags / "test_cats.py").write_text(test.text)
    environment = os.environ | {
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "PYTHONPATH": str(ROOT),
    }
    for module, *arguments in (
        ("airflow", "db", "migrate"),
        ("pytest", "-q", "-p", "no:cacheprovider", f"--rootdir={dags}", str(dags)),
    ):
        done = subprocess.run(
            [sys.executable, "-m", module, *arguments],
            cwd=dags,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout


# -- JSON, shell, nginx ---------------------------------------------------------------------------------------


@in_language("json")
def test_a_json_block_parses(block: Block) -> None:
    assert json.loads(block.text)


def commands(block: Block) -> Iterator[list[str]]:
    """Yield the commands of a shell block as lists of words."""
    lexer = shlex.shlex(re.sub(r"(?m)(^|\s)#.*$", "", block.text), posix=True, punctuation_chars="&\n")
    lexer.whitespace = " \t"
    lexer.whitespace_split = True
    lexer.commenters = ""
    command: list[str] = []
    for word in [*lexer, "\n"]:
        if set(word) <= {"&", "\n"}:
            if command:
                yield command
            command = []
        else:
            command.append(word)


def _make_targets() -> set[str]:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    return set(re.findall(r"(?m)^([a-z][a-z-]*):", text))


def check_make(words: list[str]) -> None:
    """Check the targets and variables of a `make` command."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    for word in words:
        name, is_variable, _ = word.partition("=")
        if is_variable:
            assert f"$({name})" in text or f"$(if $({name})" in text, f"the Makefile does not use {name}"
        else:
            assert name in _make_targets(), f"there is no target {name}"


def check_airflow(words: list[str]) -> None:
    """Check the arguments of an `airflow` command."""
    (group,) = get_pan123_cli_commands()
    parser = argparse.ArgumentParser(exit_on_error=False)
    commands = parser.add_subparsers(required=True).add_parser(group.name).add_subparsers(required=True)
    for command in group.subcommands:  # type: ignore[union-attr]
        options = commands.add_parser(command.name)
        for option in command.args:  # type: ignore[union-attr]
            option.add_to_parser(options)
    parser.parse_args(words)


def check_python(words: list[str]) -> None:
    """Check the options of a command that starts the sandbox."""
    assert words[:2] == ["-m", "airflow_provider_123pan.sandbox"]
    Sandbox(**vars(sandbox_parser().parse_args(words[2:])))


def check_pip(words: list[str]) -> None:
    """Check the package and the extras of a `pip install` command."""
    assert words[0] == "install"
    assert words[1].startswith("airflow-provider-123pan")
    assert set(re.findall(r"\[(.*)\]", words[1])) <= {"sandbox"}


def check_export(words: list[str]) -> None:
    """Check a connection or an option that is set as an environment variable."""
    (assignment,) = words
    name, _, value = assignment.partition("=")
    if name.startswith("AIRFLOW_CONN_"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(name, value)
            assert Pan123Hook(name.removeprefix("AIRFLOW_CONN_").lower()).settings.client_id
        return
    option = name.removeprefix("AIRFLOW__PAN123__").lower()
    assert option in get_provider_info()["config"]["pan123"]["options"]  # type: ignore[index]
    if option == "inbox_uri":
        assert make_url(value).database


CHECKS: dict[str, Callable[[list[str]], None]] = {
    "make": check_make,
    "airflow": check_airflow,
    "python": check_python,
    "pip": check_pip,
    "export": check_export,
    "git": lambda words: None,
    "cd": lambda words: None,
}


@in_language("bash")
def test_the_commands_of_a_shell_block_exist(block: Block) -> None:
    found = list(commands(block))
    assert found
    for program, *words in found:
        CHECKS[program](words)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_make_targets_in_the_text_exist(page: Path) -> None:
    used = set(re.findall(r"`make ([a-z-]+)", page.read_text(encoding="utf-8")))
    assert used <= _make_targets()


@in_language("nginx")
def test_nginx_accepts_its_configuration(block: Block, tmp_path: Path) -> None:
    nginx = shutil.which("nginx")
    if nginx is None:
        pytest.skip("nginx is not installed")
    # nginx resolves the names of its upstreams when it checks its configuration.
    text = re.sub(r"http://[a-z-]+:", "http://127.0.0.1:", block.text)
    # The default directories for temporary files may be missing or not writable.
    directories = "".join(
        f"{name}_temp_path {tmp_path}/{name};\n"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    configuration = tmp_path / "nginx.conf"
    configuration.write_text(
        f"pid {tmp_path}/nginx.pid; error_log {tmp_path}/error.log; events {{}}\n"
        f"http {{ access_log off;\n{directories} server {{ listen 127.0.0.1:8080;\n{text}\n}} }}\n"
    )
    done = subprocess.run(
        [nginx, "-t", "-p", str(tmp_path), "-c", str(configuration)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


# -- links and lists ------------------------------------------------------------------------------------------


def _links(page: Path) -> Iterator[str]:
    for token in MarkdownIt("commonmark").enable("table").parse(page.read_text(encoding="utf-8")):
        for child in token.children or ():
            target = child.attrs.get("href") or child.attrs.get("src")
            if target:
                yield str(target)


def _anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub and Sphinx generate for a page's headings."""
    tokens = MarkdownIt("commonmark").parse(page.read_text(encoding="utf-8"))
    headings = [token.content for before, token in pairwise(tokens) if before.type == "heading_open"]
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_relative_links_lead_somewhere(page: Path) -> None:
    for link in _links(page):
        path, _, anchor = link.partition("#")
        if re.match(r"[a-z]+:", path):
            continue
        target = (page.parent / unquote(path)).resolve() if path else page
        assert target.exists(), link
        if anchor:
            assert anchor in _anchors(target), link


@pytest.mark.parametrize("example", sorted((ROOT / "example_dags").glob("*.py")), ids=lambda path: path.stem)
def test_a_guide_links_every_example_dag(example: Path) -> None:
    guides = (ROOT / "docs" / "howto").glob("*.md")
    assert any(link.endswith(f"/{example.name}") for guide in guides for link in _links(guide))


def test_the_readme_is_short() -> None:
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= MAX_README_LINES


def test_the_map_of_the_architecture_lists_every_file_once() -> None:
    text = ARCHITECTURE.read_text(encoding="utf-8")
    listed = re.findall(r"(?m)^\| `([\w/]+\.py)` \|", text)
    existing = [
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        if path.name != "__init__.py" and "__pycache__" not in path.parts
    ]
    assert sorted(listed) == sorted(existing)


@pytest.mark.parametrize("page", [ARCHITECTURE, ROOT / "CONTRIBUTING.md"], ids=lambda page: page.name)
def test_files_that_a_page_names_exist(page: Path) -> None:
    named = set(re.findall(r"`((?:\w+/)*\w+\.py)`", page.read_text(encoding="utf-8")))
    assert named
    assert {name for name in named if not ((PACKAGE / name).exists() or (ROOT / name).exists())} == set()


def test_constants_that_the_architecture_names_are_in_the_files_of_their_row() -> None:
    rows = [line for line in ARCHITECTURE.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    named = [(row, name) for row in rows for name in re.findall(r"`([A-Z]+(?:_[A-Z]+)+)`", row)]
    assert named
    for row, name in named:
        files = re.findall(r"`([\w/]+\.py)`", row)
        code = "".join((PACKAGE / file).read_text(encoding="utf-8") for file in files)
        assert re.search(rf"(?m)^{name}\b", code), row


def test_the_reference_lists_every_field_of_a_result(
    workspace: Path, sandbox: Sandbox, connect: Callable[..., None], context: dict[str, Any]
) -> None:
    context["dag_run"] = argparse.Namespace(run_after=datetime(2026, 11, 25, tzinfo=timezone.utc))
    (block,) = (block for block in BLOCKS if block.page.name == "README.md" and "results=" in block.text)
    (dag,) = build(block)
    written = Path(run_all(dag, context)["sync"]["results"].removeprefix("file://"))
    fields = list(json.loads(written.read_text().splitlines()[0]))
    text = (ROOT / "docs" / "reference" / "results.md").read_text(encoding="utf-8")
    table = text.split("| Field |")[1].split("\n\n")[0]
    assert re.findall(r"(?m)^\| `(\w+)` \|", table) == fields
    assert list(example_result()) == fields


@pytest.mark.parametrize(
    "name", ["pan123.deliveries", "pan123.polls.open", "pan123.sync.images"], ids=lambda name: name
)
def test_the_reference_names_metrics_as_the_code_does(name: str) -> None:
    text = (ROOT / "docs" / "reference" / "metrics.md").read_text(encoding="utf-8")
    code = "".join(path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py"))
    assert f"`{name}" in text
    assert name in code
