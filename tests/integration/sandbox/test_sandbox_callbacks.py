"""The sandbox's callbacks: how often they are sent, and what they report."""

from __future__ import annotations

import json
import time

import pytest

from tests.integration.sandbox.support import DETAIL, HOUR_SECONDS, Client, Peer, wait_until


@pytest.mark.parametrize(
    ("mode", "count"), [("normal", 1), ("late", 1), ("twice", 2), ("twice-at-once", 2), ("early", 1)]
)
def test_the_mode_decides_how_often_a_callback_is_sent(
    client: Client, peer: Peer, mode: str, count: int
) -> None:
    client.sandbox.configure(callback=mode, callback_delay=0.01, fetch=False)
    before = time.time()
    task_id = client.submit("http://127.0.0.1/a.png", callBackUrl=f"{peer.url}/callback")
    assert client.wait(task_id) == 2
    wait_until(lambda: client.sandbox.state()["tasks"][0]["deliveries"] == ["HTTP 204"] * count)
    assert before <= client.sandbox.state()["tasks"][0]["delivered_at"] <= time.time()
    assert len(peer.received) == count
    assert len({json.dumps(payload) for _, payload in peer.received}) == 1


def test_an_early_callback_arrives_before_the_submission_is_answered(client: Client, peer: Peer) -> None:
    client.sandbox.configure(callback="early", fetch=False)
    client.submit("http://127.0.0.1/a.png", callBackUrl=peer.url)
    assert len(peer.received) == 1


@pytest.mark.parametrize(
    ("options", "count"),
    [
        ({"callback": "never"}, 0),
        ({"callback": "late", "callback_delay": HOUR_SECONDS}, 0),
        ({"callback": "twice", "callback_delay": HOUR_SECONDS}, 1),
    ],
)
def test_a_callback_is_not_sent_before_its_time(
    client: Client, peer: Peer, options: dict[str, object], count: int
) -> None:
    client.sandbox.configure(fetch=False, **options)
    client.migrate("http://127.0.0.1/first.png", callBackUrl=f"{peer.url}/first")
    wait_until(lambda: len(peer.received) >= count)
    client.sandbox.configure(callback="normal")
    client.migrate("http://127.0.0.1/second.png", callBackUrl=f"{peer.url}/second")
    wait_until(lambda: len(peer.received) > count)
    assert [path for path, _ in peer.received] == ["/first"] * count + ["/second"]


def test_a_callback_that_cannot_be_delivered_is_recorded(client: Client) -> None:
    client.sandbox.configure(fetch=False)
    client.migrate("http://127.0.0.1/a.png", callBackUrl="http://127.0.0.1:9/")
    wait_until(lambda: client.sandbox.state()["tasks"][0]["deliveries"] == ["ConnectError"])


def test_wrong_callbacks_report_the_opposite_or_another_file(client: Client, peer: Peer) -> None:
    client.sandbox.configure(fetch=False, callback="lying", fail="bad")
    client.migrate("http://127.0.0.1/good.png", callBackUrl=peer.url)
    ((_, payload),) = wait_until(lambda: peer.received)
    assert payload["status"] == 1
    assert payload["failReason"]
    assert client.wait(client.submit("http://127.0.0.1/bad.png", callBackUrl=peer.url)) == 1
    wait_until(lambda: len(peer.received) == 2)
    _, payload = peer.received[1]
    good = client.sandbox.state()["files"][0]["fileId"]
    assert (payload["status"], payload["failReason"], payload["fileID"]) == (0, "", good)

    peer.received.clear()
    client.sandbox.configure(callback="wrong-file")
    client.migrate("http://127.0.0.1/other.png", callBackUrl=peer.url)
    ((_, payload),) = wait_until(lambda: peer.received)
    assert (payload["status"], payload["fileID"]) == (0, good)


def test_a_numeric_file_id_is_an_alias(client: Client, peer: Peer) -> None:
    client.sandbox.configure(fetch=False, file_id_as="number")
    client.migrate("http://127.0.0.1/a.png", callBackUrl=peer.url)
    ((_, payload),) = wait_until(lambda: peer.received)
    assert isinstance(payload["fileID"], int)
    assert client.get(DETAIL, fileID=payload["fileID"])["data"] == client.sandbox.state()["files"][0]
