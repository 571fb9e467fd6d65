"""The operator and the sensor for one image probe the source for its format, and for the reason of a failure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_123pan.exceptions import Pan123DownloadFailedError, Pan123SourceError
from airflow_provider_123pan.operators.offline_download import Pan123OfflineDownloadOperator
from airflow_provider_123pan.sandbox import Sandbox
from airflow_provider_123pan.sensors.offline_download import Pan123OfflineDownloadSensor
from tests.sources import AVIF, Source, image, serve
from tests.support import MODES, run, sensor

PRIVATE = {"private_hosts": ["127.0.0.1"]}
HOTLINK = (
    "123pan could not download or keep the image; a probe by the worker: source answered 403 without Referer"
)

pytestmark = pytest.mark.usefixtures("connect")


@pytest.fixture
def source() -> Iterator[Source]:
    with serve() as running:
        yield running


def submit(context: dict[str, Any], url: str, **arguments: Any) -> dict[str, Any]:
    given = {"poke_interval": 0.1, **PRIVATE, **arguments}
    result: dict[str, Any] = run(Pan123OfflineDownloadOperator(task_id="submit", url=url, **given), context)
    return result


@pytest.mark.parametrize("path", ["/640", "/a.png!large", "/x/"])
def test_a_missing_format_is_probed(path: str, source: Source, context: dict[str, Any]) -> None:
    source.answers[path] = image("image/webp")
    submission = submit(context, source.url + path)
    assert submission["file_name"].endswith(".webp")
    found = run(sensor("poke", submission), context)
    assert found["file_name"] == submission["file_name"]
    assert found["download_url"]
    assert source.methods() == ["HEAD"]


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (image("image/avif", AVIF), AirflowFailException, r"\(Content-Type image/avif\); give a name"),
        (image(status=503), Pan123SourceError, r"\(source answered 503\); give a name"),
    ],
)
def test_without_a_format_nothing_is_submitted(
    answer: Any, error: type[Exception], words: str, source: Source, sandbox: Sandbox, context: dict[str, Any]
) -> None:
    source.answers["/640"] = answer
    with pytest.raises(error, match=words):
        submit(context, f"{source.url}/640")
    assert sandbox.state()["counts"]["submissions"] == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"probe": False}, "^file_name: the URL shows no image extension; give a name that has one"),
        ({"private_hosts": []}, "which is not public; add the host"),
        ({"private_hosts": "127.0.0.1"}, "^private_hosts: give a list of hosts"),
    ],
)
def test_a_probe_that_is_not_allowed_is_not_made(
    arguments: dict[str, Any], words: str, source: Source, sandbox: Sandbox, context: dict[str, Any]
) -> None:
    source.answers["/640"] = image()
    with pytest.raises(AirflowFailException, match=words):
        submit(context, f"{source.url}/640", **arguments)
    assert source.asked == []
    assert sandbox.state()["counts"]["submissions"] == 0


@pytest.mark.parametrize("later", [image("image/png"), image(status=403)], ids=["another format", "refused"])
def test_a_retry_continues_whatever_the_source_answers_then(
    later: Any, source: Source, sandbox: Sandbox, context: dict[str, Any]
) -> None:
    source.answers["/640"] = image()
    first = submit(context, f"{source.url}/640")
    source.answers["/640"] = later
    assert submit(context, f"{source.url}/640") == first
    assert sandbox.state()["counts"]["submissions"] == 1


@pytest.mark.parametrize("mode", MODES)
def test_the_sensor_completes_the_reason_of_a_failure(
    mode: str, source: Source, sandbox: Sandbox, context: dict[str, Any]
) -> None:
    source.answers["/a.png"] = image(status=403)
    sandbox.configure(fail=".")
    submission = submit(context, f"{source.url}/a.png")
    with pytest.raises(AirflowFailException, match=rf"{HOTLINK} \[pan123-download-failed\]$"):
        run(sensor(mode, submission, **PRIVATE), context)
    assert source.methods() == ["HEAD", "GET"]


@pytest.mark.parametrize("deferrable", [True, False])
def test_the_waiting_operator_completes_the_reason_of_a_failure(
    deferrable: bool, source: Source, sandbox: Sandbox, context: dict[str, Any]
) -> None:
    source.answers["/a.png"] = image(status=403)
    sandbox.configure(fail=".")
    with pytest.raises(Pan123DownloadFailedError, match=rf"{HOTLINK} \[pan123-download-failed\]$"):
        submit(context, f"{source.url}/a.png", wait_for_completion=True, deferrable=deferrable)


def test_a_reason_is_not_completed_if_probing_is_turned_off(
    source: Source, sandbox: Sandbox, context: dict[str, Any]
) -> None:
    sandbox.configure(fail=".")
    submission = submit(context, f"{source.url}/a.png")
    with pytest.raises(
        AirflowFailException, match=r"could not download or keep the image \[pan123-download-failed\]$"
    ):
        run(sensor("poke", submission, probe=False, **PRIVATE), context)
    assert source.asked == []


def test_wrong_private_hosts_fail_before_the_wait(context: dict[str, Any]) -> None:
    wait = Pan123OfflineDownloadSensor(task_id="wait", submission=7, private_hosts="127.0.0.1")
    with pytest.raises(AirflowFailException, match="^private_hosts: give a list of hosts"):
        wait.execute(context)  # type: ignore[arg-type]
