"""The limit on concurrent calls, which the answers show, and the calls whose answer is lost."""

from __future__ import annotations

import asyncio
import contextlib
import math
from typing import Any

import pytest

from airflow_provider_123pan.exceptions import Pan123UnavailableError
from airflow_provider_123pan.service import protocol
from airflow_provider_123pan.service.concurrency import ConcurrencyLimit
from airflow_provider_123pan.service.exchange import exchange
from airflow_provider_123pan.service.flow import Flow, Slot, adrive
from airflow_provider_123pan.service.protocol import Send
from airflow_provider_123pan.service.throttle import Throttle
from airflow_provider_123pan.service.tuning import TUNING

CALL = protocol.get_offline_download(7)


def answer_calls(calls: ConcurrencyLimit, *, at_once: int, cap: int, rounds: int) -> None:
    """Send some calls at once, several times; those above the cap are refused."""
    for _ in range(rounds):
        sent_calls = [calls.begin(0.0) for _ in range(at_once)]
        for call in sent_calls:
            calls.end(call)
            calls.answered(call, refused=call.number > cap)


def limited(limit: int) -> ConcurrencyLimit:
    """Return concurrent calls that found a limit."""
    calls = ConcurrencyLimit()
    answer_calls(calls, at_once=limit, cap=limit, rounds=math.ceil(TUNING.rare * TUNING.few_refusals / limit))
    answer_calls(calls, at_once=limit + 1, cap=limit, rounds=TUNING.few_refusals)
    return calls


def test_a_limit_is_found_if_only_calls_beside_many_others_are_refused() -> None:
    assert limited(3).limit == 3


def test_refusals_of_calls_that_are_alone_show_no_limit() -> None:
    calls = ConcurrencyLimit()
    answer_calls(calls, at_once=4, cap=4, rounds=10)
    answer_calls(calls, at_once=2, cap=0, rounds=1)
    answer_calls(calls, at_once=5, cap=4, rounds=TUNING.few_refusals - 2)
    assert calls.limit == math.inf


def test_refusals_that_are_seldom_beside_many_others_show_no_limit() -> None:
    calls = ConcurrencyLimit()
    answer_calls(calls, at_once=4, cap=4, rounds=10)
    answer_calls(calls, at_once=4, cap=3, rounds=TUNING.few_refusals)
    assert calls.limit == math.inf


def test_frequent_refusals_show_no_limit_because_the_rate_is_too_high() -> None:
    calls = ConcurrencyLimit()
    answer_calls(calls, at_once=4, cap=3, rounds=10 * TUNING.few_refusals)
    assert calls.limit == math.inf


def test_calls_above_the_limit_are_rare_and_can_lift_it() -> None:
    calls = limited(3)
    sent = above = 0
    while calls.limit == 3:
        sent_calls = []
        while not calls.full:
            sent_calls.append(calls.begin(0.0))
        sent, above = sent + len(sent_calls), above + (len(sent_calls) > 3)
        for call in sent_calls:
            calls.end(call)
            calls.answered(call, refused=False)
    assert above == TUNING.probes
    assert 0.03 < above / sent < 0.06


def test_a_lower_limit_replaces_the_one_that_was_found() -> None:
    calls = limited(5)
    answer_calls(calls, at_once=2, cap=2, rounds=TUNING.rare * TUNING.few_refusals)
    answer_calls(calls, at_once=3, cap=2, rounds=TUNING.few_refusals)
    assert calls.limit == 2


def sent(throttle: Throttle) -> Flow[Any]:
    """Return a call that has been sent and waits for its answer."""
    flow = exchange(CALL, throttle, clock=lambda: 0.0)
    next(flow)
    flow.send("token")
    assert isinstance(flow.send(None), Send)
    return flow


def test_a_call_gives_its_slot_up_while_too_many_others_wait() -> None:
    throttle = Throttle(clock=lambda: 0.0)
    throttle._concurrency.limit = 2
    flows = [sent(throttle) for _ in range(2)]
    waiting = exchange(CALL, throttle, clock=lambda: 0.0)
    next(waiting)
    assert isinstance(waiting.send("token"), Slot)
    for _ in range(3):
        assert isinstance(waiting.send(None), Slot)
    flows[0].close()
    assert isinstance(waiting.send(None), Send)


@pytest.mark.parametrize("lost", [Pan123UnavailableError("no answer"), KeyboardInterrupt(), GeneratorExit()])
def test_a_call_whose_answer_is_lost_no_longer_counts(lost: BaseException) -> None:
    throttle = Throttle(clock=lambda: 0.0)
    flow = sent(throttle)
    with throttle.sending() as second:
        assert second.number == 2
    with pytest.raises(type(lost)):
        flow.throw(lost)
    with throttle.sending() as only:
        assert only.number == 1


def test_an_abandoned_call_no_longer_counts() -> None:
    throttle = Throttle(clock=lambda: 0.0)
    flow = sent(throttle)
    with throttle._lock:  # the garbage collector may end the call in a thread that holds it
        del flow
    with throttle.sending() as only:
        assert only.number == 1


def test_a_cancelled_call_no_longer_counts() -> None:
    throttle = Throttle(clock=lambda: 0.0)

    async def main() -> None:
        sending = asyncio.Event()

        async def perform(step: Any) -> Any:
            if isinstance(step, Send):
                sending.set()
                await asyncio.Event().wait()
            return "token"

        task = asyncio.create_task(adrive(exchange(CALL, throttle, clock=lambda: 0.0), perform))
        await sending.wait()
        with throttle.sending() as second:
            assert second.number == 2
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    asyncio.run(main())
    with throttle.sending() as only:
        assert only.number == 1
