"""A folder of pages moves to the sandbox: its images are synced, its pages are rewritten, and all can be undone."""

from __future__ import annotations

import json
import re
from argparse import Namespace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred

from airflow_provider_123pan.cli import undo as undo_command
from airflow_provider_123pan.exceptions import Pan123DownloadFailedError, Pan123PagesError
from airflow_provider_123pan.links import PagesReportLink
from airflow_provider_123pan.operators.migrate_pages import PAGES, Pan123MigratePagesOperator
from airflow_provider_123pan.pages import undo
from airflow_provider_123pan.rewriting import find_images
from airflow_provider_123pan.sandbox import Sandbox
from airflow_provider_123pan.sync.atomic_file import write_file
from airflow_provider_123pan.sync.results import read_results
from tests.support import resume, run, submitted

pytestmark = pytest.mark.usefixtures("connect")

URL = "https://example.com/{}.png"
KEYS = (
    *("pages", "pages_changed", "images", "migrated", "present", "failed", "unknown", "unused"),
    *("journal", "report"),
)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder of three pages that show four images, and a page without any."""
    folder = tmp_path / "site"
    (folder / "posts").mkdir(parents=True)
    (folder / "posts" / "a.md").write_bytes(f"![]({URL.format(1)})\r\n![]({URL.format(2)})\r\n".encode())
    (folder / "posts" / "b.html").write_bytes(f'<img src="{URL.format(2)}?a=1&amp;b=2">图'.encode("gbk"))
    (folder / "data.json").write_text(json.dumps({"cover": URL.format(3)}).replace("/", "\\/"))
    (folder / "c.txt").write_text("nothing")
    return folder


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def migrate(context: dict[str, Any], site: Path, **arguments: Any) -> dict[str, Any]:
    result: dict[str, Any] = run(operator(site, **arguments), context)
    return result


def operator(site: Path, **arguments: Any) -> Pan123MigratePagesOperator:
    given: dict[str, Any] = {"directory": "blog", "journal": str(site.parent / "journal"), "timeout": 60}
    return Pan123MigratePagesOperator(
        task_id="migrate", pages=str(site), **given | {"deferrable": False} | arguments
    )


def urls(folder: Path) -> set[str]:
    texts = (data.decode("utf-8", "surrogateescape") for data in tree(folder).values())
    return {image.url for text in texts for image in find_images(text)}


@pytest.mark.parametrize("deferrable", [False, True], ids=["worker", "triggerer"])
def test_images_move_and_pages_show_them(
    context: dict[str, Any], sandbox: Sandbox, site: Path, deferrable: bool
) -> None:
    sandbox.configure(delay=1.5)
    before = tree(site)
    result = migrate(context, site, deferrable=deferrable)
    assert {key: result[key] for key in KEYS[:8]} == {
        "pages": 4,
        "pages_changed": 3,
        "images": 4,
        "migrated": 4,
        "present": 0,
        "failed": 0,
        "unknown": {},
        "unused": 0,
    }
    new = {record.url: record.download_url for record in read_results(result["results"])}
    assert urls(site) == {*new.values()}
    assert (site / "posts" / "a.md").read_bytes() == (
        f"![]({new[URL.format(1)]})\r\n![]({new[URL.format(2)]})\r\n".encode()
    )
    assert (site / "posts" / "b.html").read_bytes().endswith('">图'.encode("gbk"))

    after = tree(site)
    second = migrate(context | {"ti": SimpleNamespace(**vars(context["ti"]) | {"run_id": "next"})}, site)
    assert (second["images"], second["pages_changed"], second["unknown"]) == (0, 0, {})
    assert tree(site) == after
    assert set(submitted(sandbox).values()) == {1}

    undo(result["journal"])
    assert tree(site) == before


def test_a_plan_reads_only(context: dict[str, Any], sandbox: Sandbox, site: Path) -> None:
    (site / "posts" / "d.md").write_text("![](https://mmbiz.qpic.cn/x/640) ![](https://other.example/4.png)")
    before = tree(site.parent)
    found = migrate(context, site, mode="plan", exclude_hosts=["other.example"], probe=False)
    assert {
        key: found[key] for key in ("pages", "pages_changed", "images", "missing", "present", "failed")
    } == {
        "pages": 5,
        "pages_changed": 3,
        "images": 5,
        "missing": 4,
        "present": 0,
        "failed": 1,
    }
    assert found["hosts"] == {"example.com": 4, "mmbiz.qpic.cn": 1}
    assert found["calls"] >= 4
    assert found["seconds"] == round(found["calls"] / found["requests_per_second"], 1)
    requests = sandbox.state()["counts"]["requests"]
    assert set(requests) <= {"/api/v1/access_token", "/api/v1/oss/file/list"}
    report = Path(found["report"])
    new = {str(path.relative_to(site.parent)) for path in (report, report.with_suffix(".json"))}
    assert tree(site.parent).keys() - before.keys() == new
    assert {name: data for name, data in tree(site.parent).items() if name not in new} == before

    stored = json.loads(report.with_suffix(".json").read_text())
    diffs = {each["page"]: each["diff"] for each in stored["diffs"]}
    assert set(diffs) == {"posts/a.md", "posts/b.html", "data.json"}
    assert re.fullmatch(
        r"--- a/posts/a.md\n\+\+\+ b/posts/a.md\n@@ -1,2 \+1,2 @@\n"
        r"-!\[\]\(https://example.com/1.png\)\n\+!\[\]\(https://123pan.example/1-\w{12}.png\)\n"
        r"-!\[\]\(https://example.com/2.png\)\n\+!\[\]\(https://123pan.example/2-\w{12}.png\)",
        diffs["posts/a.md"].removesuffix("\n "),
    )
    assert {each["url"]: each["reason"][:20] for each in stored["left"]} == {
        "https://mmbiz.qpic.cn/x/640": "file_name: the URL s",
        "https://other.example/4.png": "its host is not sele",
    }
    assert "123pan.example" in report.read_text()


def test_a_plan_counts_what_is_there(context: dict[str, Any], site: Path) -> None:
    pages = tree(site)
    migrate(context, site)
    undo(str(site.parent / "journal"))
    assert tree(site) == pages
    found = migrate(context, site, mode="plan")
    assert (found["present"], found["missing"]) == (4, 0)


def test_failed_images_stay_and_the_others_are_replaced(
    context: dict[str, Any], sandbox: Sandbox, site: Path
) -> None:
    sandbox.configure(fail="3.png")
    (site / "bad.md").write_text("![](https://example.com/4.avif) ![](https://skipped.example/5.png)")
    with pytest.raises(Pan123DownloadFailedError, match="2 of 5 images failed"):
        migrate(context, site, hosts=["*example.com"])
    assert (site / "posts" / "a.md").read_text().count("example.com") == 0
    pushed = context["ti"].pushed
    assert (pushed["pages_changed"], pushed["migrated"], pushed["failed"]) == (2, 3, 2)
    assert pushed["unknown"].pop("its host is not selected") == 1
    assert sorted(pushed["unknown"].values()) == [1, 1]
    assert any("123pan takes no .avif" in reason for reason in pushed["unknown"])
    assert not context["outlet_events"][PAGES].asset_alias_events


def test_own_images_stay(context: dict[str, Any], sandbox: Sandbox, site: Path) -> None:
    migrate(context, site)
    own = next(iter(urls(site)))
    (site / "e.md").write_text(f"![]({own}) ![](https://vip.123pan.cn/1/x.png) ![]({URL.format(9)})")
    result = migrate(context, site)
    assert (result["images"], result["unknown"]) == (1, {})
    assert submitted(sandbox)[URL.format(9)] == 1
    assert not any("vip.123pan.cn" in url or url == own for url in submitted(sandbox))


def test_pages_with_other_signatures_of_one_image_show_the_new_url(
    context: dict[str, Any], sandbox: Sandbox, site: Path
) -> None:
    signed = "https://example.com/i.png?X-Amz-Date={0}&X-Amz-Signature={0}"
    for page in ("posts/a.md", "posts/c.md", "posts/d.md"):
        (site / page).write_text(f"![]({signed.format(page[6])})")
    result = migrate(context, site, include=["posts/*.md"])
    assert (result["images"], result["pages_changed"], result["unknown"]) == (1, 3, {})
    assert sum(submitted(sandbox).values()) == 1
    (record,) = read_results(result["results"])
    for page in ("posts/a.md", "posts/c.md", "posts/d.md"):
        assert (site / page).read_text() == f"![]({record.download_url})"


def test_an_asset_event_names_the_folder(context: dict[str, Any], site: Path) -> None:
    migrate(context, site)
    (event,) = context["outlet_events"][PAGES].asset_alias_events
    assert event.dest_asset_key.uri == f"file://{site}"
    assert event.extra == {
        "pages": 4,
        "pages_changed": 3,
        "migrated": 4,
        "present": 0,
        "suspect": 0,
        "failed": 0,
    }


def test_the_pages_may_change_while_the_task_waits(
    context: dict[str, Any], sandbox: Sandbox, site: Path
) -> None:
    sandbox.configure(delay=1.5)
    task = operator(site, deferrable=True)
    with pytest.raises(TaskDeferred) as deferred:
        task.execute(context)
    (site / "data.json").unlink()
    (site / "new.md").write_text(f"![]({URL.format(7)})")
    result, waiting = None, deferred.value
    while result is None:
        try:
            result = resume(operator(site, deferrable=True), waiting, context)
        except TaskDeferred as again:
            waiting = again
    assert (result["migrated"], result["unused"]) == (4, 1)
    assert result["unknown"] == {"it came into the page after the images were listed": 1}


def test_a_missing_list_is_made_again(context: dict[str, Any], sandbox: Sandbox, site: Path) -> None:
    sandbox.configure(delay=1.5)
    with pytest.raises(TaskDeferred) as deferred:
        operator(site, deferrable=True).execute(context)
    for path in (site.parent / "journal").glob("images-*"):
        path.unlink()
    result, waiting = None, deferred.value
    while result is None:
        try:
            result = resume(operator(site, deferrable=True), waiting, context)
        except TaskDeferred as again:
            waiting = again
    assert (result["migrated"] + result["present"], result["pages_changed"]) == (4, 3)
    assert set(submitted(sandbox).values()) == {1}


def test_a_storage_that_fails_fails_the_task_after_the_other_pages(
    context: dict[str, Any], site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail_once(path: Any, *arguments: Any) -> None:
        if path.name == "a.md":
            raise PermissionError("read-only")
        write_file(path, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr("airflow_provider_123pan.pages.rewriter.write_file", fail_once)
        with pytest.raises(Pan123PagesError, match="posts/a.md: PermissionError: read-only"):
            migrate(context, site)
    assert b"example.com" not in (site / "posts" / "b.html").read_bytes()
    result = migrate(context, site)
    assert (result["pages_changed"], result["images"]) == (3, 4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mode": "try"}, "mode: 'try' is neither"),
        ({"include": "*.md"}, "include: give a list"),
        ({"hosts": "example.com"}, "hosts: give a list"),
        ({"include": ["*.vue"]}, "has no pages; check include and exclude"),
        ({"report": "report.pdf"}, "report: 'report.pdf' must end with .html"),
        ({"encoding": "klingon"}, "encoding: Python knows none"),
        ({"mode": "plan", "include": ["*.vue"]}, "has no pages"),
        ({"pages": "/nowhere"}, "pages: there is no folder or file"),
    ],
)
def test_wrong_arguments_fail_at_once(
    context: dict[str, Any], sandbox: Sandbox, site: Path, arguments: dict[str, Any], message: str
) -> None:
    task = operator(site, **{key: value for key, value in arguments.items() if key != "pages"})
    task.pages = arguments.get("pages", task.pages)
    with pytest.raises(AirflowFailException, match=message):
        run(task, context)
    assert not submitted(sandbox)


def test_images_cannot_be_given() -> None:
    with pytest.raises(TypeError, match="manifest: the images come from the pages"):
        Pan123MigratePagesOperator(task_id="a", pages="a", journal="b", manifest="c")


def test_the_command_undoes_and_names_what_is_left(
    context: dict[str, Any], site: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "server")
    before = tree(site)
    journal = migrate(context, site)["journal"]
    edited = (site / "data.json").read_bytes() + b" "
    (site / "data.json").write_bytes(edited)
    with pytest.raises(SystemExit, match="1"):
        undo_command(Namespace(journal=journal, verbose=False))
    assert tree(site) == before | {"data.json": edited}
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2:] == [
        f"left: {site}/data.json: it was edited since",
        "pages restored: 2, already restored: 0, left: 1",
    ]
    with pytest.raises(SystemExit, match="holds no journal"):
        undo_command(Namespace(journal=str(site), verbose=False))


@pytest.mark.parametrize(
    ("report", "link"),
    [("https://x.example/a.html", "https://x.example/a.html"), ("s3://b/a.html", ""), (None, "")],
)
def test_the_report_is_linked_where_a_browser_can_open_it(
    monkeypatch: pytest.MonkeyPatch, report: str | None, link: str
) -> None:
    monkeypatch.setattr("airflow.sdk.execution_time.xcom.XCom.get_value", lambda **_: report)
    found, _ = Pan123MigratePagesOperator(task_id="a", pages="a", journal="b").operator_extra_links
    assert isinstance(found, PagesReportLink)
    assert found.get_link(None, ti_key=None) == link  # type: ignore[arg-type]
