"""Hosts that want more than a request: what 123pan cannot fetch, the worker fetches."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import requests

from airflow_provider_123pan.operators.migrate_pages import Pan123MigratePagesOperator
from airflow_provider_123pan.sandbox import Sandbox
from airflow_provider_123pan.sync.results import read_results
from tests.integration.fetching.hosts import (
    BASIC,
    COOKIE,
    IMAGES_PER_HOST,
    TOKEN,
    WANTED,
    Host,
    access,
    pictures,
)
from tests.integration.uploads.support import md5
from tests.support import counts, run, submitted, sync

SECRETS = {"cookie": COOKIE, "basic": BASIC, "bearer": TOKEN}

pytestmark = pytest.mark.usefixtures("connections")


@pytest.fixture
def folder(tmp_path: Path) -> dict[str, bytes]:
    """Return the images of a folder, by their URLs."""
    found = {}
    for number, body in enumerate(pictures(len(WANTED))):
        path = tmp_path / "photos" / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(body)
        found[f"file://{path}"] = body
    return found


def on_the_web(hosts: dict[str, Host]) -> dict[str, bytes]:
    return {url: body for host in hosts.values() for url, body in host.images.items()}


def served(url: str | None) -> str:
    """Return the MD5 of the image that a URL of the service gives."""
    return md5(requests.get(str(url), timeout=30).content)


@pytest.mark.parametrize("deferrable", [False, True], ids=["worker", "triggerer"])
def test_every_image_arrives_as_it_is(
    deferrable: bool,
    sandbox: Sandbox,
    hosts: dict[str, Host],
    folder: dict[str, bytes],
    context: dict[str, Any],
    tmp_path: Path,
) -> None:
    images = {**on_the_web(hosts), **folder}
    results = str(tmp_path / "results.jsonl")
    given = {"images": [*images], "results": results, "deferrable": deferrable, **access(hosts)}
    assert counts(sync(context, **given)) == (0, len(images), 0)
    records = {record.url: record for record in read_results(results)}
    assert {url: served(record.download_url) for url, record in records.items()} == {
        url: md5(body) for url, body in images.items()
    }
    assert {url: record.fetched_by for url, record in records.items()} == {
        url: "service" if url in hosts["open"].images else "worker" for url in images
    }
    assert submitted(sandbox) == Counter([*on_the_web(hosts)])
    for host in hosts.values():
        sent = str([request.headers for request in host.source.asked])
        assert [kind for kind, secret in SECRETS.items() if secret in sent] == (
            [host.kind] if host.kind in SECRETS else []
        )

    requested = {kind: len(host.source.asked) for kind, host in hosts.items()}
    assert counts(sync(context, **given)) == (len(images), 0, 0)
    assert {kind: len(host.source.asked) for kind, host in hosts.items()} == requested


def test_the_worker_reaches_only_the_private_hosts_that_are_named(
    hosts: dict[str, Host], context: dict[str, Any], tmp_path: Path
) -> None:
    given = access(hosts)
    refused = [hosts["bearer"], hosts["address"]]
    given["private_hosts"] = [
        name for name in given["private_hosts"] if name not in {host.name for host in refused}
    ]
    results = str(tmp_path / "results.jsonl")
    images = on_the_web(hosts)
    count = len(refused) * IMAGES_PER_HOST
    result = sync(context, images=[*images], results=results, max_failures=count, **given)
    assert counts(result) == (0, len(images) - count, count)
    reasons = {record.url: record.reason for record in read_results(results) if record.status == "failed"}
    assert reasons.keys() == {url for host in refused for url in host.images}
    for host in refused:
        for url in host.images:
            reason = str(reasons[url])
            assert reason.startswith("service: ")
            assert reason.endswith(
                f"; worker: private_hosts: the source's host has the address '{host.name}', which is not public; "
                "add the host if workers may connect to it"
            )
        assert len(host.source.asked) == IMAGES_PER_HOST  # by the service


def test_pages_get_new_urls_for_the_images_of_all_hosts(
    sandbox: Sandbox, hosts: dict[str, Host], context: dict[str, Any], tmp_path: Path
) -> None:
    images = on_the_web(hosts)
    pages = tmp_path / "site"
    pages.mkdir()
    for kind, host in hosts.items():
        (pages / f"{kind}.md").write_text("".join(f"![]({url})\n" for url in host.images))
    task = Pan123MigratePagesOperator(
        task_id="migrate",
        pages=str(pages),
        journal=str(tmp_path / "journal"),
        directory="blog",
        deferrable=False,
        timeout=60,
        **access(hosts),
    )
    result = run(task, context)
    assert (result["images"], result["migrated"], result["failed"]) == (len(images), len(images), 0)
    for kind, host in hosts.items():
        new_urls = re.findall(r"!\[\]\((.*)\)\n", (pages / f"{kind}.md").read_text())
        assert all(url.startswith(f"{sandbox.base_url}/") for url in new_urls)
        assert [served(url) for url in new_urls] == [*map(md5, host.images.values())]
