"""A failed task with one image is a failed image, on every page, whatever XComs it has left."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from airflow.models.renderedtifields import RenderedTaskInstanceFields
from sqlalchemy import event, insert
from sqlalchemy.engine import Engine

from airflow_provider_123pan.web.rendering import PREFIX
from tests.integration.web.conftest import READABLE, RUN, SYNC, Login, Metadata

PAGE = f"{PREFIX}/dags/{READABLE}/runs/{RUN}"
SUBMIT, SENSOR = "Pan123OfflineDownloadOperator", "Pan123OfflineDownloadSensor"
COUNT = '<li class="count-failed">{} failed</li>'


def submission(number: int) -> dict[str, Any]:
    return {
        "taskID": number,
        "url": f"https://old.example/{number}.png?sig=a-long-signature",
        "file_name": f"{number}.png",
        "directory_id": None,
        "callback_id": f"{number:032x}",
    }


def render(metadata: Metadata, task_id: str, map_index: int, **arguments: Any) -> None:
    place = {"dag_id": READABLE, "run_id": RUN, "task_id": task_id, "map_index": map_index}
    with metadata._sessions() as session, session.begin():
        session.execute(insert(RenderedTaskInstanceFields).values(**place, rendered_fields=arguments))


@pytest.fixture
def run(metadata: Metadata) -> Metadata:
    """A failed run without tasks."""
    metadata.add_run(READABLE, state="failed")
    return metadata


def urls(text: str) -> list[str]:
    """Return the URLs to copy on the page of failures."""
    return [
        url
        for area in re.findall(r"<textarea[^>]*>(.*?)</textarea>", text, re.DOTALL)
        for url in area.split()
    ]


def check_pages(login: Login, shown: list[str]) -> None:
    """Check that the page, its failures, its export and the overview have failed images with these URLs."""
    failed = len(shown)
    user = login(READABLE)
    text = user.get(PAGE).text
    assert text.partition('<ul class="grid">')[2].count('state-failed">') == failed
    assert text.count("The task&#39;s log has the reason</a>") == failed
    assert COUNT.format(failed) in text
    failures = user.get(f"{PAGE}/failures").text
    assert "No failure is known" not in failures
    assert "The task&#39;s log has the reason</h2>" in failures
    assert urls(failures) == shown
    exported = user.get(f"{PAGE}/images.csv?status=failed").text
    assert len(exported.splitlines()) == failed + 1
    assert COUNT.format(failed) in user.get(f"{PREFIX}/").text
    assert "a-long-signature" not in text + failures + exported


@pytest.mark.parametrize("indexes", [[-1], [0, 1]], ids=["one", "mapped"])
def test_an_operator_that_failed_after_its_submission_shows_its_xcoms(
    login: Login, run: Metadata, indexes: list[int]
) -> None:
    for index in indexes:
        run.add_task(
            READABLE, "move", submission(7 + index), operator=SUBMIT, state="failed", map_index=index
        )
    check_pages(login, [f"https://old.example/{7 + index}.png?sig=***" for index in indexes])
    text = login(READABLE).get(PAGE).text
    assert f"<strong>{7 + indexes[0]}.png</strong>" in text
    assert f"Callbacks received: 0 of {len(indexes)}" in text
    one = login(READABLE).get(f"{PAGE}?task_id=move&map_index={indexes[-1]}").text
    assert one.count("<strong>") == 1


def test_an_operator_that_failed_before_its_submission_shows_its_arguments(
    login: Login, run: Metadata
) -> None:
    run.add_task(READABLE, "move", operator=SUBMIT, state="failed")
    render(run, "move", -1, url=submission(7)["url"], file_name=None)
    check_pages(login, ["https://old.example/7.png?sig=***"])


@pytest.mark.parametrize("has_arguments", [True, False])
def test_a_failed_sensor_shows_the_submission_of_another_task(
    login: Login, run: Metadata, has_arguments: bool
) -> None:
    for index, state in enumerate(("success", "failed", "deferred")):
        place: dict[str, Any] = {"map_index": index}
        returned = {"return_value": submission(index)}
        run.add_task(READABLE, "submit", returned, operator=SUBMIT, **place)
        stored = submission(index) | {"fileID": "f", "user_url": "https://images.example/0.png"}
        xcoms = {"return_value": stored, "fileID": "f"} if state == "success" else {}
        run.add_task(READABLE, "wait", xcoms, operator=SENSOR, state=state, **place)
        if has_arguments:
            render(run, "wait", index, submission=submission(index))
    check_pages(login, ["https://old.example/1.png?sig=***"])
    cards = login(READABLE).get(PAGE).text.partition('<ul class="grid">')[2]
    assert cards.count('state-migrated">') == cards.count('state-waiting">') == 1
    assert "<li>1 migrated</li>" in login(READABLE).get(f"{PREFIX}/").text


def test_failed_tasks_without_anything_known_still_count(login: Login, run: Metadata) -> None:
    run.add_task(READABLE, "move", operator=SUBMIT, state="failed", map_index=0)
    run.add_task(READABLE, "wait", operator=SENSOR, state="failed")
    user = login(READABLE)
    assert user.get(PAGE).text.count(COUNT.format(1)) == 2
    failures = user.get(f"{PAGE}/failures").text
    assert "Images without a known source URL: 2" in failures
    assert urls(failures) == []
    assert COUNT.format(2) in user.get(f"{PREFIX}/").text


def test_a_failed_sync_without_xcoms_is_not_hidden(login: Login, run: Metadata) -> None:
    run.add_task(READABLE, "sync", operator=SYNC, state="failed")
    failures = login(READABLE).get(f"{PAGE}/failures").text
    assert "A task has failed" in failures
    assert "No failure is known" not in failures


@pytest.fixture
def statements(_metadata_engine: Engine) -> Iterator[Callable[[], int]]:
    """The number of statements since the last call."""
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        seen.append(statement)

    def count() -> int:
        number = len(seen)
        seen.clear()
        return number

    event.listen(_metadata_engine, "before_cursor_execute", note)
    yield count
    event.remove(_metadata_engine, "before_cursor_execute", note)


def test_more_failed_tasks_need_no_more_statements(
    login: Login, run: Metadata, statements: Callable[[], int]
) -> None:
    user = login(READABLE)
    numbers = []
    for index in range(20):
        run.add_task(READABLE, "move", submission(index), operator=SUBMIT, state="failed", map_index=index)
        statements()
        assert user.get(PAGE).status_code == 200
        numbers.append(statements())
    assert len(set(numbers)) == 1
