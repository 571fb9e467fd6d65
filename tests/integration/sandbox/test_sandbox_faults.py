"""The sandbox's faults: answers that are scripted, delayed, or missing."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import requests

from airflow_provider_123pan.sandbox import Sandbox, api
from tests.integration.sandbox.support import (
    CREATE,
    DETAIL,
    GOOD,
    HOUR_SECONDS,
    PROGRESS,
    Client,
    wait_until,
)

# For a request that is never answered: seconds to connect, and seconds to wait for the answer.
_GIVE_UP_SECONDS = (60, 0.1)


def test_scripted_answers_replace_the_usual_ones_in_order(client: Client) -> None:
    client.sandbox.configure(
        answers=[
            {"path": "detail$", "body": "<html>no JSON</html>"},
            {"path": "detail$", "status": 302, "headers": {"Location": "http://elsewhere.invalid/"}},
            {"path": "detail$", "body": {"code": 0, "message": "ok", "data": None}, "times": 2},
            {"path": "detail$", "status": 504, "body": "upstream timed out"},
        ]
    )
    answers = [client.send("GET", DETAIL, params={"fileID": "x"}) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [200, 302, 200, 200, 504, 200]
    assert answers[0].text == "<html>no JSON</html>"
    assert answers[1].headers["Location"] == "http://elsewhere.invalid/"
    assert answers[2].json()["data"] is None
    assert answers[5].json()["code"] == 5066
    assert client.sandbox.state()["answers_left"] == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("fault", "status", "text"),
    [
        ("html", 200, "<html>"),
        ("empty", 200, ""),
        ("no-code", 200, '{"message"'),
        ("verifying", 200, '{"code": 20103'),
        ("redirect", 302, ""),
        ("server-error", 500, "Internal"),
        ("bad-gateway", 502, "<html>"),
        ("blocked", 403, "123pan-global-slb forbidden client ip"),
    ],
)
@pytest.mark.parametrize("path", [PROGRESS, DETAIL])
def test_a_fault_has_a_name(client: Client, fault: str, status: int, text: str, path: str) -> None:
    client.sandbox.configure(answers=[{"path": f"{path}$", "fault": fault}])
    answer = client.send("GET", path)
    assert answer.status_code == status
    assert answer.text.startswith(text)
    assert bool(text) == bool(answer.text)
    assert ("Location" in answer.headers) == (fault == "redirect")
    if fault == "no-code":
        assert "code" not in answer.json()
    assert client.get(path)["code"] == 1, "the fault occurs once"


def test_a_creation_may_arrive_although_its_answer_is_a_fault(client: Client) -> None:
    answers = [{"path": f"{CREATE}$", "fault": "server-error", "action": "process-then-answer"}]
    settings = client.sandbox.configure(fetch=False, answers=answers)
    assert client.sandbox.configure(answers=settings["answers"]) == settings, "settings can be sent back"
    assert client.send("POST", CREATE, json=GOOD).status_code == 500
    wait_until(lambda: client.sandbox.state()["files"])
    assert client.sandbox.state()["counts"]["submissions"] == 1


def test_given_fields_replace_those_of_a_fault(client: Client) -> None:
    client.sandbox.configure(answers=[{"path": "detail$", "fault": "redirect", "status": 307}])
    answer = client.send("GET", DETAIL)
    assert (answer.status_code, answer.headers["Location"]) == (307, "/")
    with pytest.raises(ValueError, match="fault"):
        client.sandbox.configure(answers=[{"path": "detail$", "fault": ["html"]}])


@pytest.mark.parametrize(
    ("urls", "in_list", "in_detail"),
    [("everywhere", True, True), ("detail", False, True), ("nowhere", False, False)],
)
def test_image_urls_may_be_missing(client: Client, urls: str, in_list: bool, in_detail: bool) -> None:
    client.sandbox.configure(fetch=False, own_domain="https://img.example.com", image_urls=urls)
    client.migrate("http://127.0.0.1/a.png")
    (directory,) = client.files("")
    (listed,) = client.files(directory["fileId"])
    detail = client.get(DETAIL, fileID=listed["fileId"])["data"]
    for key in ("downloadURL", "userSelfURL"):
        assert (bool(listed[key]), bool(detail[key])) == (in_list, in_detail)


def test_a_connection_breaks_before_or_after_the_call_is_processed(client: Client) -> None:
    client.sandbox.configure(
        fetch=False,
        answers=[
            {"path": "download$", "action": "drop"},
            {"path": "download$", "action": "process-then-drop"},
            {"path": "download$", "action": "process-then-answer", "status": 502},
        ],
    )
    for created in (0, 1):
        with pytest.raises(requests.ConnectionError):
            client.post(CREATE, **GOOD)
        assert client.sandbox.state()["counts"]["submissions"] == created
    assert client.send("POST", CREATE, json=GOOD).status_code == 502
    assert client.sandbox.state()["counts"]["submissions"] == 2
    assert client.post(CREATE, **GOOD)["code"] == 0


@pytest.mark.parametrize(("action", "submissions"), [("process-then-answer", 1), ("pass", 0)])
def test_a_delayed_answer_may_outlast_the_client(action: str, submissions: int) -> None:
    delayed = {"path": "download$", "action": action, "delay": HOUR_SECONDS}
    with Sandbox(delay=0, fetch=False, answers=[delayed]) as sandbox:
        client = Client(sandbox)
        client.log_in()
        with pytest.raises(requests.ReadTimeout):
            client.send("POST", CREATE, json=GOOD, timeout=_GIVE_UP_SECONDS)
        wait_until(lambda: sandbox.state()["counts"]["requests"].get(CREATE))
        wait_until(lambda: sandbox.state()["counts"]["submissions"] == submissions)


def test_a_call_is_processed_after_its_delay(client: Client) -> None:
    client.sandbox.configure(fetch=False, answers=[{"path": "download$", "action": "pass", "delay": 0.01}])
    assert client.post(CREATE, **GOOD)["code"] == 0
    assert client.sandbox.state()["answers_left"] == [0]


def test_the_gateway_fails_some_calls(client: Client) -> None:
    client.sandbox.configure(gateway="/oss/", gateway_times=2)
    answers = [client.send("GET", DETAIL, params={"fileID": "x"}) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [502, 502, 200]
    assert answers[0].text.startswith("<html>")
    assert answers[0].headers["Content-Type"].startswith("text/html")
    client.sandbox.configure(gateway="/oss/", gateway_times=None, gateway_share=0.5)
    statuses = {client.send("GET", DETAIL, params={"fileID": "x"}).status_code for _ in range(40)}
    assert statuses == {200, 502}


def test_latency_delays_each_answer(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    fake: Any = SimpleNamespace(sleep=sleep)
    monkeypatch.setattr(api, "asyncio", fake)
    client.sandbox.configure(latency="15,20")
    client.get(DETAIL, fileID="x")
    client.get(DETAIL, fileID="x")
    assert len(slept) == 2
    assert all(15 <= seconds <= 20 for seconds in slept)


def test_an_answer_of_an_image_url_can_be_scripted(client: Client) -> None:
    client.sandbox.configure(fetch=False, answers=[{"path": r"^/\d+/", "fault": "traffic-exceeded"}])
    client.migrate("http://127.0.0.1/a.png")
    url = client.sandbox.state()["files"][0]["downloadURL"]
    assert requests.get(url, timeout=10).json()["code"] == 5113
    assert requests.get(url, timeout=10).headers["Content-Type"] == "image/png"
    client.sandbox.configure(answers=[{"path": r"^/\d+/", "action": "drop"}])
    with pytest.raises(requests.ConnectionError):
        requests.get(url, timeout=10)
    assert client.sandbox.state()["counts"]["served"] == 3


def test_images_can_be_lost(client: Client) -> None:
    client.sandbox.configure(fetch=False)
    for name in ("a1.png", "a2.png", "b.png"):
        client.migrate(f"http://127.0.0.1/{name}")
    assert client.sandbox.lose(r"^a\d") == 2
    (left,) = client.sandbox.state()["files"]
    assert left["filename"] == "b.png"
    with pytest.raises(ValueError, match="names: "):
        client.sandbox.lose("(")
