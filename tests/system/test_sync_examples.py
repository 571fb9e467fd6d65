"""The examples of the batch run in a real Airflow: what is missing arrives, and a second run submits nothing."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests

from airflow_provider_123pan.sandbox import Sandbox
from airflow_provider_123pan.sync.inventory import ResultRecord
from airflow_provider_123pan.sync.results import read_results
from dev import images
from dev.cluster import Cluster
from dev.waiting import wait_for

SITEMAP = """<?xml version="1.0" encoding="UTF-8"?>
<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"
        xmlns:image="http://www.google.com/schemas/sitemap-image/1.1">
{pages}
</urlset>
"""
PAGE = "<url><loc>{url}.html</loc><image:image><image:loc> {url} </image:loc></image:image></url>"


@pytest.fixture
def files(pictures: dict[str, bytes]) -> dict[str, bytes]:
    """What a host of the test's own hands out; a test may add to it."""
    return dict(pictures)


@pytest.fixture
def host(files: dict[str, bytes]) -> Iterator[str]:
    with images.serve(files) as base_url:
        yield base_url


class Example:
    """A DAG's runs, and what the sandbox sees of them."""

    def __init__(self, airflow: Cluster, sandbox: Sandbox, dag_id: str, conf: dict[str, Any]) -> None:
        self.airflow, self.api, self.sandbox, self.dag_id, self.conf = (
            airflow,
            airflow.api,
            sandbox,
            dag_id,
            conf,
        )
        self.run_id = ""

    def end_schedule(self) -> None:
        """The schedule's run, which begins when a DAG is unpaused, has the default parameters and stands in the way."""
        path = f"/dags/{self.dag_id}"
        self.api.call("PATCH", path, json={"is_paused": False})
        (run,) = wait_for(
            lambda: self.api.call("GET", f"{path}/dagRuns")["dag_runs"], what="the schedule's run", timeout=60
        )
        self.api.call("PATCH", f"{path}/dagRuns/{run['dag_run_id']}", json={"state": "failed"})

    def run(self, *, submits: int) -> None:
        """To success, with so many submissions."""
        before = self.sandbox.state()["counts"]["submissions"]
        self.run_id = self.api.trigger(self.dag_id, self.conf)
        state = self.api.wait_for_run(self.dag_id, self.run_id)
        assert state == "success", self.api.states(self.dag_id, self.run_id)
        assert self.sandbox.state()["counts"]["submissions"] - before == submits

    @property
    def day(self) -> str:
        return str(self.api.run(self.dag_id, self.run_id)["run_after"][:10])

    def returned(self, task_id: str = "sync", map_index: int = -1) -> Any:
        return self.api.xcom(self.dag_id, self.run_id, task_id, map_index=map_index)

    def announced(self, directory: str) -> list[dict[str, Any]]:
        """The extras of the directory's asset events in this run."""
        uri = f"pan123://pan123_default/{directory}"
        found = self.api.call(
            "GET", "/assets/events", params={"source_dag_id": self.dag_id, "source_run_id": self.run_id}
        )["asset_events"]
        return [event["extra"] for event in found if event["uri"] == uri]


def names_in(sandbox: Sandbox, directory_id: str) -> list[str]:
    return sorted(
        each["filename"] for each in sandbox.state()["files"] if each["parentFileId"] == directory_id
    )


def directory_name(sandbox: Sandbox, directory_id: str) -> str:
    (name,) = {
        each["parentFilename"] for each in sandbox.state()["files"] if each["parentFileId"] == directory_id
    }
    return str(name)


def arrived(path: Path, expected: dict[str, bytes], status: str) -> list[ResultRecord]:
    """The records of a results file: one for each address, whose new address gives the same bytes."""
    records = list(read_results(f"file://{path}"))
    assert sorted(record.url for record in records) == sorted(expected)
    for record in records:
        assert record.status == status
        assert record.download_url is not None
        assert requests.get(record.download_url, timeout=10).content == expected[record.url]
    return records


def counts(total: int, **others: int) -> dict[str, int]:
    return {"total": total, "present": 0, "migrated": 0, "failed": 0} | others


def test_sitemap(
    airflow: Cluster, sandbox: Sandbox, host: str, files: dict[str, bytes], tmp_path: Path
) -> None:
    names = ["sunrise.png", "meadow.jpg", "hills.svg"]
    urls = {f"{host}/{name}": files[name] for name in names}
    pages = [PAGE.format(url=url) for url in [*urls, f"{host}/{names[0]}"]]  # one image is on two pages
    files["sitemap.xml"] = SITEMAP.format(pages="\n".join(pages)).encode()
    conf = {"sitemap": f"{host}/sitemap.xml", "results": f"file://{tmp_path}/results"}
    example = Example(airflow, sandbox, "example_pan123_sync_sitemap", conf)
    example.end_schedule()

    example.run(submits=3)
    found = example.returned()
    assert {key: found[key] for key in counts(3)} == counts(3, migrated=3)
    assert directory_name(sandbox, found["directory_id"]) == "website"
    results = tmp_path / "results" / f"{example.day}.jsonl"
    assert found["results"] == f"file://{results}"
    records = arrived(results, urls, "migrated")
    assert names_in(sandbox, found["directory_id"]) == sorted(record.file_name for record in records)
    assert example.announced("website") == [counts(3, migrated=3)]

    example.run(submits=0)
    assert {key: example.returned()[key] for key in counts(3)} == counts(3, present=3)
    arrived(results, urls, "present")
    assert example.announced("website") == [counts(3, present=3)]


def test_bucket(
    airflow: Cluster, sandbox: Sandbox, host: str, files: dict[str, bytes], tmp_path: Path
) -> None:
    bucket, work = tmp_path / "bucket", tmp_path / "work"
    work.mkdir()
    urls: dict[str, bytes] = {}

    def put(name: str, picture: str) -> None:
        path = bucket / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(files[picture])
        files[f"public/{quote(name)}"] = urls[f"{host}/public/{quote(name)}"] = files[picture]

    put("2025/lagoon.webp", "lagoon.webp")
    put("猫 1.PNG", "lavender.png")
    (bucket / "notes.txt").write_text("not an image")
    conf = {"bucket": f"file://{bucket}", "base_url": f"{host}/public/", "work": f"file://{work}"}
    example = Example(airflow, sandbox, "example_pan123_sync_bucket", conf)
    example.end_schedule()

    example.run(submits=2)
    results = work / f"{example.day}-results.jsonl"
    assert example.returned()["results"] == f"file://{results}"
    arrived(results, urls, "migrated")
    assert directory_name(sandbox, example.returned()["directory_id"]) == "bucket"

    example.run(submits=0)
    arrived(results, urls, "present")

    put("2026/ember.jpeg", "ember.jpeg")
    example.run(submits=1)
    found = example.returned()
    assert {key: found[key] for key in counts(3)} == counts(3, present=2, migrated=1)
    assert len(names_in(sandbox, found["directory_id"])) == 3
    assert {record.url for record in read_results(f"file://{results}")} == set(urls)


def test_partitions(
    airflow: Cluster, sandbox: Sandbox, host: str, files: dict[str, bytes], tmp_path: Path
) -> None:
    partitions = {"2025": ["canyon.jpg", "fjord.webp"], "2026": ["aurora.png"]}
    manifests, results = tmp_path / "manifests", tmp_path / "results"
    manifests.mkdir()
    for partition, names in partitions.items():
        with (manifests / f"{partition}.csv").open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["url", "file_name", "size", "md5"])
            for name in names:
                md5 = hashlib.md5(files[name]).hexdigest()
                rows.writerow([f"{host}/{name}", f"old-{name}", len(files[name]), md5])
    conf = {"manifests": f"file://{manifests}", "results": f"file://{results}"}
    example = Example(airflow, sandbox, "example_pan123_sync_partitions", conf)

    for submits, status in ((3, "migrated"), (0, "present")):
        example.run(submits=submits)
        for index, (partition, names) in enumerate(partitions.items()):
            found = example.returned(map_index=index)
            assert {key: found[key] for key in counts(0)} == counts(len(names), **{status: len(names)})
            assert directory_name(sandbox, found["directory_id"]) == partition
            assert names_in(sandbox, found["directory_id"]) == sorted(f"old-{name}" for name in names)
            arrived(results / f"{partition}.csv", {f"{host}/{name}": files[name] for name in names}, status)
            assert example.announced(f"archive/{partition}") == [counts(len(names), **{status: len(names)})]


def test_rewriting(
    airflow: Cluster, sandbox: Sandbox, host: str, files: dict[str, bytes], tmp_path: Path
) -> None:
    names = ["desert.bmp", "sunset.gif"]
    first, second = urls = [f"{host}/{name}" for name in names]
    manifest, pages, results = tmp_path / "images.txt", tmp_path / "pages", tmp_path / "results.jsonl"
    manifest.write_text("\n".join(urls))
    texts = {
        "index.md": "# Bilder\r\n![a]({first})\r\n[![b]({second} 'b')]({host}/desert.bmp.html)，{first}。\r\n",
        "blog/2026/post.html": '<img src="{second}" srcset="{first} 1x, {second}?w=2 2x">',
        "notes.txt": "{first}",
        "about.md": "没有图片",
    }
    for name, text in texts.items():
        (pages / name).parent.mkdir(parents=True, exist_ok=True)
        (pages / name).write_bytes(text.format(first=first, second=second, host=host).encode())
    conf = {"manifest": f"file://{manifest}", "pages": f"file://{pages}", "results": f"file://{results}"}
    example = Example(airflow, sandbox, "example_pan123_rewrite", conf)

    example.run(submits=2)
    records = arrived(results, {f"{host}/{name}": files[name] for name in names}, "migrated")
    new = {record.url: record.download_url for record in records}
    assert sorted(example.returned("rewrite_pages")) == [
        f"file://{pages}/{name}" for name in ("blog/2026/post.html", "index.md")
    ]
    expected = {
        "index.md": texts["index.md"].format(first=new[first], second=new[second], host=host),
        "blog/2026/post.html": f'<img src="{new[second]}" srcset="{new[first]} 1x, {second}?w=2 2x">',
        "notes.txt": first,
        "about.md": "没有图片",
    }
    assert {name: (pages / name).read_bytes().decode() for name in texts} == expected

    example.run(submits=0)
    assert example.returned("rewrite_pages") == []
    assert {name: (pages / name).read_bytes().decode() for name in texts} == expected
