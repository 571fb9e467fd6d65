"""What waiting costs in a triggerer process, and how soon a callback ends it.

    python -m tests.benchmarks.waiting

The provider's trigger with callbacks, beside the http provider's two and an own one that polls: each in a process
of its own, for a minute, for what does not end. Then callbacks arrive for 1,000 of the provider's.
"""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import os
import statistics
import time
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any
from unittest import mock

import httpx
import psutil
import requests

from airflow_provider_123pan.callbacks.address import callback_address
from dev.cluster import free_ports
from tests.benchmarks.submission import sandbox
from tests.benchmarks.waiters import (
    CONN_ID,
    FOUND_RATE,
    FoundRate,
    OwnPollingTrigger,
    Place,
    http_event_triggers,
    http_sensor_triggers,
    provider_triggers,
    receiver,
    submit,
)

MINUTE = 60.0
SETTLE = 20.0  # seconds until all wait
LATENCY_WAITERS = 1000
DELIVERIES_PER_SECOND = 10.0


# --- what it costs ------------------------------------------------------------------------------------


async def _first(trigger: Any) -> Any:
    async for event in trigger.run():
        return event
    return None


async def cost(triggers: list[Any]) -> dict[str, float]:
    """CPU-seconds per 1,000 and minute, MB per 1,000, and the loop's lag, once all wait."""
    process = psutil.Process()
    tasks = [asyncio.create_task(_first(triggers[0]))]
    await asyncio.sleep(5)  # what all share is there
    gc.collect()
    memory = process.memory_info().rss
    tasks += [asyncio.create_task(_first(trigger)) for trigger in triggers[1:]]
    await asyncio.sleep(SETTLE)
    gc.collect()
    grown = process.memory_info().rss - memory
    before, lags = process.cpu_times(), []
    end = time.monotonic() + MINUTE
    while (now := time.monotonic()) < end:
        await asyncio.sleep(0.01)
        lags.append(time.monotonic() - now - 0.01)
    after = process.cpu_times()
    ended = sum(task.done() for task in tasks)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    thousands = len(triggers) / 1000
    return {
        "waiters": len(triggers),
        "cpu": (after.user + after.system - before.user - before.system) / thousands,
        "mb": grown / 1e6 / thousands,
        "lag": statistics.quantiles(lags, n=100)[98],
        "ended": ended,
    }


async def probe_cost() -> float:
    """CPU-seconds a minute of the lag's probe alone."""
    return (await cost([OwnPollingTriggerThatSleeps()]))["cpu"] / 1000


class OwnPollingTriggerThatSleeps:
    async def run(self) -> AsyncIterator[None]:
        await asyncio.Event().wait()
        yield


def measure(name: str, place: Place, count: int, submissions: list[dict[str, Any]]) -> dict[str, float]:
    os.environ.update(place.environment())
    counts, since = Counter[str](), time.monotonic()

    def counting(what: str, function: Any) -> Any:
        async def counted(*args: Any) -> Any:
            counts[what] += 1
            return await function(*args)

        return counted

    async def main() -> dict[str, float]:
        if name == "probe":
            return {"cpu": await probe_cost()}
        if name == "provider":
            from airflow_provider_123pan.callbacks.follower import InboxFollower
            from airflow_provider_123pan.service.async_client import AsyncPan123Client as Client

            with (
                mock.patch("airflow_provider_123pan.account.account.AirflowVariables", FoundRate),
                mock.patch.object(InboxFollower, "_post", counting("receiver", InboxFollower._post)),
                mock.patch.object(Client, "_send", counting("service", Client._send)),
            ):
                found = await cost(provider_triggers(submissions))
            return found | {what: count / (time.monotonic() - since) for what, count in counts.items()}
        if name == "http sensor":
            return await cost(http_sensor_triggers(count))
        if name == "http event":
            return await cost(http_event_triggers(count))
        return await cost([OwnPollingTrigger(f"{place.service}/sandbox/health") for _ in range(count)])

    return asyncio.run(main())


# --- how soon it ends ---------------------------------------------------------------------------------


def latency(place: Place, submissions: list[dict[str, Any]], files: dict[int, str]) -> list[float]:
    """Seconds from the service's POST to the trigger's event, of each."""
    os.environ.update(place.environment())

    async def one(trigger: Any, ended: dict[int, float]) -> None:
        event = await _first(trigger)
        assert event.payload["outcome"]["fileID"], event.payload
        ended[event.payload["outcome"]["taskID"]] = time.monotonic()

    async def main() -> list[float]:
        ended: dict[int, float] = {}
        posted: dict[int, float] = {}
        from airflow_provider_123pan.account.shared_client import shared_client
        from airflow_provider_123pan.triggers import offline_download

        with (
            mock.patch("airflow_provider_123pan.account.account.AirflowVariables", FoundRate),
            # The tasks have ended at the service: no question of the safety net shall find that out.
            mock.patch.object(offline_download, "SAFETY_NET", (1e4, 1e4)),
        ):
            tasks = [asyncio.create_task(one(trigger, ended)) for trigger in provider_triggers(submissions)]
            # Who submitted has left a token.
            async with shared_client(CONN_ID) as shared:
                await shared.client.token()
            await asyncio.sleep(SETTLE)
            async with httpx.AsyncClient(timeout=30) as http:
                for submission in submissions:
                    task_id = submission["taskID"]
                    address = callback_address(
                        place.receiver, CONN_ID, submission["callback_id"], client_secret=place.client_secret
                    )
                    posted[task_id] = time.monotonic()
                    body = {"url": submission["url"], "status": 0, "failReason": "", "fileID": files[task_id]}
                    tasks.append(asyncio.create_task(_post(http, address, body)))
                    await asyncio.sleep(1 / DELIVERIES_PER_SECOND)
                await asyncio.gather(*tasks)
        return [ended[task_id] - when for task_id, when in posted.items()]

    return asyncio.run(main())


async def _post(http: httpx.AsyncClient, address: str, body: dict[str, Any]) -> None:
    (await http.post(address, json=body)).raise_for_status()


def in_process(function: Any, *arguments: Any) -> Any:
    """Each in an interpreter of its own, so that none pays for another's memory."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def main() -> None:
    with sandbox() as (service, client_id, client_secret):
        place = Place(service, client_id, client_secret, f"http://127.0.0.1:{free_ports(1)[0]:05d}")
        configure = {"callback": "never", "stuck": "example.com"}
        requests.put(f"{service}/sandbox/settings", json=configure, timeout=10).raise_for_status()
        with receiver(place):
            print(f"{os.cpu_count()} cores, a minute each, rate found {FOUND_RATE:g}/s", flush=True)
            probe = in_process(measure, "probe", place, 0, [])["cpu"]
            for name, count in (
                ("provider", 5000),
                ("own polling", 1000),
                ("http event", 1000),
                ("http sensor", 1000),
            ):
                submissions = submit(place, count) if name == "provider" else []
                found = in_process(measure, name, place, count, submissions)
                print(
                    f"{name:12} {count} waiters: {found['cpu'] - probe * 1000 / count:.2f} CPU-s per 1,000 and "
                    f"minute, {found['mb']:.1f} MB per 1,000, loop lag p99 {found['lag'] * 1000:.0f} ms"
                    + (
                        f", {found['receiver']:.2f} requests/s to the receiver, {found['service']:.1f} questions/s"
                        if name == "provider"
                        else ""
                    )
                    + (f", {found['ended']:.0f} ended" if found["ended"] else ""),
                    flush=True,
                )
            settings = {"stuck": None, "delay": 0}
            requests.put(f"{service}/sandbox/settings", json=settings, timeout=10).raise_for_status()
            submissions = submit(place, LATENCY_WAITERS)
            state = requests.get(f"{service}/sandbox/state?limit={LATENCY_WAITERS}", timeout=30).json()
            files = {task["taskID"]: task["fileID"] for task in state["tasks"]}
            seconds = in_process(latency, place, submissions, files)
            cuts = statistics.quantiles(seconds, n=100)
            print(
                f"{LATENCY_WAITERS} waiters, {DELIVERIES_PER_SECOND:g} callbacks/s: from POST to event median "
                f"{cuts[49]:.2f} s, p99 {cuts[98]:.2f} s, worst {max(seconds):.2f} s",
                flush=True,
            )


if __name__ == "__main__":
    main()
