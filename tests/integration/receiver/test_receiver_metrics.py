"""The metrics that the receiver sends."""

from __future__ import annotations

import json
import socket
from collections import Counter
from urllib.parse import urlsplit

import pytest

from airflow_provider_123pan.callbacks.address import new_callback_id
from airflow_provider_123pan.callbacks.contract import MAX_DELIVERIES
from airflow_provider_123pan.receiver import metrics
from tests.integration.receiver.support import SAMPLE, ReceiverServer, until


class Stats:
    """Records metrics instead of Airflow's Stats."""

    def __init__(self) -> None:
        self.counters: Counter[str] = Counter()
        self.gauges: dict[str, list[int]] = {}

    def incr(self, name: str, number: int) -> None:
        """Count."""
        self.counters[name] += number

    def gauge(self, name: str, number: int) -> None:
        """Record a value."""
        self.gauges.setdefault(name, []).append(number)


@pytest.fixture
def stats(monkeypatch: pytest.MonkeyPatch) -> Stats:
    """Return the recorded metrics."""
    stats = Stats()
    monkeypatch.setattr(metrics, "_stats", stats)
    return stats


def test_stored_repeated_and_refused_deliveries_are_counted(receiver: ReceiverServer, stats: Stats) -> None:
    callback_id = new_callback_id()
    for number in range(MAX_DELIVERIES + 1):
        receiver.deliver(callback_id, SAMPLE | {"fileID": number + 1})
    receiver.deliver(callback_id, SAMPLE | {"fileID": 1})
    receiver.client.post(receiver.callback_url() + "A", json=SAMPLE)
    receiver.client.get("/pan123/nothing")  # not a callback
    assert stats.counters == {
        "pan123.deliveries.stored": MAX_DELIVERIES,
        "pan123.deliveries.repeated": 1,
        "pan123.deliveries.refused": 2,
    }


def test_a_truncated_body_is_refused(receiver: ReceiverServer, stats: Stats) -> None:
    """Even if the part that arrived is a valid delivery."""
    url = urlsplit(receiver.callback_url())
    body = json.dumps(SAMPLE).encode()
    head = f"POST {url.path} HTTP/1.1\r\nHost: {url.netloc}\r\nContent-Length: {len(body) + 1}\r\n\r\n"
    with socket.create_connection((url.hostname, url.port)) as caller:
        caller.sendall(head.encode() + body)
    until(lambda: bool(stats.counters))
    assert stats.counters == {"pan123.deliveries.refused": 1}
    assert receiver.rows() == 0


def test_open_polls_are_reported(receiver: ReceiverServer, stats: Stats) -> None:
    epoch, last = receiver.cursor()
    receiver.poll(epoch, last, timeout=0.1)
    assert stats.gauges == {"pan123.polls.open": [1, 0, 1, 0]}
