"""The parts of the page in Airflow's UI: words, tasks, images, headers."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from jinja2 import Environment, nodes

import airflow_provider_123pan.web as page
from airflow_provider_123pan.sync.result_record import ResultRecord
from airflow_provider_123pan.sync.results import Results
from airflow_provider_123pan.web.findings import findings_of
from airflow_provider_123pan.web.images import MAX_GROUPS, Choice, Images
from airflow_provider_123pan.web.messages import MESSAGES, language_of
from airflow_provider_123pan.web.rendering import Words, bars, headers
from airflow_provider_123pan.web.runs import TaskRow
from airflow_provider_123pan.web.singles import counted, single_images
from airflow_provider_123pan.web.tasks import Progress, Task, tasks_from

TEMPLATES = Path(page.__file__).parent / "templates"
SYNC = "Pan123SyncImagesOperator"
SUBMIT = "Pan123OfflineDownloadOperator"
SENSOR = "Pan123OfflineDownloadSensor"
CHECK = "Pan123CheckImagesOperator"


def row(task_id: str, state: str | None, operator: str = SYNC, map_index: int = -1) -> TaskRow:
    return TaskRow(task_id, map_index, operator, state, None, None)


def one_task(state: str, **xcoms: Any) -> Task:
    (task,) = tasks_from(
        "dag", "run", [row("t", state)], [("t", -1, key, value) for key, value in xcoms.items()]
    )
    return task


# --- words ------------------------------------------------------------------------------------------------


def test_all_languages_have_the_same_words_with_the_same_values() -> None:
    english = MESSAGES["en"]
    for words in MESSAGES.values():
        assert words.keys() == english.keys()
        for key, text in words.items():
            assert {*re.findall(r"\{\w+\}", text)} == {*re.findall(r"\{\w+\}", english[key])}, key
            assert text.strip()


def test_the_templates_use_only_words_that_exist() -> None:
    used: set[str] = set()
    for path in TEMPLATES.glob("*.html"):
        for call in Environment(autoescape=True).parse(path.read_text()).find_all(nodes.Call):
            first = call.args[0] if call.args else None
            if isinstance(call.node, nodes.Name) and call.node.name == "t" and isinstance(first, nodes.Const):
                used.add(first.value)
    assert len(used) > 50
    assert used <= MESSAGES["en"].keys()


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "en"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh-CN"),
        ("en-GB,en;q=0.9,zh;q=0.8", "en"),
        ("fr,zh;q=0.5", "zh-CN"),
        ("en;q=0.1, zh-Hant-TW;q=0.2", "zh-CN"),
        ("zh;q=0", "en"),
        ("de-DE", "en"),
        (";;,=,zh;q=x", "en"),
        ("zh" * 10_000, "en"),
    ],
)
def test_the_language_is_the_one_that_the_browser_prefers(header: str, language: str) -> None:
    assert language_of(header) == language


def test_durations_are_in_their_largest_unit() -> None:
    words = Words("en")
    shown = [words.duration(seconds) for seconds in (0, 0.5, 59, 60, 3_600, 90_000)]
    assert shown == ["0 s", "0 s", "59 s", "1 min", "1 h", "1 d"]


def test_one_of_a_kind_is_singular() -> None:
    words = Words("en")
    shown = [words.counted("called_back", number) for number in (0, 1, 2_000)]
    assert shown == ["0 callbacks received", "1 callback received", "2,000 callbacks received"]
    assert words.counted("failed", 1) == "1 failed"


# --- headers, chart ---------------------------------------------------------------------------------------


def test_the_policy_names_only_hosts_of_image_urls() -> None:
    urls = ["https://a.example/1.png", "http://b.example:81/2", "javascript:x", "https://c.example;*/x", None]
    policy = headers(urls)["Content-Security-Policy"]
    assert "img-src data: http://b.example:81 https://a.example; " in policy
    assert "unsafe" not in policy
    assert "*" not in policy


def test_the_chart_fits_its_largest_day_and_shows_small_ones() -> None:
    day = date(2026, 1, 1)
    heights = [bar.height for bar in bars([(day, 0), (day, 1), (day, 100_000)])]
    assert heights == [0, 1, 120]
    assert bars([(day, 0)])[0].height == 0


def test_a_large_number_is_short_above_its_bar() -> None:
    day = date(2026, 1, 1)
    labels = [bar.label for bar in bars([(day, 9_999), (day, 10_000), (day, 123_456)])]
    assert labels == ["9,999", "10k", "123k"]


# --- tasks ------------------------------------------------------------------------------------------------


def test_tasks_are_in_the_order_in_which_they_started() -> None:
    at = datetime(2026, 1, 1, tzinfo=timezone.utc)
    rows = [
        row("check", "running")._replace(start=at + timedelta(hours=2)),
        row("later", None),
        row("sync", "success", map_index=0)._replace(start=at + timedelta(hours=3)),
        row("sync", "success", map_index=1)._replace(start=at),
    ]
    found = [(task.task_id, task.map_index) for task in tasks_from("dag", "run", rows, [])]
    assert found == [("sync", 0), ("sync", 1), ("check", -1), ("later", -1)]


def test_a_running_task_shows_its_progress_and_an_ended_one_its_result() -> None:
    progress = {"total": 10, "done": 4, "failed": 1, "active": 6, "images_per_second": 2.0, "seconds_left": 3}
    running = one_task("running", progress=progress, migrated=2, failed=9)
    assert running.progress == Progress(4, 10, 2.0, 3)
    assert running.counts == {"total": 10, "migrated": 2, "failed": 1, "active": 6}
    ended = one_task("success", progress=progress, total=10, migrated=8, present=2, failed=0, suspect=1)
    assert ended.progress == Progress(4, 10)
    assert ended.counts["failed"] == 0
    assert "active" not in ended.counts
    assert ended.counts["suspect"] == 1


@pytest.mark.parametrize(
    "progress",
    [
        None,
        "x",
        [],
        {"total": "x"},
        {"total": 3, "done": -5, "images_per_second": float("nan"), "seconds_left": "soon"},
        {"total": True, "done": True},
    ],
)
def test_an_odd_progress_is_no_error(progress: Any) -> None:
    task = one_task("running", progress=progress, failures="x", results=5, report=["x"])
    assert (task.failures, task.results, task.report) == ([], None, None)
    assert task.progress is None or task.progress == Progress(0, 3)


def test_instances_with_one_image_each_are_shown_together() -> None:
    states = ["success", "success", "failed", "deferred", None]
    rows = [row("wait", state, SENSOR, index) for index, state in enumerate(states)]
    (task,) = tasks_from("dag", "run", rows, [])
    assert task.states == {"success": 2, "failed": 1, "deferred": 1, "none": 1}
    assert task.progress == Progress(3, 5)
    assert not task.has_ended
    assert task.map_index is None


# --- images -----------------------------------------------------------------------------------------------


def record(number: int, status: str = "failed", reason: str | None = None) -> ResultRecord:
    return ResultRecord(f"https://x.example/{number}?key=secret", "n", status, *(None,) * 6, reason)  # type: ignore[call-arg]


@pytest.fixture
def images(tmp_path: Path) -> Callable[..., Images]:
    """Write a results file, and return the images of a task that wrote it."""

    def made(*records: ResultRecord, choice: Choice | None = None) -> Images:
        path = tmp_path / "results.jsonl"
        Results(str(path), "owner").write(records)
        return Images([one_task("success", results=str(path))], choice=choice)

    return made


def test_reasons_beyond_the_limit_share_a_group_and_none_is_lost(images: Any) -> None:
    records = [record(number, reason=f"reason {number}") for number in range(MAX_GROUPS + 30)]
    groups = images(*records).groups()
    assert len(groups) == MAX_GROUPS + 1
    assert groups[-1].reason == ""
    assert sum(group.images for group in groups) == len(records)
    assert not any("secret" in url for group in groups for url in group.urls)


def test_a_reason_that_quotes_its_url_is_redacted(images: Any) -> None:
    quoting = record(1, reason="https://x.example/1?key=secret answered 404")
    (image,) = images(quoting)
    assert image.reason == "https://x.example/1?key=*** answered 404"


def test_an_unknown_state_is_shown(images: Any) -> None:
    assert [image.status for image in images(record(1, "suspect"), record(2, "new"))] == ["suspect", "new"]
    assert len([*images(record(1, "suspect"), record(2, "new"), choice=Choice("suspect"))]) == 1


def test_a_file_that_is_cut_shows_what_was_read_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    Results(str(path), "owner").write([record(1), record(2)])
    path.write_bytes(path.read_bytes()[:-9])
    images = Images([one_task("success", results=str(path))])
    assert len([*images]) == 1
    assert [name for name, _ in images.problems] == [str(path)]


def test_without_a_results_file_the_first_failures_are_shown() -> None:
    failures = [{"url": "https://x.example/a?key=secret", "file_name": "a", "reason": "gone"}, "odd", {}]
    shown = [*Images([one_task("failed", failures=failures, failed=3)])]
    assert [(image.status, image.url, image.reason) for image in shown] == [
        ("failed", "https://x.example/a?key=***", "gone"),
        ("failed", "", None),
    ]


def test_the_failures_of_a_sync_are_no_findings_and_those_of_a_check_are_no_images() -> None:
    failures = [{"url": "https://x.example/a", "problem": "gone", "reason": "answered 404"}]
    xcoms = [("t", -1, "failures", failures), ("t", -1, "failed", 1)]
    (check,) = tasks_from("dag", "run", [row("t", "failed", CHECK)], xcoms)
    sync = one_task("failed", failures=failures, failed=1)
    assert findings_of([sync]) == ([], 0, 0)
    assert findings_of([sync, check]) == ([("gone", "answered 404", ["https://x.example/a"])], 1, 1)
    assert [image.reason for image in Images([sync, check])] == ["answered 404"]


def test_a_running_check_has_no_results_file_of_its_own() -> None:
    (check,) = tasks_from(
        "dag", "run", [row("t", "running", CHECK)], [], {("t", -1): {"results": "/its/input.jsonl"}}
    )
    assert check.results is None


@pytest.mark.parametrize(
    ("states", "status"),
    [(["success"], "submitted"), (["success", "deferred"], "waiting"), (["success", "failed"], "failed")],
)
def test_a_submission_without_an_image_has_the_state_of_its_tasks(states: list[str], status: str) -> None:
    rows = [row(f"t{number}", state, SENSOR) for number, state in enumerate(states)]
    tasks = tasks_from("dag", "run", rows, [])
    xcoms = [("t0", -1, "return_value", {"taskID": 1, "url": "https://x.example/a"}), ("t1", -1, "", "odd")]
    failed = {(one.task_id, -1): (dict[str, Any](), dict[str, Any]()) for one in rows if one.is_failed_single}
    assert [image.status for image in single_images(tasks, xcoms, failed)] == [status]


LINK = {"taskID": 1, "url": "https://x.example/a?token=the-signature", "file_name": "a.png"}


def singles(
    *rows: TaskRow, returned: dict[tuple[str, int], Any] | None = None, **arguments: dict[str, Any]
) -> list[tuple[str, str, str, int]]:
    """Return state, URL, task ID and map index of the images of these tasks, which failed with these arguments."""
    tasks = tasks_from("dag", "run", rows, [])
    xcoms = [(*place, "return_value", value) for place, value in (returned or {}).items()]
    places = [one[:2] for one in rows if one.is_failed_single]
    failed = {place: (dict[str, Any](), arguments.get(place[0], {})) for place in places}
    found = single_images(tasks, xcoms, failed)
    for task in counted(tasks, found):
        own = [image.status for image in found if image.task_id == task.task_id]
        assert task.counts == {key: own.count(key) for key in ("migrated", "failed") if key in own}
    return [(image.status, image.url, image.task_id, image.map_index) for image in found]


def test_a_failed_sensor_fails_the_image_that_its_arguments_name() -> None:
    rows = row("submit", "success", SUBMIT), row("other", "success", SUBMIT), row("wait", "failed", SENSOR)
    returned = {("submit", -1): LINK, ("other", -1): {"taskID": 2, "url": "https://x.example/b"}}
    shown = ("failed", "https://x.example/a?token=***", "wait", -1)
    other = ("submitted", "https://x.example/b", "other", -1)
    for submission in (LINK, 1, "1"):
        assert singles(*rows, returned=returned, wait={"submission": submission}) == [shown, other]
    assert singles(rows[2], wait={"submission": LINK}) == [shown]


def test_a_failed_sensor_without_arguments_fails_no_submission_if_several_may_be_meant() -> None:
    rows = row("a", "success", SUBMIT), row("b", "success", SUBMIT), row("wait", "failed", SENSOR)
    returned = {(name, -1): {"taskID": name, "url": f"https://x.example/{name}"} for name in "ab"}
    assert singles(*rows, returned=returned) == [
        ("submitted", "https://x.example/a", "a", -1),
        ("submitted", "https://x.example/b", "b", -1),
        ("failed", "", "wait", -1),
    ]


def test_a_failed_sensor_without_arguments_fails_the_submission_with_its_map_index() -> None:
    submits = [row("submit", "success", SUBMIT, index) for index in range(3)]
    waits = [
        row("wait", state, SENSOR, index) for index, state in enumerate(("deferred", "failed", "success"))
    ]
    returned = {
        ("submit", index): {"taskID": index, "url": f"https://x.example/{index}"} for index in range(3)
    }
    returned["wait", 2] = returned["submit", 2] | {"fileID": "f"}
    assert singles(*submits, *waits, returned=returned) == [
        ("waiting", "https://x.example/0", "submit", 0),
        ("failed", "https://x.example/1", "wait", 1),
        ("migrated", "https://x.example/2", "wait", 2),
    ]


def test_a_submission_that_fails_does_not_fail_the_others() -> None:
    rows = [row("submit", state, SUBMIT, index) for index, state in enumerate(("success", "failed"))]
    assert singles(*rows, row("wait", "upstream_failed", SENSOR), returned={("submit", 0): LINK}) == [
        ("submitted", "https://x.example/a?token=***", "submit", 0),
        ("failed", "", "submit", 1),
    ]


def test_a_failed_task_whose_image_is_stored_has_no_failed_image() -> None:
    stored = {("wait", -1): LINK | {"fileID": "f"}}
    assert [image[0] for image in singles(row("wait", "failed", SENSOR), returned=stored)] == ["migrated"]


def test_a_url_that_airflow_has_cut_is_not_shown() -> None:
    cut = {"url": "Truncated. You are likely to see https://x.example/a?token=the-signature"}
    assert singles(row("submit", "failed", SUBMIT), submit=cut) == [("failed", "", "submit", -1)]
    assert singles(row("submit", "failed", SUBMIT), submit={"url": LINK["url"]}) == [
        ("failed", "https://x.example/a?token=***", "submit", -1)
    ]
