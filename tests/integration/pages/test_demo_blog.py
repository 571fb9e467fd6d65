"""The blog of the demo: its hosts, what counts as a page and an image that were migrated well, and how it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import requests

from airflow_provider_123pan.rewriting import find_images
from airflow_provider_123pan.sync.result_record import ResultRecord
from dev import images
from dev.demo.blog import REFERER, Blog, published
from dev.demo.outcome import Outcome, read_records
from dev.supervised_process import is_alive

ROOT = Path(__file__).parents[3]
NEW = "https://vip.123pan.example/"


@pytest.fixture(scope="module")
def pictures() -> dict[str, bytes]:
    return images.pictures()


@pytest.fixture
def blog(tmp_path: Path, pictures: dict[str, bytes]) -> Iterator[Blog]:
    with published(tmp_path / "blog", pictures) as blog:
        yield blog


def get(url: str, **headers: str) -> requests.Response:
    return requests.get(url, headers=headers, timeout=10)


def records(blog: Blog) -> list[ResultRecord]:
    """Return the results of a migration of all images."""
    empty = ResultRecord(**dict.fromkeys(ResultRecord._fields))
    return [
        empty._replace(
            url=url,
            status="migrated",
            download_url=f"{NEW}{number}",
            fetched_by="worker" if url.startswith(blog.guarded) else "service",
        )
        for number, url in enumerate(blog.images)
    ]


def rewrite(blog: Blog) -> None:
    """Put the new URLs into all pages."""
    for name in blog.pages:
        text = blog.text(name)
        for number, url in enumerate(blog.images):
            text = text.replace(url, f"{NEW}{number}")
        (blog.folder / name).write_text(text)


def outcome(blog: Blog, found: list[ResultRecord]) -> Outcome:
    stored = dict(enumerate(blog.images.values()))
    return Outcome.of(
        blog,
        found,
        {"healthy": len(found)},
        succeeded=True,
        load=lambda url: stored.get(int(url.removeprefix(NEW))),
    )


def test_the_pages_show_the_images_and_no_others(blog: Blog) -> None:
    shown = {image.url for name in blog.pages for image in find_images(blog.text(name))}
    assert shown == set(blog.images)


def test_one_image_is_served_only_with_the_referer(blog: Blog) -> None:
    refused = [url for url in blog.images if get(url).status_code == 403]
    assert refused == [url for url in blog.images if url.startswith(blog.guarded)]
    (guarded,) = refused
    assert get(guarded, Referer=REFERER).content == blog.images[guarded]
    assert get(guarded, Referer="https://other.example.com/").status_code == 403
    assert all(get(url).content == blog.images[url] for url in blog.images if url not in refused)


def test_a_complete_migration_holds(blog: Blog) -> None:
    rewrite(blog)
    found = outcome(blog, records(blog))
    assert found.held
    assert (found.pages, found.images, found.by_service, found.by_worker) == (5, 10, 9, 1)


def test_pages_that_were_not_rewritten_do_not_count(blog: Blog) -> None:
    assert outcome(blog, records(blog)).rewritten == 0


def test_a_page_that_changed_elsewhere_does_not_count(blog: Blog) -> None:
    rewrite(blog)
    page = blog.folder / "about.md"
    page.write_bytes(page.read_bytes() + b"\n")
    found = outcome(blog, records(blog))
    assert (found.rewritten, found.held) == (4, False)


def test_an_image_that_failed_counts_neither_for_its_page_nor_for_equal_bytes(blog: Blog) -> None:
    rewrite(blog)
    first, *others = records(blog)
    found = outcome(blog, [first._replace(status="failed", download_url=None), *others])
    assert (found.rewritten, found.equal, found.held) == (4, 9, False)


def test_other_bytes_under_a_new_url_are_noticed(blog: Blog) -> None:
    rewrite(blog)
    found = records(blog)
    swapped = [found[0]._replace(download_url=found[1].download_url), *found[1:]]
    assert outcome(blog, swapped).equal == 9


def test_the_results_are_read_without_airflow(tmp_path: Path, blog: Blog) -> None:
    found = records(blog)
    results = tmp_path / "results.jsonl"
    results.write_text("\n".join(json.dumps(record._asdict()) for record in found))
    assert read_records(f"file://{results}") == found
    code = "import sys; from dev.demo import outcome, story; outcome.read_records(sys.argv[1]); "
    code += "assert not [name for name in sys.modules if name.partition('.')[0] == 'airflow']"
    subprocess.run([sys.executable, "-c", code, f"file://{results}"], cwd=ROOT, check=True)


def test_ctrl_c_ends_all_processes_and_removes_all_files(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "dev.demo"]
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, start_new_session=True, text=True
    ) as demo:
        assert demo.stdout is not None
        assert any("The sandbox" in line for line in demo.stdout)
        started = psutil.Process(demo.pid).children(recursive=True)
        demo.send_signal(signal.SIGINT)
        assert "Ending all processes\n" in [*demo.stdout]
    assert demo.returncode == 128 + signal.SIGINT
    assert started
    assert not any(map(is_alive, started))
    assert [*tmp_path.iterdir()] == []
