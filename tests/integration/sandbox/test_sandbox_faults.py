"""The sandbox's faults: answers that are scripted, late, or never come."""

from __future__ import annotations

import time

import pytest
import requests

from tests.integration.sandbox_world import CREATE, DETAIL, GOOD, Client, client, neighbour, running, sandbox

__all__ = ["client", "neighbour", "running", "sandbox"]


def test_scripted_answers(client: Client) -> None:
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


def test_connections_that_break(client: Client) -> None:
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


def test_answers_that_take_long(client: Client) -> None:
    client.sandbox.configure(
        fetch=False,
        answers=[
            {"path": "download$", "action": "process-then-answer", "delay": 60},
            {"path": "download$", "action": "pass", "delay": 0.2},
        ],
    )
    url = client.sandbox.base_url + CREATE
    with pytest.raises(requests.ReadTimeout):
        client.session.post(url, json=GOOD, timeout=0.2)
    assert client.sandbox.state()["counts"]["submissions"] == 1
    began = time.monotonic()
    assert client.post(CREATE, **GOOD)["code"] == 0
    assert time.monotonic() - began >= 0.2


def test_the_gateway(client: Client) -> None:
    client.sandbox.configure(gateway="/oss/", gateway_times=2)
    answers = [client.send("GET", DETAIL, params={"fileID": "x"}) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [502, 502, 200]
    assert answers[0].text.startswith("<html>")
    assert answers[0].headers["Content-Type"].startswith("text/html")
    client.sandbox.configure(gateway="/oss/", gateway_times=None, gateway_share=0.5)
    statuses = {client.send("GET", DETAIL, params={"fileID": "x"}).status_code for _ in range(40)}
    assert statuses == {200, 502}


def test_latency(client: Client) -> None:
    client.sandbox.configure(latency="0.15,0.2")
    began = time.monotonic()
    client.get(DETAIL, fileID="x")
    assert time.monotonic() - began >= 0.15
