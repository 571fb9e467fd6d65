"""The receiver's keys: when they are looked up, and how long they are used."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from airflow_provider_123pan.callbacks.address import make_callback_url, new_callback_id, secret_keys
from airflow_provider_123pan.receiver.keyring import Keyring, KeyringTiming
from airflow_provider_123pan.receiver.lifecycle import ReceiverTiming
from tests.integration.receiver.support import CONN_ID, KEYS, SAMPLE, SECRET, Keys, ReceiverServer

StartReceiver = Callable[..., ReceiverServer]


async def test_requests_cause_few_lookups() -> None:
    """Valid ones and wrong signatures at most one per connection and time, and unknown ids three per second."""
    source, now = Keys(), [0.0]
    with ThreadPoolExecutor(2) as threads:
        keyring = Keyring(source, threads, KeyringTiming(), clock=lambda: now[0])
        await keyring.refresh()

        async def send_requests(count: int) -> None:
            for number in range(count):
                assert await keyring.verify(f"unknown{number}", lambda keys: keys == KEYS or None) is None
                assert await keyring.verify(CONN_ID, lambda keys: keys == KEYS or None)
                assert await keyring.verify(CONN_ID, lambda keys: keys == () or None) is None

        await send_requests(100)
        assert source.lookups.pop(CONN_ID) == 1
        assert source.lookups.pop("other") == 1
        assert sum(source.lookups.values()) == 3
        source.lookups.clear()
        now[0] += 5
        await send_requests(100)
        assert source.lookups.pop(CONN_ID) == 1
        assert sum(source.lookups.values()) == 3


def test_a_new_or_changed_secret_works_without_a_restart(start_receiver: StartReceiver) -> None:
    timing = KeyringTiming(retry=0.0, unknown_lookups_per_second=1000.0)
    receiver = start_receiver(timing=ReceiverTiming(keyring=timing))
    assert receiver.deliver(conn_id="new").status_code == 404
    old = make_callback_url(receiver.base_url, CONN_ID, new_callback_id(), KEYS)
    assert receiver.client.post(old, json=SAMPLE).status_code == 200
    receiver.keys.known["new"] = KEYS
    receiver.keys.known[CONN_ID] = secret_keys(SECRET, "another secret altogether")
    assert receiver.deliver(conn_id="new").status_code == 200
    assert receiver.deliver().status_code == 200
    assert receiver.client.post(old, json=SAMPLE).status_code == 404


def test_keys_are_kept_while_their_backend_is_unavailable(start_receiver: StartReceiver) -> None:
    receiver = start_receiver(timing=ReceiverTiming(keyring=KeyringTiming(keep=0.0)))
    assert receiver.deliver().status_code == 200
    receiver.keys.broken = True
    assert receiver.deliver().status_code == 200
    receiver.keys.broken = False
    del receiver.keys.known[CONN_ID]
    assert receiver.deliver().status_code == 404
