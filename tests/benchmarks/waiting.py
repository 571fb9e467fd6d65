"""Measure what waits cost in a triggerer process, and how soon a callback ends one.

    python -m tests.benchmarks.waiting

The provider's trigger with callbacks is compared with two of the http provider and a simple one that polls. Each kind
waits for half a minute in its own process, for offline tasks that do not end. Then callbacks arrive for the provider's
triggers.
"""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import os
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from functools import partial
from typing import Any
from unittest import mock

import httpx
import psutil
import requests

from airflow_provider_123pan.callbacks.address import callback_address
from tests.benchmarks import receiver
from tests.benchmarks.plot import Panel, Plot
from tests.benchmarks.report import Arguments, Side, Table, beside, finish, take_turns
from tests.benchmarks.servers import sandbox, serving
from tests.benchmarks.variables import Memory
from tests.benchmarks.waiters import (
    CONN_ID,
    FOUND_RATE,
    Place,
    SimplePollingTrigger,
    http_event_triggers,
    http_sensor_triggers,
    provider_triggers,
    submit,
)

found_rate = partial(Memory, FOUND_RATE)
MEASURED_SECONDS = 30.0  # six polls
SETTLING_SECONDS = 20.0  # until all triggers wait
DELIVERIES_PER_SECOND = 10.0
OURS, SIMPLE, PEER, SENSOR = (
    "this provider, callbacks",
    "a simple polling trigger",
    "HTTP event trigger",
    "HTTP sensor trigger",
)
PROBE = "nothing"
CPU, MEMORY, LAG = "CPU-seconds per minute and 1,000", "MB per 1,000", "event loop lag, ms"


# --- what it costs ------------------------------------------------------------------------------------


async def _first(trigger: Any) -> Any:
    async for event in trigger.run():
        return event
    return None


async def cost(triggers: list[Any]) -> dict[str, float]:
    """Measure triggers once all of them wait; `LAG` is that of the event loop, 99th percentile."""
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
    assert not any(task.done() for task in tasks), "a wait has ended"
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    seconds = after.user + after.system - before.user - before.system
    return {
        CPU: 1000 * seconds * 60 / MEASURED_SECONDS / len(triggers),
        MEMORY: 1000 * grown / 1e6 / len(triggers),
        LAG: 1000 * statistics.quantiles(lags, n=100)[98],
    }


async def probe_cost() -> float:
    """Return the CPU-seconds per minute of measuring the lag alone."""
    return (await cost([SleepingTrigger()]))[CPU] / 1000


class SleepingTrigger:
    """A trigger that does nothing."""

    async def run(self) -> AsyncIterator[None]:
        """Wait until the trigger is cancelled."""
        await asyncio.Event().wait()
        yield


def measure(name: str, place: Place, count: int, submissions: list[dict[str, Any]]) -> dict[str, float]:
    """Measure one kind of trigger, and for the provider's the requests per minute too."""
    os.environ.update(place.environment())
    counts, since = Counter[str](), time.monotonic()

    def counting(what: str, function: Any) -> Any:
        async def counted(*args: Any) -> Any:
            counts[what] += 1
            return await function(*args)

        return counted

    async def main() -> dict[str, float]:
        if name == PROBE:
            return {CPU: await probe_cost()}
        if name == OURS:
            from airflow_provider_123pan.callbacks.follower import InboxFollower
            from airflow_provider_123pan.service.async_client import AsyncPan123Client as Client

            with (
                mock.patch("airflow_provider_123pan.account.account.AirflowVariables", found_rate),
                mock.patch.object(
                    InboxFollower,
                    "_post",
                    counting("look-ups per minute", InboxFollower._post),
                ),
                mock.patch.object(Client, "_send", counting("polls per minute", Client._send)),
            ):
                found = await cost(provider_triggers(submissions))
            minutes = (time.monotonic() - since) / 60
            return found | {what: calls / minutes for what, calls in counts.items()}
        if name == SENSOR:
            return await cost(http_sensor_triggers(count))
        if name == PEER:
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
            mock.patch("airflow_provider_123pan.account.account.AirflowVariables", found_rate),
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
    parser = Arguments(__doc__, rounds=3)
    parser.add_argument("--waits", type=int, nargs="+", default=[250, 500, 1000], help="the last is compared")
    parser.add_argument("--most", type=int, default=5000, help="waits of this provider alone")
    options = parser.parse_args()
    compared = options.waits[-1]
    with (
        sandbox(f"--accounts=benchmark:{receiver.SECRET}") as (service, client_id, client_secret),
        tempfile.TemporaryDirectory() as folder,
        serving(receiver.serve, "receiver", f"sqlite:///{folder}/inbox.db") as (_, port),
    ):
        place = Place(service, client_id, client_secret, f"http://127.0.0.1:{port}")
        settings(service, callback="never", stuck="example.com")
        probe = in_process(measure, PROBE, place, 0, [])[CPU]

        def side(name: str, count: int) -> dict[str, float]:
            submissions = submit(place, count) if name == OURS else []
            found: dict[str, float] = in_process(measure, name, place, count, submissions)
            return found | {CPU: found[CPU] - 1000 * probe / count}

        def sides(count: int) -> dict[str, Side]:
            return {name: partial(side, name, count) for name in (OURS, SIMPLE, PEER, SENSOR)}

        by_count = [take_turns(sides(count), 1) for count in options.waits[:-1]]
        found = take_turns(sides(compared), options.rounds)
        many = take_turns({f"{options.most:,} of {OURS}": partial(side, OURS, options.most)}, 1)
        settings(service, stuck=None, delay=0)
        submissions = submit(place, compared)
        state = requests.get(f"{service}/sandbox/state?limit={compared}", timeout=30).json()
        files = {task["taskID"]: task["fileID"] for task in state["tasks"]}
        cuts = statistics.quantiles(in_process(latency, place, submissions, files), n=100)
    series = {
        name: (
            [float(count) for count in options.waits],
            [
                measured[name][CPU].median * count / 1000
                for count, measured in zip(options.waits, [*by_count, found], strict=True)
            ],
        )
        for name in found
    }
    title = "CPU-seconds per minute, by the number of waits"
    finish(
        "waiting",
        beside(found, PEER, what=f"{compared:,} waits", ratio_of=[CPU, MEMORY]),
        beside(many, what="More waits", title="More waits"),
        Table(
            f"{compared:,} waits, and {DELIVERIES_PER_SECOND:g} callbacks per second",
            ["Seconds from a callback's POST to the trigger's event", "99th percentile"],
            [[f"{cuts[49]:.2f}", f"{cuts[98]:.2f}"]],
        ),
        plots=[Plot("waiting", title, [Panel(title, "waits", " s", series)])],
    )


def settings(service: str, **changes: Any) -> None:
    """Change the settings of the sandbox."""
    requests.put(f"{service}/sandbox/settings", json=changes, timeout=10).raise_for_status()


if __name__ == "__main__":
    main()
