"""What the documents leave open about the service: each reading of it ends in the right image, or in a clear error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_123pan.exceptions import Pan123Error
from airflow_provider_123pan.operators.offline_download import Pan123OfflineDownloadOperator
from airflow_provider_123pan.sandbox import Sandbox
from dev.waiting import wait_for
from tests.support import run, sensor

URL = "https://example.com/pictures/café.jpg"
OLDER = "https://example.com/older/café.jpg"

# In reschedule mode, a check is the same as in poke mode.
pytestmark = [pytest.mark.usefixtures("connect"), pytest.mark.parametrize("mode", ["poke", "deferrable"])]


def submit(context: dict[str, Any], **arguments: Any) -> dict[str, Any]:
    context["task_state_store"].values.clear()
    given: dict[str, Any] = {"url": URL, "file_name": "café.jpg"} | arguments
    return Pan123OfflineDownloadOperator(task_id="submit", **given).execute(context)  # type: ignore[arg-type]


@pytest.fixture
def older(sandbox: Sandbox, context: dict[str, Any], mode: str) -> str:
    """Store an image of the name, of other content, a minute ago, and return its fileID."""
    sandbox.configure(delay=0, clock_offset=-60)
    submit(context, url=OLDER)
    wait_for(lambda: sandbox.state()["files"], what="the older image", timeout=30)
    sandbox.configure(clock_offset=0)
    return str(sandbox.state()["files"][0]["fileId"])


def stored_for(sandbox: Sandbox, older: str) -> str:
    (found,) = [file["fileId"] for file in sandbox.state()["files"] if file["fileId"] != older]
    return str(found)


# --- an older image of the name is never taken for the new one ---------------------------------------------


@pytest.mark.parametrize(
    ("reading", "matched_by"),
    [
        pytest.param({"visible_after": 1.0}, "variant", id="listed late"),
        pytest.param({"numbering": "name (1)"}, "variant", id="numbered with a space"),
        pytest.param({"numbering": "name_1"}, "variant", id="numbered with an underscore"),
        pytest.param({"numbering": "name-1"}, "variant", id="numbered with a hyphen"),
        pytest.param({"naming": "timestamped"}, "variant", id="timestamped"),
    ],
)
def test_a_new_name(
    mode: str,
    reading: dict[str, Any],
    matched_by: str,
    older: str,
    sandbox: Sandbox,
    context: dict[str, Any],
    set_timing: Callable[..., None],
) -> None:
    set_timing(visible_within=2.0)
    sandbox.configure(**reading)
    found = run(sensor(mode, submit(context)), context)
    assert (found["fileID"], found["matched_by"]) == (stored_for(sandbox, older), matched_by)
    assert found["download_url"]


def test_a_name_made_of_the_content_proves_nothing_beside_an_older_image(
    mode: str, older: str, sandbox: Sandbox, context: dict[str, Any], set_timing: Callable[..., None]
) -> None:
    set_timing(visible_within=1.0)
    sandbox.configure(naming="hashed")
    with pytest.raises(Pan123Error, match="no image in its directory is certainly 'café.jpg'"):
        run(sensor(mode, submit(context)), context)


@pytest.mark.parametrize("dates", ["utc", "empty"])
def test_dates_that_show_nothing_end_in_an_error_rather_than_in_the_older_image(
    mode: str,
    dates: str,
    older: str,
    sandbox: Sandbox,
    context: dict[str, Any],
    set_timing: Callable[..., None],
) -> None:
    """The new image is numbered; without dates, nothing shows that it is not another old one."""
    set_timing(visible_within=1.0)
    sandbox.configure(dates=dates)
    with pytest.raises(Pan123Error, match="certainly"):
        run(sensor(mode, submit(context)), context)


# --- a success is found, whatever form it has -----------------------------------------------------------------


@pytest.mark.parametrize(
    "reading",
    [
        pytest.param({"default_directory": "full-width"}, id="full-width colon"),
        pytest.param({"default_directories": 3}, id="several default directories"),
        pytest.param({"naming": "nfd"}, id="NFD"),
        pytest.param({"dates": "unix"}, id="dates as numbers"),
        pytest.param({"dates": "slashes"}, id="dates with slashes"),
        pytest.param({"image_urls": "detail"}, id="no URLs in listings"),
    ],
)
def test_a_success(mode: str, reading: dict[str, Any], sandbox: Sandbox, context: dict[str, Any]) -> None:
    sandbox.configure(**reading)
    for number in range(3 if "default_directories" in reading else 1):
        found = run(
            sensor(mode, submit(context, url=f"{URL}?{number}", file_name=f"café {number}.jpg")), context
        )
        stored = {file["fileId"]: file for file in sandbox.state()["files"]}[found["fileID"]]
        assert stored["downloadURL"] == found["download_url"]


@pytest.mark.parametrize("dates", ["utc", "empty"])
def test_dates_that_show_nothing_cost_time(
    mode: str, dates: str, sandbox: Sandbox, context: dict[str, Any], set_timing: Callable[..., None]
) -> None:
    set_timing(settling=0.2, visible_within=1.0)
    sandbox.configure(dates=dates)
    found = run(sensor(mode, submit(context)), context)
    assert found["fileID"] == sandbox.state()["files"][0]["fileId"]
    assert found["matched_by"] == ("older" if dates == "empty" else "name")


@pytest.mark.parametrize("fault", ["html", "empty", "no-code", "redirect", "verifying", "server-error"])
@pytest.mark.parametrize("path", ["process$", "list$", "detail$"])
def test_one_odd_answer_to_a_read_changes_nothing(
    mode: str, path: str, fault: str, sandbox: Sandbox, context: dict[str, Any]
) -> None:
    sandbox.configure(delay=0, image_urls="detail", callback="never")
    submission = submit(context)
    sandbox.configure(answers=[{"path": path, "fault": fault, "times": 1}])
    found = run(sensor(mode, submission), context)
    assert found["download_url"] == sandbox.state()["files"][0]["downloadURL"]
    assert sandbox.state()["answers_left"] == [0]


def test_an_image_without_any_url_is_an_error(
    mode: str, sandbox: Sandbox, context: dict[str, Any], set_timing: Callable[..., None]
) -> None:
    set_timing(visible_within=1.0)
    sandbox.configure(image_urls="nowhere")
    with pytest.raises(Pan123Error, match="gives no URL for its image 'café.jpg'"):
        run(sensor(mode, submit(context)), context)


def test_a_taskid_that_is_forgotten_is_reported_as_running(
    mode: str, sandbox: Sandbox, context: dict[str, Any], set_timing: Callable[..., None]
) -> None:
    sandbox.configure(delay=0, unknown_task=3600, unknown_task_as="running")
    set_timing(last_poll=60.0)  # the last poll may have to queue for long on a busy machine
    found = run(sensor(mode, submit(context), timeout=2, poke_interval=0.5), context)
    assert found["fileID"] == sandbox.state()["files"][0]["fileId"]


def test_a_block_of_the_load_balancer_is_quoted(mode: str, sandbox: Sandbox, context: dict[str, Any]) -> None:
    sandbox.configure(answers=[{"path": "download$", "fault": "blocked"}])
    with pytest.raises((Pan123Error, AirflowFailException), match="forbidden client ip"):
        submit(context)
