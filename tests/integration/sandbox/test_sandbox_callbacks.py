"""The sandbox's callbacks: how often they come, and what they claim."""

from __future__ import annotations

import json
import time

import pytest

from tests.integration.sandbox_world import (
    DETAIL,
    Client,
    Neighbour,
    client,
    neighbour,
    running,
    sandbox,
    until,
)

__all__ = ["client", "neighbour", "running", "sandbox"]


@pytest.mark.parametrize(
    ("mode", "count"), [("normal", 1), ("late", 1), ("twice", 2), ("twice-at-once", 2), ("early", 1)]
)
def test_how_often_a_callback_comes(client: Client, neighbour: Neighbour, mode: str, count: int) -> None:
    client.sandbox.configure(callback=mode, callback_delay=0.6, fetch=False)
    before = time.time()
    task_id = client.submit("http://127.0.0.1/a.png", callBackUrl=f"{neighbour.url}/callback")
    if mode == "early":
        assert neighbour.received, "before the submission was answered"
    assert client.wait(task_id) == 2
    if mode == "late":
        assert not neighbour.received
    until(lambda: client.sandbox.state()["tasks"][0]["deliveries"] == ["HTTP 204"] * count)
    assert before <= client.sandbox.state()["tasks"][0]["delivered_at"] <= time.time()
    assert len(neighbour.received) == count
    assert len({json.dumps(payload) for _, payload in neighbour.received}) == 1


def test_callbacks_that_never_come_or_find_nobody(client: Client, neighbour: Neighbour) -> None:
    client.sandbox.configure(fetch=False)
    client.migrate("http://127.0.0.1/a.png", callBackUrl="http://127.0.0.1:9/")
    until(lambda: client.sandbox.state()["tasks"][0]["deliveries"] == ["ConnectError"])
    client.sandbox.configure(callback="never")
    client.migrate("http://127.0.0.1/b.png", callBackUrl=neighbour.url)
    assert client.sandbox.state()["tasks"][0]["deliveries"] == []
    assert not neighbour.received


def test_callbacks_that_lie(client: Client, neighbour: Neighbour) -> None:
    client.sandbox.configure(fetch=False, callback="lying", fail="bad")
    client.migrate("http://127.0.0.1/good.png", callBackUrl=neighbour.url)
    ((_, lie),) = until(lambda: neighbour.received)
    assert lie["status"] == 1
    assert lie["failReason"]
    assert client.wait(client.submit("http://127.0.0.1/bad.png", callBackUrl=neighbour.url)) == 1
    until(lambda: len(neighbour.received) == 2)
    _, lie = neighbour.received[1]
    good = client.sandbox.state()["files"][0]["fileId"]
    assert (lie["status"], lie["failReason"], lie["fileID"]) == (0, "", good)

    neighbour.received.clear()
    client.sandbox.configure(callback="wrong-file")
    client.migrate("http://127.0.0.1/other.png", callBackUrl=neighbour.url)
    ((_, wrong),) = until(lambda: neighbour.received)
    assert (wrong["status"], wrong["fileID"]) == (0, good)


def test_a_numeric_file_id_is_an_alias(client: Client, neighbour: Neighbour) -> None:
    client.sandbox.configure(fetch=False, file_id_as="number")
    client.migrate("http://127.0.0.1/a.png", callBackUrl=neighbour.url)
    ((_, payload),) = until(lambda: neighbour.received)
    assert isinstance(payload["fileID"], int)
    assert client.get(DETAIL, fileID=payload["fileID"])["data"] == client.sandbox.state()["files"][0]
