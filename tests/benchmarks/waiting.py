"""Measure what waits cost in a triggerer process, and how soon a callback ends one.

    python -m tests.benchmarks.waiting

The provider's trigger with callbacks is compared with two of the http provider and a simple one that polls. Each kind
waits for a minute in its own process, for offline tasks that do not end. Then callbacks arrive for 1,000 of the
provider's triggers.
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
    Place,
    SimplePollingTrigger,
    http_event_triggers,
    http_sensor_triggers,
    provider_triggers,
    receiver,
    submit,
)

MEASURED_SECONDS = 60.0
SETTLING_SECONDS = 20.0  # until all triggers wait
LATENCY_WAITERS = 1000
DELIVERIES_PER_SECOND = 10.0


# --- what it costs ------------------------------------------------------------------------------------


async def _first(trigger: Any) -> Any:
    async for event in trigger.run():
        return event
    return None


async def cost(triggers: list[Any]) -> dict[str, float]:
    """Measure triggers once all of them wait.

    :returns: `cpu` in CPU-seconds per minute and 1,000 triggers, `mb` in MB per 1,000, `lag` of the event loop in
        seconds (99th percentile), and the numbers `waiters` and `ended`.
    """
    process = psutil.Process()
    tasks = [asyncio.create_task(_first(triggers[0]))]
    await asyncio.sleep(5)  # by then, what all triggers share exists
    gc.collect()
    memory = process.memory_info().rss
    tasks += [asyncio.create_task(_first(trigger)) for trigger in triggers[1:]]
    await asyncio.sleep(SETTLING_SECONDS)
    gc.collect()
    grown = process.memory_info().rss - memory
    before, lags = process.cpu_times(), []
    end = time.monotonic() + MEASURED_SECONDS
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
    """Return the CPU-seconds per minute of measuring the lag alone."""
    return (await cost([SleepingTrigger()]))["cpu"] / 1000


class SleepingTrigger:
    """A trigger that does nothing."""

    async def run(self) -> AsyncIterator[None]:
        """Wait until the trigger is cancelled."""
        await asyncio.Event().wait()
        yield


def measure(name: str, place: Place, count: int, submissions: list[dict[str, Any]]) -> dict[str, float]:
    """Measure one kind of trigger, and for the provider's the requests per second too."""
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
        return await cost([SimplePollingTrigger(f"{place.service}/sandbox/health") for _ in range(count)])

    return asyncio.run(main())


# --- how soon it ends ---------------------------------------------------------------------------------


def latency(place: Place, submissions: list[dict[str, Any]], files: dict[int, str]) -> list[float]:
    """Return the seconds from the POST of each callback to the event of its trigger."""
    os.environ.update(place.environment())

    async def one(trigger: Any, ended: dict[int, float]) -> None:
        event = await _first(trigger)
        assert event.payload["outcome"]["fileID"], event.payload
        ended[event.payload["outcome"]["taskID"]] = time.monotonic()

    async def main() -> list[float]:
        ended: dict[int, float] = {}
        posted: dict[int, float] = {}
        from airflow_provider_123pan.account.shared_client import shared_client
        from airflow_provider_123pan.download.timing import WaitTiming
        from airflow_provider_123pan.triggers.offline_download import Pan123OfflineDownloadTrigger

        with (
            mock.patch("airflow_provider_123pan.account.account.AirflowVariables", FoundRate),
            # The offline tasks have ended, which no fallback poll is to find out.
            mock.patch.object(Pan123OfflineDownloadTrigger, "timing", WaitTiming(fallback_poll=(1e4, 1e4))),
        ):
            tasks = [asyncio.create_task(one(trigger, ended)) for trigger in provider_triggers(submissions)]
            # As in Airflow, where the task that submitted has stored a token.
            async with shared_client(CONN_ID) as shared:
                await shared.client.token()
            await asyncio.sleep(SETTLING_SECONDS)
            async with httpx.AsyncClient(timeout=30) as http:
                for submission in submissions:
                    task_id = submission["taskID"]
                    callback_url = callback_address(
                        place.receiver, CONN_ID, submission["callback_id"], client_secret=place.client_secret
                    )
                    posted[task_id] = time.monotonic()
                    body = {"url": submission["url"], "status": 0, "failReason": "", "fileID": files[task_id]}
                    tasks.append(asyncio.create_task(_post(http, callback_url, body)))
                    await asyncio.sleep(1 / DELIVERIES_PER_SECOND)
                await asyncio.gather(*tasks)
        return [ended[task_id] - when for task_id, when in posted.items()]

    return asyncio.run(main())


async def _post(http: httpx.AsyncClient, url: str, body: dict[str, Any]) -> None:
    (await http.post(url, json=body)).raise_for_status()


def in_process(function: Any, *arguments: Any) -> Any:
    """Call a function in a new interpreter, whose memory no earlier measurement has used."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def main() -> None:
    """Run the benchmark."""
    with sandbox() as (service, client_id, client_secret):
        place = Place(service, client_id, client_secret, f"http://127.0.0.1:{free_ports(1)[0]:05d}")
        configure = {"callback": "never", "stuck": "example.com"}
        requests.put(f"{service}/sandbox/settings", json=configure, timeout=10).raise_for_status()
        with receiver(place):
            print(f"{os.cpu_count()} cores, a minute each, rate found {FOUND_RATE:g}/s", flush=True)
            probe = in_process(measure, "probe", place, 0, [])["cpu"]
            for name, count in (
                ("provider", 5000),
                ("simple polling", 1000),
                ("http event", 1000),
                ("http sensor", 1000),
            ):
                submissions = submit(place, count) if name == "provider" else []
                found = in_process(measure, name, place, count, submissions)
                print(
                    f"{name:14} {count} waiters: {found['cpu'] - probe * 1000 / count:.2f} CPU-s per minute and "
                    f"1,000, {found['mb']:.1f} MB per 1,000, loop lag p99 {found['lag'] * 1000:.0f} ms"
                    + (
                        f", {found['receiver']:.2f} requests/s to the receiver, {found['service']:.1f} polls/s"
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
                f"{LATENCY_WAITERS} waiters, {DELIVERIES_PER_SECOND:g} callbacks/s: median from POST to event "
                f"{cuts[49]:.2f} s, p99 {cuts[98]:.2f} s, worst {max(seconds):.2f} s",
                flush=True,
            )


if __name__ == "__main__":
    main()
