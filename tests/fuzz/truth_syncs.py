"""Drives whole syncs in a scenario of the truth fuzz."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any
from unittest import mock

from airflow_provider_123pan.exceptions import Pan123Error
from airflow_provider_123pan.service.models import Image, TaskStatus
from airflow_provider_123pan.service.protocol import get_offline_download
from airflow_provider_123pan.sync import delivery_reader, progress_poller, submitter
from airflow_provider_123pan.sync.checkpoint import Deferral
from airflow_provider_123pan.sync.image_state import ImageState
from airflow_provider_123pan.sync.inventory import Inventory
from airflow_provider_123pan.sync.options import FetchOptions, SyncOptions
from airflow_provider_123pan.sync.raw_entries import RawEntry
from airflow_provider_123pan.sync.run import SyncRun
from airflow_provider_123pan.sync.timing import SyncTiming
from tests.fuzz.truth_scenario import Scenario, etag_of
from tests.fuzz.truth_service import DIRECTORY, Service, url_of
from tests.fuzz.truth_waits import TIMEOUT, Answered, Client, Killed, kill_after
from tests.fuzz.virtual_time import VIRTUAL


class Serial:
    """An executor that runs everything at once."""

    def __init__(self, *_: Any, **__: Any) -> None:
        """Take what a thread pool takes."""

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        future = Future[Any]()
        try:
            future.set_result(function(*arguments))
        except Exception as error:
            future.set_exception(error)
        return future

    def map(self, function: Callable[[Any], Any], values: Any) -> Iterator[Any]:
        return map(function, values)

    def shutdown(self, **_: Any) -> None:
        """Do nothing."""


class _Store:
    """Airflow's ``task_state_store``; a killed worker writes nothing any more."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.open = True

    def get(self, key: str) -> Any:
        return self.values.get(key)

    def set(self, key: str, value: Any) -> None:
        if self.open:
            self.values[key] = value

    def delete(self, key: str) -> None:
        if self.open:
            self.values.pop(key, None)


class _Signer:
    def address(self, callback_id: str) -> str:
        return f"https://callbacks.example.com/{callback_id}"


class _Watched(Inventory):
    """An inventory that records when each image ended, also across deferrals."""

    def __init__(self, ended: dict[int, Answered]) -> None:
        super().__init__()
        self._ended = ended

    def record(
        self,
        number: int,
        state: ImageState,
        image: Image | None = None,
        *,
        taskID: int | None = None,
        reason: str | None = None,
        fetched_by: str | None = None,
    ) -> None:
        super().record(number, state, image, taskID=taskID, reason=reason, fetched_by=fetched_by)
        good = image if image and state in (ImageState.PRESENT, ImageState.MIGRATED) else None
        self._ended[number] = Answered(
            good and good.fileID, good and good.download_url, state.name.lower(), reason or "", VIRTUAL.now
        )


def sync(scenario: Scenario, service: Service) -> list[Answered]:
    """Bring the directory in line with a list."""
    store, kills, deadline = _Store(), iter(scenario.kills), VIRTUAL.time() + TIMEOUT
    ended: dict[int, Answered] = {}

    def look_up(_: Any, ids: list[str]) -> Any:
        return service.delivered(set(ids))

    with (
        mock.patch.object(submitter, "ThreadPoolExecutor", Serial),
        mock.patch.object(submitter, "TICK_SECONDS", 0.5),
        mock.patch.object(progress_poller, "ThreadPoolExecutor", Serial),
        mock.patch.object(delivery_reader, "look_up", look_up),
        mock.patch("airflow_provider_123pan.sync.run.inbox_endpoint", return_value=object()),
    ):
        while True:
            store.open = True
            kill_after(kills)
            try:
                return _sync_once(scenario, service, store, deadline, ended)
            except Killed:
                store.open = False
                VIRTUAL.now += 5


def _defer_sync(client: Client, trigger: dict[str, Any]) -> list[str]:
    """Wait as the trigger does without callbacks, and return the keys of the images that have ended."""
    ended: list[str] = []
    while VIRTUAL.time() < trigger["until"] and len(ended) < trigger["want"]:
        VIRTUAL.sleep(10.0)
        for key, (taskID, *_) in trigger["active"].items():
            with contextlib.suppress(Pan123Error):
                if key not in ended and taskID is not None:
                    status = client.call(get_offline_download(taskID), 30.0).status
                    ended += [key] if status in (TaskStatus.SUCCEEDED, TaskStatus.FAILED) else []
    return ended


def _entry(scenario: Scenario, number: int) -> RawEntry:
    """Return an entry of the sync's list."""
    row: dict[str, Any] = {"url": url_of(number), "file_name": scenario.file_name(number)}
    return RawEntry(f"entry {number}", row | ({"md5": etag_of(url_of(number))} if scenario.knows_md5 else {}))


def surroundings(client: Client, store: object) -> tuple[Any, Any]:
    """Return the hook and the context of a task."""
    hook = SimpleNamespace(
        client=client,
        run=client.run,
        keep_rate=lambda: None,
        settings=SimpleNamespace(account="account"),
        pan123_conn_id="pan123_default",
    )
    names = {"dag_id": "dag", "run_id": "run", "task_id": "task", "map_index": -1}
    ti = SimpleNamespace(**names, xcom_push=lambda key, value: None)
    return hook, {"ti": ti, "task_state_store": store}


def _sync_once(
    scenario: Scenario, service: Service, store: _Store, deadline: float, ended: dict[int, Answered]
) -> list[Answered]:
    client = Client(service)
    hook, context = surroundings(client, store)
    results = f"{tempfile.gettempdir()}/pan123-fuzz-{os.getpid()}.jsonl"
    fetching = FetchOptions.of("service", None, None, (), 1)
    options = SyncOptions(
        DIRECTORY, (), results, scenario.mode == "sync overwrite", None, scenario.defers, deadline, fetching
    )
    signer: Any = None if scenario.callback == "none" else _Signer()
    checkpoint, ended_in_trigger = None, list[str]()
    while True:
        inventory = _Watched(ended)
        inventory.load(_entry(scenario, number) for number in range(scenario.images))
        try:
            if checkpoint is None:
                run = SyncRun.begin(hook, inventory, options, signer, context, SyncTiming())
            else:
                run = SyncRun.resume(
                    hook, inventory, options, signer, context, SyncTiming(), checkpoint, ended_in_trigger
                )
            deferral = run.run()
        except Pan123Error as error:
            return [
                Answered(None, None, None, f"{type(error).__name__}: {error}", VIRTUAL.now)
            ] * scenario.images
        if not isinstance(deferral, Deferral):
            return [ended[number] for number in range(scenario.images)]
        checkpoint = deferral.checkpoint
        ended_in_trigger = _defer_sync(client, deferral.trigger)
