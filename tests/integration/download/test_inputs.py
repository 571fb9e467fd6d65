"""Every bad input gives an error that names the field or the call, and what to do.

``AirflowFailException`` is what no retry can mend; the others are retried.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_123pan.exceptions import (
    Pan123AnswerError,
    Pan123NoConnectionError,
    Pan123ServiceError,
    Pan123UnavailableError,
)
from airflow_provider_123pan.operators.offline_download import Pan123OfflineDownloadOperator
from airflow_provider_123pan.sandbox import Sandbox
from airflow_provider_123pan.sensors.offline_download import Pan123OfflineDownloadSensor

URL = "https://example.com/a.jpg"
CREATE = "offline/download$"
Connect = Callable[..., None]


def submit(context: Any, **arguments: Any) -> Any:
    given: dict[str, Any] = {"url": URL} | arguments
    return Pan123OfflineDownloadOperator(task_id="submit", **given).execute(context)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"url": "ftp://example.com/a.jpg"}, r"^url: the scheme .* is not http or https"),
        ({"url": ""}, r"^url: got ''; give the image's URL"),
        ({"url": None}, r"^url: got None; give the image's URL"),
        ({"url": URL + "?\x00"}, r"^url: it contains control characters"),
        ({"url": URL + "?\ud800"}, r"^url: it contains control characters"),
        ({"url": URL + "?" + "x" * 8192}, r"^url: it has \d+ characters; at most 8192"),
        ({"file_name": "a.exe"}, r"^file_name: 'a.exe' needs .* one of bmp, gif, jpeg"),
        ({"file_name": "a:b?c.jpg"}, r"^file_name: 'a:b\?c.jpg' contains : \?; 123pan takes none of"),
        ({"file_name": "  .jpg"}, r"^file_name: '  .jpg' needs a name"),
        ({"file_name": "x" * 300 + ".jpg"}, r"^file_name: .* has 304 characters; 123pan takes at most 254"),
        ({"directory_id": "0"}, r"^directory_id: '0' is the root"),
        ({"directory_id": ""}, r"^directory_id: '' is the root"),
    ],
)
@pytest.mark.usefixtures("connect")
def test_operator_arguments(
    arguments: dict[str, Any], words: str, sandbox: Sandbox, context: dict[str, Any]
) -> None:
    with pytest.raises(AirflowFailException, match=words):
        submit(context, **arguments)
    assert sandbox.state()["counts"]["requests"] == {}


def test_a_missing_connection_is_retried_since_airflow_may_only_be_unreachable(
    context: dict[str, Any],
) -> None:
    with pytest.raises(
        Pan123NoConnectionError, match=r"^pan123_conn_id: there is no connection 'no_such'; create"
    ):
        submit(context, pan123_conn_id="no_such")


@pytest.mark.parametrize("deferrable", [True, False])
@pytest.mark.parametrize(
    ("submission", "words"),
    [
        (None, "^submission: got None; pass the operator's output"),
        (("url", URL), "^submission: got the pair .* not mapped"),
        ({"x": 1}, "^submission: the dict has no taskID"),
        ("{{ wrong }}", "^submission: got a str"),
    ],
)
@pytest.mark.usefixtures("connect")
def test_sensor_arguments(
    submission: Any, words: str, deferrable: bool, sandbox: Sandbox, context: Any
) -> None:
    sensor = Pan123OfflineDownloadSensor(task_id="wait", submission=submission, deferrable=deferrable)
    with pytest.raises(AirflowFailException, match=words):
        sensor.execute(context)
    assert sandbox.state()["counts"]["requests"] == {}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"login": ""}, r"connection 'pan123_default': login \(client ID\) is empty"),
        ({"password": None}, r"connection 'pan123_default': password \(client secret\) is empty"),
        ({"host": "ftp://open-api.123pan.com"}, "connection 'pan123_default': host must be an http or https"),
        ({"host": "https://user:pw@example.com"}, "host must hold neither user nor query"),
        ({"host": "https://example.com:x"}, "host must be an http or https"),
        ({"extra": {"timeout": "soon"}}, "timeout is 'soon'; it must be a number above 0"),
        ({"extra": {"timeout": 0}}, "timeout is 0; it must be a number above 0"),
        ({"extra": {"requests_per_second": -1}}, "requests_per_second is -1"),
        ({"extra": {"requests_per_second": True}}, "requests_per_second is True"),
        ({"extra": {"verify": 3}}, "verify must be true, false or the path"),
        ({"extra": {"verify": "/no/such.pem"}}, "verify names '/no/such.pem', which is no file"),
        ({"extra": {"proxy": 8080}}, "proxy must be a text"),
        ({"extra": {"proxy": "127.0.0.1:8080"}}, "proxy must be an http or https address"),
        ({"extra": {"access_token": "abc\npw"}}, "access_token holds characters that no token has"),
        ({"extra": "[1]"}, "extra is not a JSON object"),
        ({"extra": "{"}, "extra is not a JSON object"),
    ],
)
def test_connection_fields(
    fields: dict[str, Any], words: str, connect: Connect, sandbox: Sandbox, context: dict[str, Any]
) -> None:
    connect(**fields)
    with pytest.raises(AirflowFailException, match=words) as caught:
        submit(context)
    assert "pw" not in str(caught.value)
    assert sandbox.state()["counts"]["requests"] == {}


def test_wrong_secret(connect: Connect, context: dict[str, Any]) -> None:
    connect(password="not-the-secret")
    with pytest.raises(AirflowFailException, match=r"^login: .*\(code 1, x-traceID ") as caught:
        submit(context)
    assert "not-the-secret" not in str(caught.value)


def test_wrong_access_token(connect: Connect, sandbox: Sandbox, context: dict[str, Any]) -> None:
    connect(extra={"access_token": "not-a-token"})
    with pytest.raises(AirflowFailException, match="replace access_token") as caught:
        submit(context)
    assert "not-a-token" not in str(caught.value)
    assert sandbox.state()["counts"]["logins"] == 0


@pytest.mark.parametrize(
    "host", ["http://no-such-host.invalid", "http://127.0.0.1:1"], ids=["no such name", "nobody listens"]
)
def test_host_that_is_not_there(host: str, connect: Connect, context: dict[str, Any]) -> None:
    connect(host=host)
    with pytest.raises(
        Pan123UnavailableError, match=f"^login: no answer from {host}: .*connection's host"
    ) as caught:
        submit(context)
    assert not caught.value.ambiguous


ENVELOPE = {"code": 0, "message": "ok", "x-traceID": "trace-5"}


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        pytest.param(
            {"body": "<html>hello</html>"},
            Pan123UnavailableError,
            r"^create_offline_download: HTTP 200 without the service's JSON \(hello\); if it stays, check",
            id="not JSON",
        ),
        pytest.param(
            {"body": ENVELOPE | {"data": None}},
            Pan123AnswerError,
            "^create_offline_download: the answer is not understood: data is None.*trace-5",
            id="null data",
        ),
        pytest.param(
            {"body": ENVELOPE | {"data": {}}},
            Pan123AnswerError,
            "^create_offline_download: the answer is not understood: taskID is None.*trace-5",
            id="missing key",
        ),
        pytest.param(
            {"body": ENVELOPE | {"code": 1, "message": "参数错误"}},
            Pan123ServiceError,
            r"^create_offline_download: 参数错误 \(code 1, x-traceID trace-5\)",
            id="code 1",
        ),
        pytest.param(
            {"status": 503, "body": "<html>"},
            Pan123UnavailableError,
            "^create_offline_download: HTTP 503 from the gateway",
            id="gateway 503",
        ),
        pytest.param(
            {"status": 403, "body": "<html>"},
            Pan123UnavailableError,
            "^create_offline_download: HTTP 403 from the gateway",
            id="gateway 403",
        ),
        pytest.param(
            {"status": 307, "headers": {"Location": "https://evil.example/"}},
            AirflowFailException,
            "^create_offline_download: HTTP 307 redirects to 'https://evil.example/', which is not followed; set",
            id="redirect",
        ),
    ],
)
@pytest.mark.usefixtures("connect")
def test_answers(
    answer: dict[str, Any],
    kind: type[Exception],
    words: str,
    sandbox: Sandbox,
    context: dict[str, Any],
    set_timing: Callable[..., None],
) -> None:
    set_timing(search=0.2, search_interval=0.1)
    sandbox.configure(answers=[{"path": CREATE, "times": None} | answer])
    with pytest.raises(kind, match=words):
        submit(context)
    assert sandbox.state()["counts"]["submissions"] == 0


@pytest.mark.usefixtures("connect")
def test_a_redirected_login_is_not_followed(sandbox: Sandbox, context: dict[str, Any]) -> None:
    other = f"{sandbox.base_url}/elsewhere"
    sandbox.configure(
        answers=[{"path": "access_token$", "status": 307, "headers": {"Location": other}, "times": None}]
    )
    with pytest.raises(AirflowFailException, match="^login: HTTP 307 redirects"):
        submit(context)
    assert "/elsewhere" not in sandbox.state()["counts"]["requests"]


@pytest.mark.usefixtures("connect")
def test_netrc_does_not_replace_the_token(
    context: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n", encoding="utf-8")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    assert submit(context)["taskID"]
    assert submit(context)["taskID"]
