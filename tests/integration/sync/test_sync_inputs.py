"""Every bad input of a batch gives an error that names the field, before anything is sent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_123pan.exceptions import Pan123NoConnectionError
from airflow_provider_123pan.operators.sync_images import Pan123SyncImagesOperator
from airflow_provider_123pan.sandbox import Sandbox

URLS = ["https://example.com/a.png"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"images": None}, "^images: give either images or manifest"),
        ({"manifest": "a.txt"}, "^images: give either images or manifest"),
        ({"images": "https://example.com/a.png"}, "^images: got a str, not a list"),
        (
            {"images": ["ftp://a/b.png", "https://a/b"], "on_invalid": "fail", "probe": False},
            r"2 entries(.|\n)*images\[0\]: url: (.|\n)*images\[1\]: file_n",
        ),
        ({"images": None, "manifest": "no-such.txt"}, "^manifest: there is no file 'no-such.txt'"),
        ({"images": None, "manifest": "a.xlsx"}, "^manifest: 'a.xlsx' is none of"),
        ({"directory": "a", "directory_id": "b"}, "^directory: give either"),
        ({"directory": "/"}, "^directory: '/' is not a path"),
        ({"directory": "a//b"}, "^directory: 'a//b' is not a path"),
        ({"directory": "a/../b"}, "^directory: "),
        ({"directory_id": "0"}, "^directory_id: '0' is the root"),
        ({"results": "out.xlsx"}, "^results: 'out.xlsx' must end with .jsonl or .csv"),
        ({"if_exists": "replace"}, "^if_exists: 'replace' is neither 'skip' nor 'overwrite'"),
        ({"on_invalid": "ignore"}, "^on_invalid: 'ignore' is neither 'record' nor 'fail'"),
        ({"images": []}, "^images: the list is empty"),
        ({"images": None, "manifest": __file__ + ".txt", "encoding": "x"}, "^encoding: Python knows none"),
        ({"name": "{stem}.jpg"}, "^name: '{stem}.jpg' must end with .{ext}"),
        ({"name": "{title}.{ext}"}, "^name: 'title' is unknown; the fields are {stem}, {digest}"),
        ({"name": "{stem.x}.{ext}"}, "^name: 'stem.x' is unknown"),
        ({"name": "{stem"}, "^name: '{stem' cannot be read"),
        ({"name": "a/{stem}.{ext}"}, "^name: 'a/{stem}.{ext}' must be a plain name"),
        ({"max_active": 0}, "^max_active: 0 is not a number above 0"),
        ({"max_active": True}, "^max_active: True"),
        ({"max_failures": "some"}, "^max_failures: 'some' is neither"),
        ({"max_failures": -1}, "^max_failures: -1"),
        ({"max_failures": 0.5}, "^max_failures: 0.5"),
        ({"max_failures": "nan%"}, "^max_failures: 'nan%'"),
        ({"use_callback": True}, "^use_callback: connection 'pan123_default' has no callback_base_url"),
    ],
)
@pytest.mark.usefixtures("connect")
def test_arguments(
    arguments: dict[str, Any],
    words: str,
    sandbox: Sandbox,
    context: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    operator = Pan123SyncImagesOperator(task_id="sync", **{"images": URLS} | arguments)
    with pytest.raises(AirflowFailException, match=words):
        operator.execute(context)  # type: ignore[arg-type]
    assert sandbox.state()["counts"]["requests"] == {}


@pytest.mark.usefixtures("connect")
def test_a_missing_connection_is_retried(context: dict[str, Any]) -> None:
    operator = Pan123SyncImagesOperator(task_id="sync", images=URLS, pan123_conn_id="no_such")
    with pytest.raises(Pan123NoConnectionError, match="^pan123_conn_id: there is no connection 'no_such'"):
        operator.execute(context)  # type: ignore[arg-type]


@pytest.mark.parametrize("timeout", [-1, True, "1 day"])
def test_a_timeout_that_is_none(timeout: Any) -> None:
    with pytest.raises(ValueError, match="^timeout must be"):
        Pan123SyncImagesOperator(task_id="sync", images=URLS, timeout=timeout)
