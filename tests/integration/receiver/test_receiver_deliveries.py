"""Which deliveries the receiver accepts, and how it reads them."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_123pan.callbacks.address import callback_address, new_callback_id
from tests.integration.receiver.support import CONN_ID, NOT_FOUND, SAMPLE, SECRET, ReceiverServer


@pytest.mark.parametrize("conn_id", [CONN_ID, "other"])
def test_a_delivery_is_read_by_its_connection(receiver: ReceiverServer, conn_id: str) -> None:
    callback_id = new_callback_id()
    answer = receiver.deliver(callback_id, conn_id=conn_id)
    assert answer.status_code == 200
    expected = {
        "callback_id": callback_id,
        "seq": 1,
        "status": 0,
        "reason": "",
        "fileID": "100",
        "url": "http://dc.com/resource.jpg",
    }
    found = receiver.lookup(callback_id, conn_id=conn_id)
    assert found["deliveries"] == [expected]
    assert receiver.poll(found["epoch"], 0, conn_id=conn_id)["deliveries"] == [expected]
    another = "other" if conn_id == CONN_ID else CONN_ID
    assert receiver.lookup(callback_id, conn_id=another)["deliveries"] == []
    assert receiver.poll(found["epoch"], 0, 0, conn_id=another)["deliveries"] == []


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"status": 1, "failReason": "下载失败"}, (1, "下载失败", None, None)),
        ({"status": 1, "fileReason": "下载失败"}, (1, "下载失败", None, None)),
        ({"status": 1, "failReason": "", "fileReason": "b"}, (1, "b", None, None)),
        ({"status": "1", "failReason": "a\u0000\n b\u001b[31m", "fileID": 0}, (1, "a b[31m", None, None)),
        ({"status": 1, "failReason": "长" * 900}, (1, "长" * 500, None, None)),
        ({"status": 1, "failReason": {"a": 1}, "fileID": [], "url": 5}, (1, "", None, None)),
        ({"status": 0, "fileID": "yk6baz", "url": "http://x/图"}, (0, "", "yk6baz", "http://x/图")),
        ({"status": 0, "fileID": 2**63}, (0, "", str(2**63), None)),
        ({"status": 0, "fileID": True}, (0, "", None, None)),
        ({"status": 0, "fileID": "x" * 200}, (0, "", None, None)),
    ],
)
def test_malformed_fields_are_tolerated(
    receiver: ReceiverServer, body: Any, expected: tuple[Any, ...]
) -> None:
    callback_id = new_callback_id()
    assert receiver.deliver(callback_id, body).status_code == 200
    (found,) = receiver.lookup(callback_id)["deliveries"]
    assert (found["status"], found["reason"], found["fileID"], found["url"]) == expected


def test_a_false_or_repeated_delivery_does_not_hide_the_true_one(
    receiver: ReceiverServer,
) -> None:
    callback_id = new_callback_id()
    false = {"status": 1, "failReason": "false"}
    for body in (false, false, SAMPLE, SAMPLE):
        assert receiver.deliver(callback_id, body).status_code == 200
    assert [found["status"] for found in receiver.lookup(callback_id)["deliveries"]] == [1, 0]
    for number in range(2):
        assert receiver.deliver(callback_id, {"status": 1, "failReason": str(number)}).status_code == 200
    fifth = receiver.deliver(callback_id, {"status": 1, "failReason": "one too many"})
    assert (fifth.status_code, fifth.text) == NOT_FOUND
    assert receiver.deliver(callback_id).status_code == 200
    assert len(receiver.lookup(callback_id)["deliveries"]) == 4


def test_four_lies_take_the_place_of_the_true_delivery(receiver: ReceiverServer) -> None:
    callback_id = new_callback_id()
    lies = [f"lie {number}" for number in range(4)]
    for lie in lies:
        assert receiver.deliver(callback_id, {"status": 1, "failReason": lie}).status_code == 200
    true = receiver.deliver(callback_id, {"status": 1, "failReason": "the true reason"})
    assert (true.status_code, true.text) == NOT_FOUND
    assert [found["reason"] for found in receiver.lookup(callback_id)["deliveries"]] == lies
    assert receiver.deliver().status_code == 200  # to another submission


def test_the_helper_for_tests_makes_a_working_callback_url(receiver: ReceiverServer) -> None:
    url = callback_address(receiver.base_url, CONN_ID, new_callback_id(), client_secret=SECRET)
    assert receiver.client.post(url, json=SAMPLE).status_code == 200
