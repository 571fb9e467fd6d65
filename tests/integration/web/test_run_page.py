"""The page of a run shows its tasks and images, whatever their names hold."""

from __future__ import annotations

import csv
import io
import json
import re
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from airflow.models.renderedtifields import RenderedTaskInstanceFields
from sqlalchemy import insert

from airflow_provider_123pan.callbacks.delivery import Delivery
from airflow_provider_123pan.receiver.inbox import Inbox
from airflow_provider_123pan.sync.result_record import ResultRecord
from airflow_provider_123pan.sync.results import Results, owner_of_task
from airflow_provider_123pan.web.images import PER_PAGE
from airflow_provider_123pan.web.rendering import PREFIX
from tests.integration.web.conftest import READABLE, RUN, Login, Metadata

PAGE = f"{PREFIX}/dags/{READABLE}/runs/{RUN}"
SUBMIT, SENSOR = "Pan123OfflineDownloadOperator", "Pan123OfflineDownloadSensor"
CHECK = "Pan123CheckImagesOperator"
HOST = "https://images.example"


def record(number: int, status: str = "migrated", **fields: Any) -> ResultRecord:
    made = ResultRecord(
        f"https://old.example/{number}.jpg?token=the-signature-{number}",
        f"image-{number}.jpg",
        status,
        number,
        f"file-{number}",
        f"{HOST}/{number}.jpg",
        None,
        "e" * 32,
        1000 + number,
        None,
    )
    return made._replace(**fields)


def failed(number: int, reason: str) -> ResultRecord:
    return record(number, "failed", reason=reason, download_url=None, fileID=None)


@pytest.fixture
def results(metadata: Metadata, tmp_path: Path) -> Path:
    """A run whose sync wrote the results file ``results.jsonl``."""
    path = tmp_path / "results.jsonl"
    metadata.add_run(READABLE)
    xcoms = {"total": 5, "migrated": 2, "present": 1, "failed": 2, "results": str(path), "directory_id": "d"}
    metadata.add_task(READABLE, "sync", xcoms)
    records = [
        record(1),
        record(2, user_url=f"{HOST}/own/2.jpg"),
        record(3, "present"),
        failed(4, "the source answered 404"),
        failed(5, "the source answered 403"),
    ]
    Results(str(path), "owner").write(records)
    return path


def names(text: str) -> list[str]:
    """Return the names of the images on a page."""
    return re.findall(r"<strong>(.*?)</strong>", text)


def counts(text: str) -> list[str]:
    """Return the numbers of the tasks on a page."""
    return re.findall(r"<li[^>]*>(\d[^<]*)</li>", text)


def policy(answer: Any) -> dict[str, list[str]]:
    parts = (part.split() for part in answer.headers["content-security-policy"].split(";"))
    return {name: values for name, *values in parts}


@pytest.mark.usefixtures("results")
def test_a_run_shows_tasks_counts_and_images(login: Login) -> None:
    answer = login(READABLE).get(PAGE)
    assert names(answer.text) == [f"image-{number}.jpg" for number in range(1, 6)]
    assert re.search(r'<progress aria-label="Progress: sync" value="5" max="5">', answer.text)
    assert counts(answer.text) == ["5 images", "1 present", "2 migrated", "2 failed"]
    assert f'href="/dags/{READABLE}/runs/manual__2026-11-26T00%3A00%3A00%2B00%3A00/tasks/sync"' in answer.text
    assert f'src="{HOST}/own/2.jpg"' in answer.text
    assert answer.text.count('loading="lazy"') == answer.text.count('referrerpolicy="no-referrer"') == 3


@pytest.mark.usefixtures("results")
def test_the_signature_of_a_source_url_is_on_no_page(login: Login) -> None:
    user = login(READABLE)
    for suffix in ("", "/failures", "/images.csv", "?text=token", "?text=the-signature"):
        text = user.get(PAGE + suffix).text
        assert "the-signature-" not in text, suffix
    assert names(user.get(f"{PAGE}?text=the-signature-1").text) == []


@pytest.mark.usefixtures("results")
def test_images_are_filtered_by_state_and_text(login: Login) -> None:
    user = login(READABLE)
    assert names(user.get(f"{PAGE}?status=failed").text) == ["image-4.jpg", "image-5.jpg"]
    assert names(user.get(f"{PAGE}?status=failed&text=ANSWERED+403").text) == ["image-5.jpg"]
    assert names(user.get(f"{PAGE}?text=own/2").text) == ["image-2.jpg"]
    assert names(user.get(f"{PAGE}?task_id=another").text) == []
    text = user.get(f"{PAGE}?task_id=sync&map_index=%7BMAP_INDEX%7D&status=present").text
    assert names(text) == ["image-3.jpg"]
    assert '<option value="present" selected>' in text
    assert '<input type="hidden" name="task_id" value="sync">' in text


@pytest.mark.usefixtures("results")
def test_failures_are_grouped_by_reason_with_urls_to_copy(login: Login, results: Path) -> None:
    again = [failed(number, "the source answered 404") for number in range(6, 9)]
    Results(str(results), "owner").write([failed(4, "the source answered 403"), *again])
    text = login(READABLE).get(f"{PAGE}/failures").text
    assert re.findall(r'<h2 id="group-\d">(.*?)</h2>', text) == [
        "the source answered 404",
        "the source answered 403",
    ]
    urls = re.findall(r"<textarea[^>]*>(.*?)</textarea>", text, re.DOTALL)
    assert urls[0].split() == [f"https://old.example/{number}.jpg?token=***" for number in range(6, 9)]


def test_pages_have_sixty_images_each(login: Login, results: Path) -> None:
    Results(str(results), "owner").write(map(record, range(2 * PER_PAGE)))
    user = login(READABLE)
    first, second, third = (user.get(f"{PAGE}?page={number}").text for number in (1, 2, 3))
    assert names(first) + names(second) == [f"image-{number}.jpg" for number in range(2 * PER_PAGE)]
    assert names(third) == []
    assert 'rel="next"' in first
    assert 'rel="next"' not in second
    assert 'rel="prev"' in second
    assert user.get(f"{PAGE}?page=0").status_code == user.get(f"{PAGE}?page=x").status_code == 422


def test_the_export_has_all_chosen_images_and_no_formula(login: Login, results: Path) -> None:
    hostile = record(1, file_name="=HYPERLINK(1)")
    Results(str(results), "owner").write([hostile, *map(record, range(2, 200)), failed(200, "gone")])
    user = login(READABLE)
    answer = user.get(f"{PAGE}/images.csv")
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.headers["content-disposition"] == 'attachment; filename="images.csv"'
    rows = [*csv.DictReader(io.StringIO(answer.text))]
    assert len(rows) == 200
    assert rows[0]["file_name"] == "'=HYPERLINK(1)"
    assert rows[1] | {"url": "https://old.example/2.jpg?token=***", "new_url": f"{HOST}/2.jpg"} == rows[1]
    assert len([*csv.DictReader(io.StringIO(user.get(f"{PAGE}/images.csv?status=failed").text))]) == 1


HOSTILE = """"><script>alert('x')</script>&{{ 7 * 7 }}"""


def test_hostile_names_are_only_text(login: Login, metadata: Metadata, tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    bad = [
        record(1, file_name=HOSTILE, url=f"https://old.example/{HOSTILE}", reason=HOSTILE),
        record(2, download_url=f"https://images.example/{HOSTILE}"),
        record(3, download_url="javascript:alert(1)"),
        record(4, download_url="https://images.example; script-src */4.jpg"),
        record(5, download_url="https://user@[/5.jpg"),
        record(6, status=HOSTILE),
    ]
    path.write_text("".join(json.dumps(one._asdict()) + "\n" for one in bad))
    metadata.add_run(READABLE)
    metadata.add_task(
        READABLE,
        HOSTILE,
        {"results": str(path), "migrated": HOSTILE, "report": "javascript:alert(2)", "failures": HOSTILE},
    )
    user = login(READABLE)
    query = f"?text={quote(HOSTILE)}&task_id={quote(HOSTILE)}"
    for url in (f"{PREFIX}/", PAGE, f"{PAGE}/failures", PAGE + query, f"{PAGE}/failures{query}"):
        answer = user.get(url)
        assert answer.status_code == 200, url
        assert "<script>" not in answer.text
        assert "&49" not in answer.text
        assert not re.search(r'(href|src)="(javascript|data:text)', answer.text)
        assert policy(answer)["script-src"] == ["'self'"]
        assert set(policy(answer)["img-src"]) <= {"data:", HOST}
    assert HOSTILE in unescape(user.get(PAGE).text)
    assert len(names(user.get(PAGE).text)) == len(bad)


@pytest.mark.usefixtures("results")
def test_every_answer_is_protected_by_its_headers(login: Login) -> None:
    user = login(READABLE)
    for client, path, status in (
        (user, PAGE, 200),
        (user, f"{PAGE}/failures", 200),
        (user, f"{PAGE}/images.csv", 200),
        (user, f"{PREFIX}/", 200),
        (user, f"{PREFIX}/nothing", 404),
        (user, f"{PREFIX}/dags/forbidden/runs/{RUN}", 403),
        (user, f"{PAGE}?page=x", 422),
        (login(), PAGE, 401),
    ):
        answer = client.get(path)
        assert answer.status_code == status
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        found = policy(answer)
        assert found["default-src"] == ["'none'"]
        assert found["script-src"] == found["style-src"] == found["frame-ancestors"] == ["'self'"]
        assert set(found["img-src"]) <= {"data:", HOST}
        # Neither would be run, or applied, under this policy.
        assert not re.search(r"<style|style=|<script>|\son\w+=", answer.text)


@pytest.mark.usefixtures("results")
def test_the_page_speaks_chinese_where_the_browser_does(login: Login) -> None:
    user = login(READABLE)
    text = user.get(PAGE, headers={"Accept-Language": "zh-CN,zh;q=0.9,en;q=0.8"}).text
    assert '<html lang="zh-CN">' in text
    assert "账号的流量" in text
    assert "外链" in text
    overview = user.get(f"{PREFIX}/", headers={"Accept-Language": "zh"}).text
    assert "图床" in overview
    assert '<html lang="en">' in user.get(PAGE).text


def test_a_run_without_tasks_of_the_provider_says_so(login: Login, metadata: Metadata) -> None:
    metadata.add_run(READABLE)
    metadata.add_task(READABLE, "other", {"results": "/etc/passwd"}, operator="BashOperator")
    text = login(READABLE).get(PAGE).text
    assert "no tasks of the 123pan provider" in text
    assert "/etc/passwd" not in text
    assert login(READABLE).get(PAGE.replace("manual", "no_such")).status_code == 404


@pytest.mark.parametrize("path", ["/etc/passwd", "no/such/file.jsonl", "nothing://x/y.jsonl"])
def test_a_results_file_that_cannot_be_read_is_named(login: Login, metadata: Metadata, path: str) -> None:
    metadata.add_run(READABLE)
    metadata.add_task(READABLE, "sync", {"results": path, "migrated": 1})
    text = login(READABLE).get(PAGE).text
    assert "This results file cannot be read here" in text
    assert "root:" not in text


def test_a_task_that_has_deferred_shows_the_parts_and_its_progress(
    login: Login, metadata: Metadata, tmp_path: Path
) -> None:
    path = str(tmp_path / "results.jsonl")
    Results(path, "last night").write([record(9)])
    Results(path, owner_of_task(READABLE, RUN, "sync", -1)).spill([(0, record(1)), (1, failed(2, "gone"))])
    progress = {
        "total": 10,
        "done": 2,
        "failed": 1,
        "suspect": 0,
        "active": 8,
        "called_back": 0,
        "images_per_second": 0.5,
        "seconds_left": 125,
    }
    metadata.add_run(READABLE, state="running")
    metadata.add_task(READABLE, "sync", {"progress": progress}, state="deferred")
    with metadata._sessions() as session, session.begin():
        session.execute(
            insert(RenderedTaskInstanceFields).values(
                dag_id=READABLE, run_id=RUN, task_id="sync", map_index=-1, rendered_fields={"results": path}
            )
        )
    text = login(READABLE).get(PAGE).text
    assert names(text) == ["image-1.jpg", "image-2.jpg"]
    assert 'value="2" max="10"' in text
    assert "about 2 min left" in text
    assert counts(text) == ["10 images", "1 failed", "8 in flight", "0 callbacks received"]
    assert 'data-refresh="15"' in text


def test_the_images_of_syncs_are_filtered_by_directory(
    login: Login, metadata: Metadata, tmp_path: Path
) -> None:
    metadata.add_run(READABLE)
    for number, arguments in enumerate([{"directory": "album/1"}, {"directory_id": "given"}, {}], 1):
        results = str(tmp_path / f"{number}.jsonl")
        Results(results, "owner").write([record(number)])
        xcoms = {"total": 1, "results": results, "directory_id": f"id-{number}"}
        metadata.add_task(READABLE, f"sync-{number}", xcoms)
        with metadata._sessions() as session, session.begin():
            session.execute(
                insert(RenderedTaskInstanceFields).values(
                    dag_id=READABLE,
                    run_id=RUN,
                    task_id=f"sync-{number}",
                    map_index=-1,
                    rendered_fields={"images": ["https://old.example/1.jpg"], **arguments},
                )
            )
    user = login(READABLE)
    text = user.get(PAGE).text
    assert names(text) == ["image-1.jpg", "image-2.jpg", "image-3.jpg"]
    assert re.findall(r"<option>(.*?)</option>", text) == ["album/1", "id-2", "id-3"]
    assert names(user.get(f"{PAGE}?directory=album/1").text) == ["image-1.jpg"]
    assert names(user.get(f"{PAGE}?directory=id-3&text=image").text) == ["image-3.jpg"]
    assert names(user.get(f"{PAGE}?directory=id-3&status=failed").text) == []
    exported = user.get(f"{PAGE}/images.csv?directory=album/1").text.splitlines()
    assert len(exported) == 2
    assert "album/1" in exported[1]


@pytest.mark.usefixtures("results")
def test_one_directory_needs_no_filter(login: Login) -> None:
    assert 'name="directory"' not in login(READABLE).get(PAGE).text


@pytest.mark.usefixtures("results")
def test_what_a_check_found_is_apart_from_the_images_and_failures_of_the_run(
    login: Login, metadata: Metadata
) -> None:
    findings = [
        {
            "url": f"{HOST}/{number}.jpg?token=the-signature-{number}",
            "problem": "gone",
            "reason": "answered 404",
        }
        for number in range(3)
    ]
    rejected = {"url": HOST, "problem": "rejected", "reason": "rejected by review (status 101)"}
    xcoms: dict[str, Any] = {"images": 9, "healthy": 5, "failed": 4, "gone": 3, "rejected": 1}
    xcoms |= {"failures": [rejected, *findings]}
    metadata.add_task(READABLE, "check", xcoms, operator=CHECK)
    user = login(READABLE)
    text = user.get(PAGE).text
    assert names(text) == [f"image-{number}.jpg" for number in range(1, 6)]
    assert names(user.get(f"{PAGE}?status=failed").text) == ["image-4.jpg", "image-5.jpg"]
    row = ["9 images", "5 healthy", "4 with a problem", "3 gone", "1 rejected by review"]
    assert counts(text) == [*row, "5 images", "1 present", "2 migrated", "2 failed"]
    assert len([*csv.DictReader(io.StringIO(user.get(f"{PAGE}/images.csv").text))]) == 5

    failures, _, found = user.get(f"{PAGE}/failures").text.partition('<section id="findings"')
    assert len(re.findall(r'<h2 id="group-', failures)) == 2
    assert HOST not in failures
    assert re.findall(r"<h3>(.*?)</h3>", found) == ["gone: answered 404", "rejected by review (status 101)"]
    assert found.count("/1.jpg?token=***") == 1
    assert "the-signature-" not in found


def test_a_check_alone_shows_no_images_and_says_how_many_findings_are_missing(
    login: Login, metadata: Metadata
) -> None:
    metadata.add_run(READABLE)
    xcoms = {"images": 900, "healthy": 1, "failed": 899, "failures": [{"url": HOST}, "odd"]}
    metadata.add_task(READABLE, "check", xcoms, operator=CHECK)
    user = login(READABLE)
    text = user.get(PAGE).text
    assert 'id="images-title"' not in text
    assert f"/runs/{RUN.replace(':', '%3A').replace('+', '%2B')}/failures#findings" in text
    assert "Only 1 of 899 are listed here" in user.get(f"{PAGE}/failures").text


def test_a_task_that_has_ended_shows_suspect_images_and_nothing_in_flight(
    login: Login, metadata: Metadata
) -> None:
    metadata.add_run(READABLE)
    progress = {"total": 9, "done": 9, "suspect": 2, "failed": 0, "active": 3, "called_back": 8}
    metadata.add_task(READABLE, "sync", {"progress": progress, "migrated": 7, "present": 0})
    assert counts(login(READABLE).get(PAGE).text) == [
        *("9 images", "7 migrated", "2 suspect", "0 failed", "8 callbacks received")
    ]


def test_single_images_come_from_xcoms_with_their_callbacks(
    login: Login, metadata: Metadata, inbox: Inbox
) -> None:
    metadata.add_run(READABLE, state="running")
    for index in range(3):
        submission = {
            "taskID": 70 + index,
            "url": f"https://old.example/{index}.png?sig=a-long-signature",
            "file_name": f"{index}.png",
            "directory_id": f"directory-{index % 2}",
            "callback_id": f"{index:032x}",
        }
        xcoms = {"return_value": submission}
        metadata.add_task(READABLE, "submit", xcoms, operator=SUBMIT, map_index=index)
        image = submission | {"fileID": "f", "user_url": f"{HOST}/{index}.png", "size": 5}
        state, value = ("success", {"return_value": image}) if index == 1 else ("deferred", {})
        metadata.add_task(READABLE, "wait", value, operator=SENSOR, map_index=index, state=state)
    inbox.store(
        [("conn", Delivery.parse(f"{index:032x}", b"{}", "application/json", "")) for index in (0, 2)]
    )
    user = login(READABLE)
    text = user.get(PAGE).text
    assert names(text) == ["0.png", "1.png", "2.png"]
    cards = text.partition('<ul class="grid">')[2]
    assert cards.count('state-waiting">') == 2
    assert cards.count('state-migrated">') == 1
    assert "a-long-signature" not in text
    assert "Callbacks received: 2 of 3" in text
    assert 'aria-label="Progress: wait" value="1" max="3"' in text
    assert names(user.get(f"{PAGE}?directory=directory-1").text) == ["1.png"]
    assert names(user.get(f"{PAGE}?task_id=submit&map_index=2").text) == ["2.png"]
