"""The receiver's keys: when it asks for them, and what they outlive."""

from __future__ import annotations

import time

import pytest

from airflow_provider_123pan.callbacks.address import make_callback_url, new_callback_id, secret_keys
from tests.integration.receiver_world import CONN_ID, KEYS, SAMPLE, SECRET, Running, receiver, until, uri

__all__ = ["receiver", "uri"]


def test_no_request_costs_a_lookup(receiver: Running) -> None:
    until(lambda: receiver.client.get("/pan123/health").json()["connections"] == 2)
    receiver.keys.asked.clear()
    start = time.monotonic()
    for number in range(300):
        receiver.deliver(conn_id=f"nobody{number}")
        receiver.deliver()
        receiver.client.post(receiver.address()[:-5] + "AAAAA", json=SAMPLE)
    seconds = time.monotonic() - start
    assert receiver.keys.asked[CONN_ID] <= 1 + seconds / 5
    assert sum(receiver.keys.asked.values()) - receiver.keys.asked[CONN_ID] <= 3 + 3 * seconds


def test_a_new_or_changed_secret_works_without_a_restart(
    receiver: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_provider_123pan.receiver.keyring.RETRY_SECONDS", 0.2)
    assert receiver.deliver(conn_id="new").status_code == 404
    receiver.keys.known["new"] = KEYS
    receiver.keys.known[CONN_ID] = secret_keys(SECRET, "another secret altogether")
    time.sleep(0.3)
    assert receiver.deliver(conn_id="new").status_code == 200
    assert receiver.deliver().status_code == 200
    assert (
        receiver.client.post(make_callback_url(receiver.base, CONN_ID, new_callback_id(), KEYS)).status_code
        == 404
    )


def test_keys_outlive_what_they_are_read_from(receiver: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    assert receiver.deliver().status_code == 200
    monkeypatch.setattr("airflow_provider_123pan.receiver.keyring.KEEP_SECONDS", 0.0)
    receiver.keys.broken = True
    assert receiver.deliver().status_code == 200
    receiver.keys.broken = False
    del receiver.keys.known[CONN_ID]
    assert receiver.deliver().status_code == 404
