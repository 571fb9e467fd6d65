"""The triggers that the waiting benchmark compares: the provider's, those of the http provider, and a simple one."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import requests

from airflow_provider_123pan.callbacks.address import new_callback_id
from airflow_provider_123pan.service.endpoint import HEADERS
from dev.waiting import wait_for
from tests.benchmarks.submission import PATH

FOUND_RATE = 10.0  # requests per second that an earlier process found, typical of the service (observed)
CONN_ID = "pan123_default"


@dataclass(frozen=True)
class Place:
    """The base URLs of the sandbox and the receiver, and the account."""

    service: str
    client_id: str
    client_secret: str
    receiver: str

    def environment(self) -> dict[str, str]:
        """Return the environment variables that define the connections and the inbox."""
        connection = {
            "conn_type": "pan123",
            "host": self.service,
            "login": self.client_id,
            "password": self.client_secret,
            "extra": {"callback_base_url": self.receiver},
        }
        return {
            f"AIRFLOW_CONN_{CONN_ID.upper()}": json.dumps(connection),
            "AIRFLOW_CONN_POLLED": json.dumps({"conn_type": "http", "host": self.service}),
            "AIRFLOW__PAN123__INBOX_URL": self.receiver,
        }


@contextlib.contextmanager
def receiver(place: Place) -> Iterator[None]:
    """Run ``airflow pan123 receiver`` with its own database."""
    with tempfile.TemporaryDirectory() as home:
        environment = (
            os.environ
            | place.environment()
            | {
                "AIRFLOW_HOME": home,
                "AIRFLOW__PAN123__INBOX_URI": f"sqlite:///{home}/inbox.db",
            }
        )
        command = [
            Path(sys.executable).parent / "airflow",
            "pan123",
            "receiver",
            "--port",
            str(place.receiver)[-5:],
        ]
        with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as process:

            def healthy() -> bool:
                with contextlib.suppress(requests.RequestException):
                    return requests.get(f"{place.receiver}/pan123/health", timeout=1).ok
                return False

            try:
                wait_for(healthy, what="the receiver", timeout=60)
                yield
            finally:
                process.terminate()


class FoundRate:
    """Variables in memory that hold a found rate from the beginning."""

    def __init__(self) -> None:
        """Start with the rate only."""
        self._values: dict[str, str] = {}

    def get(self, name: str) -> str | None:
        if name.startswith("pan123_rate__"):
            return json.dumps({"rate": FOUND_RATE, "process": "0123abcd"})
        return self._values.get(name)

    def set(self, name: str, value: str, description: str) -> None:
        """Store a Variable."""
        self._values[name] = value


# --- submissions and triggers ----------------------------------------------------------------------------------------


def submit(place: Place, count: int) -> list[dict[str, Any]]:
    """Create offline tasks, and return submissions as the operator does; the sandbox has no callback URLs."""
    answer = requests.post(
        f"{place.service}/api/v1/access_token",
        json={"clientID": place.client_id, "clientSecret": place.client_secret},
        headers=HEADERS,
        timeout=10,
    ).json()
    made = []
    with requests.Session() as session:
        session.headers.update(HEADERS | {"Authorization": f"Bearer {answer['data']['accessToken']}"})
        for number in range(count):
            url, name = f"https://example.com/{number}.png", f"{number}.png"
            body = {"url": url, "fileName": name, "type": 1}
            answer = session.post(place.service + PATH, json=body, timeout=10).json()
            made.append(
                {
                    "taskID": answer["data"]["taskID"],
                    "url": url,
                    "file_name": name,
                    "callback_id": new_callback_id(),
                    "submitted_at": time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime()),
                }
            )
    return made


def provider_triggers(submissions: list[dict[str, Any]]) -> list[Any]:
    """Return the provider's trigger for each submission."""
    from airflow_provider_123pan.triggers.offline_download import Pan123OfflineDownloadTrigger

    return [
        Pan123OfflineDownloadTrigger(
            submission=submission, pan123_conn_id=CONN_ID, deadline=time.time() + 86_400, poke_interval=5
        )
        for submission in submissions
    ]


async def never(response: Any) -> bool:
    """Return False: no response ends the wait."""
    return False


def http_sensor_triggers(count: int) -> list[Any]:
    """Return triggers of the http provider's sensor, which poll every 5 s."""
    from airflow.providers.http.triggers.http import HttpSensorTrigger

    return [
        HttpSensorTrigger(endpoint="/not-there", http_conn_id="polled", poke_interval=5) for _ in range(count)
    ]


def http_event_triggers(count: int) -> list[Any]:
    """Return event triggers of the http provider, which poll every 5 s."""
    from airflow.providers.http.triggers.http import HttpEventTrigger

    check = f"{__spec__.name}.never"
    return [
        HttpEventTrigger(
            auth_type=None,
            endpoint="/sandbox/health",
            http_conn_id="polled",
            response_check_path=check,
            poll_interval=5,
        )
        for _ in range(count)
    ]


class SimplePollingTrigger:
    """A simple trigger that polls every 5 s, with one HTTP client for all."""

    client: httpx.AsyncClient | None = None

    def __init__(self, url: str) -> None:
        """Poll this URL."""
        self._url = url

    async def run(self) -> AsyncIterator[None]:
        """Poll until the trigger is cancelled."""
        if SimplePollingTrigger.client is None:
            SimplePollingTrigger.client = httpx.AsyncClient(
                limits=httpx.Limits(max_connections=8), timeout=None
            )
        while True:
            await SimplePollingTrigger.client.get(self._url)
            await asyncio.sleep(5)
        yield  # type: ignore[unreachable]
