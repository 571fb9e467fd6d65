"""Airflow does not protect the page: its own routes do, each of them, for each DAG."""

from __future__ import annotations

from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute

from airflow_provider_123pan.sync.result_record import ResultRecord
from airflow_provider_123pan.sync.results import Results
from airflow_provider_123pan.web.rendering import PREFIX
from tests.integration.web.conftest import READABLE, RUN, Login, Metadata

OTHER = "forbidden"
HOST = "https://images.example/1.png"
RUN_PATH = f"{PREFIX}/dags/{{}}/runs/{RUN}"


@pytest.fixture(autouse=True)
def two_dags(metadata: Metadata) -> None:
    for dag_id in (READABLE, OTHER):
        metadata.add_run(dag_id)
        metadata.add_task(dag_id, f"task_of_{dag_id}", {"migrated": 5, "healthy": 7})


def paths(page: FastAPI) -> dict[str, set[str]]:
    """Return the path of each route of the page, with the readable DAG, and its methods."""
    values = {"dag_id": READABLE, "run_id": RUN, "name": "page.css"}
    assert all(isinstance(route, APIRoute) for route in page.router.routes)
    return {
        PREFIX + route.path.format(**values): {*(route.methods or ())}
        for route in page.router.routes
        if isinstance(route, APIRoute)
    }


def test_every_route_but_static_files_requires_a_login(login: Login, page: FastAPI) -> None:
    anonymous, user = login(), login(READABLE)
    found = paths(page)
    assert sorted(found) == sorted(
        [
            f"{PREFIX}/",
            *(RUN_PATH.format(READABLE) + suffix for suffix in ("", "/failures", "/images.csv")),
            f"{PREFIX}/static/page.css",
        ]
    )
    for path in found:
        expected = 200 if "/static/" in path else 401
        assert anonymous.get(path).status_code == expected, path
        assert user.get(path).status_code == 200, path
    assert set().union(*found.values()) == {"GET"}
    forged = login()
    forged.cookies.set("_token", "e30.e30.e30")
    for path in found:
        assert forged.get(path).status_code in ((200,) if "/static/" in path else (401, 403)), path


def test_a_user_who_may_read_no_xcoms_sees_nothing(login: Login, page: FastAPI) -> None:
    for path in paths(page):
        if "/static/" not in path:
            assert login(READABLE, role="user").get(path).status_code == 403, path


def test_nothing_describes_the_app_without_a_login(login: Login) -> None:
    for path in ("/docs", "/redoc", "/openapi.json", "/static/", "/static/app.py", "/static/..%2Fapp.py"):
        assert login().get(PREFIX + path).status_code in (404, 422)


@pytest.mark.parametrize("suffix", ["", "/failures", "/images.csv"])
def test_a_user_reads_only_runs_of_the_users_dags(login: Login, suffix: str) -> None:
    user = login(READABLE)
    assert user.get(RUN_PATH.format(READABLE) + suffix).status_code == 200
    for other in (OTHER, "no_such_dag"):
        for query in ("", f"?dag_id={READABLE}", f"?dag_id={other}&dag_id={READABLE}"):
            answer = user.get(RUN_PATH.format(other) + suffix + query)
            assert answer.status_code == 403, query
            assert f"task_of_{OTHER}" not in answer.text
    assert user.get(RUN_PATH.format("~") + suffix).status_code == 404


@pytest.mark.parametrize("suffix", ["", "/failures", "/images.csv"])
def test_a_user_sees_only_images_of_the_users_dags(
    login: Login, metadata: Metadata, tmp_path: Path, suffix: str
) -> None:
    """Both DAGs have a run of the same id, with an image and a failure each."""
    for dag_id in (READABLE, OTHER):
        path = str(tmp_path / f"{dag_id}.jsonl")
        of = f"https://old.example/{dag_id}"
        image = ResultRecord(f"{of}.png", "a.png", "migrated", 1, "1", HOST, None, "e" * 32, 9, None)
        failure = ResultRecord(f"{of}.gif", "b.gif", "failed", 2, None, None, None, None, None, "gone")
        Results(path, "owner").write([image, failure])
        metadata.add_task(dag_id, "sync", {"total": 2, "results": path})
    user = login(READABLE)
    text = user.get(RUN_PATH.format(READABLE) + suffix).text
    assert f"https://old.example/{READABLE}.gif" in text
    assert OTHER not in text
    for query in (f"?dag_id={OTHER}", f"?task_id=sync&dag_id={OTHER}", f"?text={OTHER}"):
        assert f"{OTHER}." not in user.get(RUN_PATH.format(READABLE) + suffix + query).text
    assert f"{OTHER}." not in user.get(RUN_PATH.format(OTHER) + suffix).text
    assert f"{OTHER}.gif" in login(OTHER).get(RUN_PATH.format(OTHER) + suffix).text


def test_the_overview_lists_only_the_users_dags(login: Login, metadata: Metadata) -> None:
    text = login(READABLE).get(f"{PREFIX}/").text
    assert READABLE in text
    assert OTHER not in text
    assert '<td class="number">5</td>' in text
    both = login(f"{READABLE},{OTHER}").get(f"{PREFIX}/").text
    assert OTHER in both
    assert '<td class="number">10</td>' in both


def test_the_overview_shows_accounts_only_to_those_who_may_read_connections(
    login: Login, metadata: Metadata
) -> None:
    metadata.add_account("pan123_secret_name")
    assert "pan123_secret_name" not in login(READABLE).get(f"{PREFIX}/").text
    assert "pan123_secret_name" in login("admin").get(f"{PREFIX}/").text
