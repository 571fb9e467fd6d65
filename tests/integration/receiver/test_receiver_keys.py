"""The receiver's keys: when they are looked up, and how long they are used."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from airflow_provider_123pan.callbacks.address import make_callback_url, new_callback_id, secret_keys
from airflow_provider_123pan.receiver.keyring import KeyringTiming
from airflow_provider_123pan.receiver.lifecycle import ReceiverTiming
from tests.integration.receiver.support import CONN_ID, KEYS, SAMPLE, SECRET, Keys, ReceiverServer, until

StartReceiver = Callable[..., ReceiverServer]


@pytest.fixture
def exhausted() -> ReceiverTiming:
    """A receiver in which requests without a valid signature may cause no look-ups."""
    return ReceiverTiming(keyring=KeyringTiming(lookups_per_second=0.0))


def test_without_lookups_a_connection_that_cannot_be_listed_gets_503(
    start_receiver: StartReceiver, exhausted: ReceiverTiming
) -> None:
    source = Keys()
    source.names = list  # type: ignore[assignment, method-assign]
    receiver = start_receiver(keys=source, timing=exhausted)
    for answer in (
        receiver.deliver(),
        receiver.query("lookup", {"callback_ids": []}),
        receiver.deliver(conn_id="unknown"),
    ):
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) > 0
    assert not source.lookups


def test_without_lookups_a_wrong_signature_and_an_unknown_connection_get_the_same_answer(
    start_receiver: StartReceiver, exhausted: ReceiverTiming
) -> None:
    receiver = start_receiver(timing=exhausted)
    until(lambda: receiver.client.get("/pan123/health").json()["connections"] == 2)
    wrong = secret_keys("none of the secrets in use", None)
    answers = [
        receiver.client.post(make_callback_url(receiver.base_url, conn_id, "0" * 32, wrong), json=SAMPLE)
        for conn_id in (CONN_ID, "unknown")
    ]
    assert [answer.status_code for answer in answers] == [503, 503]
    assert answers[0].content == answers[1].content
    assert receiver.deliver().status_code == 200


def test_a_new_or_changed_secret_works_without_a_restart(start_receiver: StartReceiver) -> None:
    timing = KeyringTiming(retry=0.0, lookups_per_second=1000.0)
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
