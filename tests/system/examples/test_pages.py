"""The example DAGs for pages run in a real Airflow: they write what was approved, once, and it can be undone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from airflow_provider_123pan.sync.results import read_results
from dev.cluster import Cluster
from dev.example_run import ExampleRun
from tests.system.canaries import signed
from tests.system.examples.inputs import Repository, blog_page, git, hugo_site, notes


def new_urls(run: ExampleRun, found: dict[str, Any]) -> list[str]:
    """Return the new URLs of a run's images, in the order of its source URLs."""
    new = {record.url: record.download_url for record in read_results(found["results"])}
    return [str(new[url]) for url in run.urls]


def counts(found: dict[str, Any], **others: Any) -> dict[str, Any]:
    """Return the values of these names that a migration of pages returned."""
    return {name: found[name] for name in others}


def files(folder: Path) -> dict[str, str]:
    """Return the text of each file below a folder by its name."""
    return {
        str(path.relative_to(folder)): path.read_bytes().decode()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_site_changes_on_a_branch_once_a_person_has_approved_the_plan(
    airflow: Cluster, example_hugo: ExampleRun, repository: Repository
) -> None:
    run, before, work = example_hugo, repository.head(), repository.folder / "work"
    run.succeed(submissions=2)
    planned = {"pages": 4, "pages_changed": 3, "images": 2, "missing": 2, "present": 0, "failed": 0}
    assert counts(run.xcom("plan"), **planned) == planned
    applied = {"pages": 4, "pages_changed": 3, "images": 2, "migrated": 2, "failed": 0, "unknown": {}}
    assert counts(run.xcom("apply"), **applied) == applied
    asked = run.approval()
    assert asked is not None
    assert asked["subject"] == "Change 3 pages of the site?"
    assert "- Pages that change: **3** of 4\n- Images to submit: **2**\n" in asked["body"]
    assert f"`{run.xcom('plan')['report']}`" in asked["body"]
    assert Path(run.xcom("plan")["report"]).exists()

    branch, main = repository.branches()
    assert (branch[:9], main, repository.head()) == ("images-20", "main", before)
    old, new = hugo_site(*run.urls), hugo_site(*new_urls(run, run.xcom("apply")))
    changed = ("content/posts/hills.md", "data/gallery.json", "hugo.toml")
    assert {name: new[name] for name in changed} != {name: old[name] for name in changed}
    assert repository.changed(branch) == {name: new[name] for name in changed}

    # After the merge, no approval is asked for.
    repository.merge(branch)
    run.start().succeed(submissions=2)
    assert run.states()["approve", -1] == run.states()["push", -1] == "skipped"
    assert repository.branches() == [branch, main]

    site = work / "site"
    assert git(site, "diff", "--name-only", before).split() == [*changed]
    airflow.cli("pan123", "undo", str(work / "journal"))
    assert git(site, "diff", before) == ""


def test_nothing_is_written_if_a_person_rejects_the_plan(
    example_hugo: ExampleRun, repository: Repository
) -> None:
    run = example_hugo
    run.wait()
    repository.commit({"content/posts/new.md": f"![]({signed(f'{run.host}/lagoon.webp')})\n"})
    branches, run.answer = repository.branches(), "Reject"
    run.start().succeed(submissions=2)
    assert run.xcom("plan")["missing"] == 1
    states = run.states()
    assert [states[task, -1] for task in ("approve", "apply", "push")] == ["success", "skipped", "skipped"]
    site = repository.folder / "work" / "site"
    assert git(site, "status", "--porcelain") == ""
    assert git(site, "rev-parse", "HEAD").strip() == repository.head()
    assert repository.branches() == branches


def test_notes_show_the_new_urls_and_a_second_run_changes_nothing(
    airflow: Cluster, example_notes: ExampleRun
) -> None:
    run, folder = example_notes, example_notes.folder / "notes"
    refused = f"{run.host}/photo.heic"
    run.succeed(submissions=2)
    first = {"pages": 3, "pages_changed": 2, "images": 3, "migrated": 2, "failed": 1, "unused": 0}
    found = run.xcom("migrate")
    assert counts(found, **first) == first
    assert found["journal"] == f"file://{run.folder}/journals/{run.day}"
    assert found["failures"][0]["url"] == refused
    old, new = notes(refused, *run.urls), notes(refused, *new_urls(run, found))
    for name in ("List.txt", ".obsidian/workspace.json"):
        new[name] = old[name]
    assert files(folder) == new != old

    written = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    run.start().succeed(submissions=2)
    second = {"pages": 3, "pages_changed": 0, "images": 1, "migrated": 0, "failed": 1, "unused": 0}
    assert counts(run.xcom("migrate"), **second) == second
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == written

    airflow.cli("pan123", "undo", found["journal"])
    assert files(folder) == old


def test_a_blog_is_planned_migrated_and_checked_and_a_second_run_finds_nothing_to_do(
    airflow: Cluster, example_blog: ExampleRun
) -> None:
    run, page = example_blog, example_blog.folder / "pages" / "page.md"
    run.succeed(submissions=1)
    planned = {"pages": 1, "pages_changed": 1, "images": 2, "missing": 2}
    assert counts(run.xcom("plan"), **planned) == planned
    migrated = {"pages_changed": 1, "migrated": 2, "failed": 0, "unknown": {}}
    found = run.xcom("migrate")
    assert counts(found, **migrated) == migrated
    fetched_by = {record.url: record.fetched_by for record in read_results(found["results"])}
    assert fetched_by == dict(zip(run.urls, ("service", "worker"), strict=True))
    assert page.read_text() == blog_page(*new_urls(run, found))
    healthy = {"images": 2, "healthy": 2, "failed": 0}
    assert counts(run.xcom("check"), **healthy) == healthy
    reports = ("plan.html", "migration.html", "check.html")
    assert all((run.folder / "work" / name).exists() for name in reports)

    run.start().succeed(submissions=1)
    assert [run.xcom(task)["images"] for task in ("plan", "migrate", "check")] == [0, 0, 0]

    airflow.cli("pan123", "undo", (run.folder / "work" / "journal").as_uri())
    assert page.read_text() == blog_page(*run.urls)
