"""The example DAGs for syncs run in a real Airflow: missing images arrive, and a second run submits nothing."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import requests

from airflow_provider_123pan.sandbox import Sandbox
from airflow_provider_123pan.sync.result_record import ResultRecord
from airflow_provider_123pan.sync.results import read_results
from dev.cluster import Cluster
from dev.example_run import ExampleRun
from tests.system.canaries import source_name
from tests.system.examples.wordpress import php_string, posts


def file_names(sandbox: Sandbox, directory_id: str) -> list[str]:
    """Return the names of a directory's images in alphabetical order."""
    return sorted(
        file["filename"] for file in sandbox.state()["files"] if file["parentFileId"] == directory_id
    )


def directory_name(sandbox: Sandbox, directory_id: str) -> str:
    """Return the name of a directory that holds at least one image."""
    (name,) = {
        file["parentFilename"] for file in sandbox.state()["files"] if file["parentFileId"] == directory_id
    }
    return str(name)


def check_results(path: Path, expected: dict[str, bytes], status: str | None = None) -> list[ResultRecord]:
    """Check a results file and return its records.

    :param expected: the content of each image by its source URL; each has one record.
    :param status: the status of every record, or None for any.
    """
    records = list(read_results(f"file://{path}"))
    assert sorted(record.url for record in records) == sorted(expected)
    for record in records:
        assert status in (None, record.status)
        assert record.download_url is not None
        assert requests.get(record.download_url, timeout=10).content == expected[record.url]
    return records


def counts(total: int, **others: int) -> dict[str, int]:
    """Return the counts that a sync reports; those not given are 0."""
    return {"total": total, "present": 0, "migrated": 0, "suspect": 0, "failed": 0} | others


def reported_counts(found: dict[str, Any]) -> dict[str, int]:
    """Return only the counts of a sync's XCom."""
    return {key: found[key] for key in counts(0)}


def test_the_images_of_a_sitemap_arrive_once(example_sitemap: ExampleRun, sandbox: Sandbox) -> None:
    run = example_sitemap
    run.succeed(submissions=3)
    found = run.xcom()
    assert reported_counts(found) == counts(3, migrated=3)
    assert directory_name(sandbox, found["directory_id"]) == "website"
    results = run.folder / "results" / f"{run.day}.jsonl"
    assert found["results"] == f"file://{results}"
    records = check_results(results, run.urls, "migrated")
    assert file_names(sandbox, found["directory_id"]) == sorted(str(record.file_name) for record in records)
    assert run.asset_events("website") == [counts(3, migrated=3)]

    run.start().succeed(submissions=3)
    assert reported_counts(run.xcom()) == counts(3, present=3)
    check_results(run.folder / "results" / f"{run.day}.jsonl", run.urls, "present")
    assert run.asset_events("website") == [counts(3, present=3)]


def test_new_images_of_a_bucket_arrive_in_the_next_run(
    example_bucket: ExampleRun, sandbox: Sandbox, pictures: dict[str, bytes]
) -> None:
    run = example_bucket
    run.succeed(submissions=2)
    assert run.xcom()["results"] == f"file://{bucket_results(run)}"
    check_results(bucket_results(run), run.urls, "migrated")
    assert directory_name(sandbox, run.xcom()["directory_id"]) == "bucket"

    run.add("2026/ember.jpeg", pictures["ember.jpeg"])
    run.start().succeed(submissions=3)
    found = run.xcom()
    assert reported_counts(found) == counts(3, present=2, migrated=1)
    assert len(file_names(sandbox, found["directory_id"])) == 3
    check_results(bucket_results(run), run.urls)

    run.start().succeed(submissions=3)
    check_results(bucket_results(run), run.urls, "present")


def bucket_results(run: ExampleRun) -> Path:
    """Return the results file of the latest run, which is named after its day."""
    return run.folder / "work" / f"{run.day}-results.jsonl"


def test_the_worker_fetches_the_image_that_wants_a_referer(
    example_hotlinks: ExampleRun, sandbox: Sandbox
) -> None:
    run, (everyones, guarded) = example_hotlinks, example_hotlinks.urls
    run.succeed(submissions=2)
    assert reported_counts(run.xcom()) == counts(2, migrated=2)
    records = check_results(run.folder / "results.jsonl", run.urls, "migrated")
    assert {record.url: record.fetched_by for record in records} == {everyones: "service", guarded: "worker"}
    assert directory_name(sandbox, run.xcom()["directory_id"]) == "articles"

    run.start().succeed(submissions=2)
    check_results(run.folder / "results.jsonl", run.urls, "present")


def test_each_partition_has_its_own_directory_and_results(
    example_partitions: ExampleRun, sandbox: Sandbox
) -> None:
    run = example_partitions
    for status in ("migrated", "present"):
        run.succeed(submissions=3)
        for index, (partition, names) in enumerate(
            {"2025": ["canyon.jpg", "fjord.webp"], "2026": ["aurora.png"]}.items()
        ):
            expected = counts(len(names), **{status: len(names)})
            found = run.xcom(map_index=index)
            assert reported_counts(found) == expected
            assert directory_name(sandbox, found["directory_id"]) == partition
            assert file_names(sandbox, found["directory_id"]) == sorted(f"old-{name}" for name in names)
            urls = {url: content for url, content in run.urls.items() if source_name(url) in names}
            check_results(run.folder / "results" / f"{partition}.csv", urls, status)
            assert run.asset_events(f"archive/{partition}") == [expected]
        if status == "migrated":
            run.start()


def test_pages_show_the_new_urls_and_a_second_run_changes_nothing(example_rewrite: ExampleRun) -> None:
    run, pages = example_rewrite, example_rewrite.folder / "pages"
    run.succeed(submissions=2)
    new = {
        record.url: record.download_url
        for record in check_results(run.folder / "results.jsonl", run.urls, "migrated")
    }
    assert sorted(run.xcom("rewrite_pages")) == [
        f"file://{pages}/{name}" for name in ("blog/2026/post.html", "index.md")
    ]
    first, second = run.urls
    expected = {
        "index.md": f"# Bilder\r\n![a]({new[first]})\r\n"
        f"[![b]({new[second]} 'b')]({first}.html)，{new[first]}。\r\n",
        "blog/2026/post.html": f'<img src="{new[second]}" srcset="{new[first]} 1x, {second}?w=2 2x">',
        "notes.txt": first,
        "about.md": "没有图片",
    }
    assert {name: (pages / name).read_bytes().decode() for name in expected} == expected

    run.start().succeed(submissions=2)
    assert run.xcom("rewrite_pages") == []
    assert {name: (pages / name).read_bytes().decode() for name in expected} == expected


def test_rows_of_a_database_show_the_new_urls_and_are_restored(
    airflow: Cluster, example_database: ExampleRun
) -> None:
    run, database = example_database, example_database.folder / "wordpress.db"
    results = run.folder / f"{run.day}-results.jsonl"
    run.succeed(submissions=2)
    stored = {record.url: str(record.download_url) for record in check_results(results, run.urls, "migrated")}
    new = [stored[url] for url in run.urls]
    plan = run.xcom("plan")
    assert (plan["images"], plan["unreadable_images"]) == ({run.host.partition("//")[2]: 2}, 0)
    assert run.xcom("rewrite_rows") == {"changed": 2, "edited": []}
    assert texts_of(database) == [*posts(*new), php_string(new[0])]

    run.start().succeed(submissions=2)
    assert run.xcom("plan")["images"] == {}
    assert run.xcom("rewrite_rows") == {"changed": 0, "edited": []}

    undo = "example_pan123_database_undo"
    run_id = airflow.api.trigger(undo)
    assert airflow.api.wait_for_run(undo, run_id) == "success"
    assert airflow.api.xcom(undo, run_id, "undo_rows") == {"restored": 2, "edited": []}
    assert texts_of(database) == [*posts(*run.urls), php_string(next(iter(run.urls)))]


def texts_of(path: Path) -> list[str]:
    """Return the texts of the posts, and then of their metadata."""
    with closing(sqlite3.connect(path)) as database:
        texts = "SELECT post_content FROM wp_posts UNION ALL SELECT meta_value FROM wp_postmeta"
        return [text for (text,) in database.execute(texts)]
