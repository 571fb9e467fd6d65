"""The triggers that the waiting benchmark compares: the provider's, those of the http provider, and a simple one."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import requests

from airflow_provider_123pan.callbacks.address import callback_address, new_callback_id
from tests.benchmarks.servers import log_in
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


# --- submissions and triggers ----------------------------------------------------------------------------------------


def submit(place: Place, count: int, *, with_callbacks: bool = False) -> list[dict[str, Any]]:
    """Create offline tasks, and return submissions as the operator does.

    :param with_callbacks: give the service the callback URLs.
    """
    made = []
    with requests.Session() as session:
        session.headers.update(log_in(place.service, place.client_id, place.client_secret))
        for number in range(count):
            url, name, callback_id = f"https://example.com/{number}.png", f"{number}.png", new_callback_id()
            body = {"url": url, "fileName": name, "type": 1}
            if with_callbacks:
                body["callBackUrl"] = callback_address(
                    place.receiver, CONN_ID, callback_id, client_secret=place.client_secret
                )
            answer = session.post(place.service + PATH, json=body, timeout=10).json()
            made.append(
                {
                    "taskID": answer["data"]["taskID"],
                    "url": url,
                    "file_name": name,
                    "callback_id": callback_id,
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
