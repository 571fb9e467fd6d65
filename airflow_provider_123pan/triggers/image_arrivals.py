"""The trigger that watches a directory for new images. It only reads, because a trigger may run twice."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from airflow_provider_123pan.exceptions import Pan123InputError

if TYPE_CHECKING:
    from airflow_provider_123pan.arrivals.watch import ArrivalTiming


class Pan123ImageArrivalTrigger(BaseEventTrigger):
    """Fire for each new image of a directory, for an ``AssetWatcher``.

    The payload has the keys ``fileID``, ``file_name``, ``directory_id``, ``url`` (the source URL, always None: a
    listing does not know it), ``download_url``, ``user_url``, ``etag`` (MD5) and ``size`` (bytes).

    Each image is reported at least once, after 123pan's record of it shows a URL and no rejection by review. Where the
    watch stopped is kept when the triggerer restarts.

    :param directory_id: the directory; with neither this nor ``directory`` the one named ``来自:离线下载``.
    :param directory: its path, such as ``photos/2026``; it may not exist yet.
    :param poke_interval: seconds between two listings, or a timedelta; a callback causes one earlier.
    :param pan123_conn_id: the connection, of type ``pan123``.
    """

    #: None: the defaults, which a DAG file need not import.
    timing: ClassVar[ArrivalTiming | None] = None

    def __init__(
        self,
        *,
        directory_id: str | None = None,
        directory: str | None = None,
        poke_interval: timedelta | float = 30.0,
        pan123_conn_id: str = "pan123_default",
    ) -> None:
        from airflow_provider_123pan.sync.directory import check_directory

        super().__init__()  # type: ignore[no-untyped-call]
        self.directory_id, self._names = check_directory(directory_id, directory)
        self.directory = directory
        self.poke_interval = _seconds(poke_interval)
        self.pan123_conn_id = pan123_conn_id

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments, as Airflow stores them."""
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "directory_id": self.directory_id,
                "directory": self.directory,
                "poke_interval": self.poke_interval,
                "pan123_conn_id": self.pan123_conn_id,
            },
        )

    async def run(self) -> AsyncGenerator[TriggerEvent, None]:
        """Watch without end, and yield an event for each image."""
        from airflow_provider_123pan.arrivals.cursor_store import CursorStore, cursor_name
        from airflow_provider_123pan.arrivals.watch import ArrivalTiming, Watch

        name = cursor_name(self.pan123_conn_id, self.directory_id, self.directory)
        watch = Watch(
            self.pan123_conn_id,
            self.directory_id,
            self._names,
            self.poke_interval,
            CursorStore(getattr(self, "asset_state_store", None), name),
            self.timing or ArrivalTiming(),
        )
        async with aclosing(watch.images()) as images:
            async for image in images:
                payload = {
                    "fileID": image.fileID,
                    "file_name": image.file_name,
                    "directory_id": image.directory_id,
                    "url": None,
                    "download_url": image.download_url,
                    "user_url": image.user_url,
                    "etag": image.etag,
                    "size": image.size,
                }
                yield TriggerEvent(payload)  # type: ignore[no-untyped-call]


def _seconds(poke_interval: Any) -> float:
    seconds = poke_interval.total_seconds() if isinstance(poke_interval, timedelta) else poke_interval
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 < seconds < float("inf"):
        raise Pan123InputError(
            f"poke_interval: must be a timedelta or seconds above 0; got {poke_interval!r:.50}"
        )
    return float(seconds)
