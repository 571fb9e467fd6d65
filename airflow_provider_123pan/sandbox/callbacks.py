"""Sends callbacks, correct or wrong as the options say: how the real service does it is undocumented."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx

from airflow_provider_123pan.sandbox.callback_forms import callback_request, status_field
from airflow_provider_123pan.sandbox.options import Options
from airflow_provider_123pan.sandbox.store import Image
from airflow_provider_123pan.sandbox.tasks import OfflineTask

_MAX_CONCURRENT = 8
_TIMEOUT_SECONDS = 10.0
_NO_SUCH_FILE = ("yk6baz03t0l000d7w3nosuchfile", 999_999_999)


class Callbacks:
    """The sender of callbacks.

    :ivar sent: Number of callbacks sent since the start or the last reset.
    """

    def __init__(self, options: Options) -> None:
        """Open a client without connections.

        :param options: The sandbox's options, read at each callback.
        """
        self._options = options
        self._slots = asyncio.Semaphore(_MAX_CONCURRENT)
        # The receiver usually runs on this machine, so a proxy from the environment is ignored.
        self._client = httpx.AsyncClient(timeout=_TIMEOUT_SECONDS, trust_env=False)
        self.sent = 0

    async def announce(self, task: OfflineTask, other_image: Image | None) -> None:
        """Send the callbacks of a task that has ended, if it has a callback URL.

        :param task: The task that has ended.
        :param other_image: An image of another task, which a wrong callback names; None if there is none.
        """
        mode = self._options.callback
        if not task.callback_url or mode == "never":
            return
        payload = self._payload(task, other_image)
        if mode == "late":
            await asyncio.sleep(self._options.callback_delay)
        if mode == "twice-at-once":
            await asyncio.gather(self._deliver(task, payload), self._deliver(task, payload))
        else:
            await self._deliver(task, payload)
        if mode == "twice":
            await asyncio.sleep(self._options.callback_delay)
            await self._deliver(task, payload)

    def _payload(self, task: OfflineTask, other_image: Image | None) -> dict[str, Any]:
        """Return `{"url", "status", "failReason", "fileID"}` (official sample); it has no taskID."""
        mode = self._options.callback
        success, reason, file_id = task.image is not None, task.reason, _ids(task.image)
        if mode == "lying":
            success = not success
            reason = "" if success else "this is a lie"
        if mode == "wrong-file" or (mode == "lying" and success):
            file_id = _ids(other_image) if other_image else _NO_SUCH_FILE
        elif not success:
            file_id = _ids(None)
        return {
            "url": task.url,
            **status_field(success, self._options.status_as),
            self._options.reason_spelling: reason,
            "fileID": file_id[self._options.file_id_as == "number"],
        }

    async def _deliver(self, task: OfflineTask, payload: dict[str, Any]) -> None:
        async with self._slots:
            self.sent += 1
            task.delivery_starts()
            try:
                form = self._options.callback_form
                request = callback_request(self._client, task.callback_url, payload, form)
                answer = await self._client.send(request)
                task.delivery_ended(f"HTTP {answer.status_code}")
            except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
                task.delivery_ended(type(error).__name__)

    def reset(self) -> None:
        """Count from zero again."""
        self.sent = 0

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()


def _ids(image: Image | None) -> tuple[str, int]:
    """Return the fileID as a string and as a number; both are empty if there is no image."""
    return (image.file_id, image.number) if image else ("", 0)
