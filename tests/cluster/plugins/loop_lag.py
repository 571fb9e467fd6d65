"""A probe of event loops in Airflow's own processes: a trigger for triggerers, and a route for API servers.

It sleeps for 0.1 s again and again, and writes by how much each sleep was too long, and for how long the loop's thread
waited for a CPU meanwhile, which is the machine's fault. The environment variable `LOOP_LAG_FOLDER` names the folder
for one file per process.
"""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any, ClassVar

from airflow.plugins_manager import AirflowPlugin
from airflow.triggers.base import BaseTrigger, TriggerEvent

SLEEP_SECONDS = 0.1
SLEEPS_PER_LINE = 10

Message = MutableMapping[str, Any]
_probes: set[asyncio.Task[None]] = set()  # the event loop holds only weak references to its tasks


async def write_lags() -> None:
    """Write one line of JSON per second: `at`, in Unix seconds, `lags` and `cpu_waits`, both in seconds."""
    loop = asyncio.get_running_loop()
    statistics = Path(f"/proc/self/task/{threading.get_native_id()}/schedstat")
    with Path(os.environ["LOOP_LAG_FOLDER"], f"{os.getpid()}.jsonl").open("a") as file:  # noqa: ASYNC230
        while True:
            lags, cpu_waits = [], []
            for _ in range(SLEEPS_PER_LINE):
                before, waited = loop.time(), _cpu_wait(statistics)
                await asyncio.sleep(SLEEP_SECONDS)
                lags.append(round(loop.time() - before - SLEEP_SECONDS, 5))
                cpu_waits.append(round(_cpu_wait(statistics) - waited, 5))
            file.write(f"{json.dumps({'at': time.time(), 'lags': lags, 'cpu_waits': cpu_waits})}\n")
            file.flush()


def _cpu_wait(statistics: Path) -> float:
    """Return the seconds for which a thread was ready to run and had to wait for a CPU, since its start."""
    return int(statistics.read_text().split()[1]) / 1e9


class LoopLagTrigger(BaseTrigger):
    """Measure the loop of a triggerer until the triggerer ends; it never fires."""

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path: the plugins folder is on sys.path."""
        return "loop_lag.LoopLagTrigger", {}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Measure."""
        await write_lags()
        yield TriggerEvent(None)  # type: ignore[no-untyped-call]


async def start_probe(
    scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
) -> None:
    """Start to measure the loop of an API server, once (ASGI)."""
    if not _probes:
        _probes.add(asyncio.get_running_loop().create_task(write_lags()))
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


class LoopLagPlugin(AirflowPlugin):
    """Mounts the route."""

    name = "loop_lag"
    fastapi_apps: ClassVar[list[dict[str, Any]]] = [  # type: ignore[misc]
        {"name": "loop lag", "app": start_probe, "url_prefix": "/loop-lag"}
    ]
