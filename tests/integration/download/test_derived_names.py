"""Without ``file_name``, each URL gets a name of its own, which every wait looks for."""

from __future__ import annotations

import copy
import runpy
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_123pan.operators.offline_download import Pan123OfflineDownloadOperator
from airflow_provider_123pan.sandbox import Sandbox
from airflow_provider_123pan.sync.entries import ManifestEntry
from tests.support import MODES, run, sensor

EXAMPLE = Path(__file__).parents[3] / "example_dags" / "example_pan123_many_images.py"
SAME_NAME = [f"https://example.com/{year}/1.png" for year in (2023, 2024, 2025)]
GBK = ["https://example.com/%B1%ED.png", "https://example.com/%B2%E2.png"]
SIGNED = "https://example.com/1.png?x-expires=1&x-signature=a"

pytestmark = pytest.mark.usefixtures("connect")


def submit(context: dict[str, Any], url: str, **arguments: Any) -> dict[str, Any]:
    operator = Pan123OfflineDownloadOperator(task_id="submit", url=url, poke_interval=0.1, **arguments)
    result: dict[str, Any] = run(operator, context)
    return result


def urls_of(sandbox: Sandbox) -> dict[str, str]:
    return {file["filename"]: file["downloadURL"] for file in sandbox.state()["files"]}


def expected(sandbox: Sandbox, urls: list[str]) -> list[str]:
    stored = urls_of(sandbox)
    return [stored[ManifestEntry.of({"url": url}).file_name] for url in urls]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("urls", [SAME_NAME, GBK], ids=["same name", "GBK"])
def test_images_of_one_name_have_different_urls(
    urls: list[str], mode: str, sandbox: Sandbox, context: dict[str, Any]
) -> None:
    submissions = [submit(context, url) for url in urls]
    found = [run(sensor(mode, submission), context)["download_url"] for submission in submissions]
    assert found == expected(sandbox, urls)
    assert len(set(found)) == len(urls)


@pytest.mark.parametrize("deferrable", [True, False])
def test_the_waiting_operator_looks_for_the_derived_name(
    deferrable: bool, sandbox: Sandbox, context: dict[str, Any]
) -> None:
    found = [
        submit(context, url, wait_for_completion=True, deferrable=deferrable)["download_url"]
        for url in SAME_NAME
    ]
    assert found == expected(sandbox, SAME_NAME)
    assert len(set(found)) == len(SAME_NAME)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://example.com/640?wx_fmt=png", "640-2edhkz6bcunc.png"),
        ("https://example.com/x.png/", "x-rarer3wubnla.png"),
    ],
)
def test_a_url_without_a_name_gets_one(url: str, name: str, context: dict[str, Any]) -> None:
    submission = submit(context, url)
    assert submission["file_name"] == name
    found = run(sensor("poke", submission), context)
    assert found["file_name"] == name
    assert found["download_url"]


def test_configured_signatures_are_no_part_of_the_name(
    context: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__PAN123__SIGNATURE_PARAMETERS", "x-expires,x-signature")
    tomorrow = SIGNED.replace("=a", "=b")
    assert submit(context, SIGNED)["file_name"] == submit(context, tomorrow)["file_name"]


def test_the_example_gives_three_images_of_one_name_three_urls(
    sandbox: Sandbox, context: dict[str, Any]
) -> None:
    dag = runpy.run_path(str(EXAMPLE))["example_pan123_many_images"]()
    found = []
    for url in SAME_NAME:
        submit, wait = (copy.copy(dag.get_task(f"migrate.{name}")) for name in ("submit", "wait"))
        submit.url = url
        wait.submission = run(submit, context)
        wait.poke_interval = 0.05
        found.append(run(wait, context)["download_url"])
    assert found == expected(sandbox, SAME_NAME)
    assert len(set(found)) == len(SAME_NAME)
