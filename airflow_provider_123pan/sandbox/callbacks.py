"""Delivers callbacks, well or badly: how the real service does it is undocumented."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import httpx

from airflow_provider_123pan.sandbox.options import Options
from airflow_provider_123pan.sandbox.store import Image

if TYPE_CHECKING:
    from airflow_provider_123pan.sandbox.tasks import OfflineTask

_AT_ONCE = 8
_TIMEOUT = 10.0
_SUCCESS, _FAILED = 0, 1  # the other way round than in progress
_NO_SUCH_FILE = ("yk6baz03t0l000d7w3nosuchfile", 999_999_999)


class Callbacks:
    def __init__(self, options: Options) -> None:
        self._options = options
        self._slots = asyncio.Semaphore(_AT_ONCE)
        # The address is usually on this machine: no proxy from the environment.
        self._client = httpx.AsyncClient(timeout=_TIMEOUT, trust_env=False)
        self.sent = 0

    async def announce(self, task: OfflineTask, another: Image | None) -> None:
        """Tell the callback address of `task`, which has ended; `another` is an image of another task."""
        mode = self._options.callback
        if not task.callback_url or mode == "never":
            return
        payload = self._payload(task, another)
        if mode == "late":
            await asyncio.sleep(self._options.callback_delay)
        if mode == "twice-at-once":
            await asyncio.gather(self._deliver(task, payload), self._deliver(task, payload))
        else:
            await self._deliver(task, payload)
        if mode == "twice":
            await asyncio.sleep(self._options.callback_delay)
            await self._deliver(task, payload)

    def _payload(self, task: OfflineTask, another: Image | None) -> dict[str, Any]:
        """The documented sample: `{"url", "status", "failReason", "fileID"}`; there is no taskID in it."""
        mode = self._options.callback
        success, reason, file_id = task.image is not None, task.reason, _ids(task.image)
        if mode == "lying":
            success = not success
            reason = "" if success else "this is a lie"
        if mode == "wrong-file" or (mode == "lying" and success):
            file_id = _ids(another) if another else _NO_SUCH_FILE
        elif not success:
            file_id = _ids(None)
        return {
            "url": task.url,
            "status": _SUCCESS if success else _FAILED,
            self._options.reason_spelling: reason,
            "fileID": file_id[self._options.file_id_as == "number"],
        }

    async def _deliver(self, task: OfflineTask, payload: dict[str, Any]) -> None:
        async with self._slots:
            self.sent += 1
            task.delivered_at = task.delivered_at or time.time()
            try:
                answer = await self._client.post(task.callback_url, json=payload)
                task.deliveries.append(f"HTTP {answer.status_code}")
            except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
                task.deliveries.append(type(error).__name__)

    async def close(self) -> None:
        await self._client.aclose()


def _ids(image: Image | None) -> tuple[str, int]:
    """The fileID as a string and as a number; a failure has none."""
    return (image.file_id, image.number) if image else ("", 0)
