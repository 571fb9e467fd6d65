"""A delivery that comes while a wait queues for a poll wakes it as one during a pause does."""

from __future__ import annotations

import asyncio
from typing import Any

from airflow_provider_123pan.callbacks.delivery import Delivery, DeliveryStatus
from airflow_provider_123pan.callbacks.follower import DeliveryWaiter
from airflow_provider_123pan.download.timing import WaitTiming
from airflow_provider_123pan.service.flow import Flow
from airflow_provider_123pan.triggers.offline_download import _TriggerWait


class Queue:
    """A queue that admits no poll."""

    def enqueue(self, _: float) -> asyncio.Future[bool]:
        return asyncio.get_running_loop().create_future()


async def perform(flow: Flow[bool]) -> bool:
    """Perform the steps of a flow, each of which is awaited."""
    answer: Any = None
    try:
        while True:
            step: Any = flow.send(answer)
            answer = await step.function()
    except StopIteration as end:
        result: bool = end.value
        return result


async def test_the_follow_up_polls_of_a_delivery_begin_after_the_poll_that_it_hastened() -> None:
    waiter, queue = DeliveryWaiter(), Queue()
    wait = _TriggerWait(queue, waiter, WaitTiming())  # type: ignore[arg-type]
    queueing = asyncio.create_task(perform(wait.acquire_poll(3600)))
    await asyncio.sleep(0)
    waiter.deliver(Delivery("0" * 32, DeliveryStatus.SUCCEEDED))
    assert await asyncio.wait_for(queueing, 60)
    assert await asyncio.wait_for(perform(wait.pause(3600)), 60)  # at once: progress may lag behind
    assert not await perform(wait.pause(0))
