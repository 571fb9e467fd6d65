"""The provider against the sandbox over real HTTP, without an Airflow around it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.execution_time.context import OutletEventAccessors

from airflow_provider_123pan.account.token import LoginTiming
from airflow_provider_123pan.callbacks.address import secret_keys
from airflow_provider_123pan.download.timing import WaitTiming
from airflow_provider_123pan.operators.offline_download import Pan123OfflineDownloadOperator
from airflow_provider_123pan.operators.sync_images import Pan123SyncImagesOperator
from airflow_provider_123pan.sandbox import Sandbox
from airflow_provider_123pan.sensors.offline_download import Pan123OfflineDownloadSensor
from airflow_provider_123pan.sync.timing import SyncTiming
from airflow_provider_123pan.triggers.copy_from_drive import Pan123CopyFromDriveTrigger
from airflow_provider_123pan.triggers.offline_download import Pan123OfflineDownloadTrigger
from airflow_provider_123pan.triggers.sync_images import Pan123SyncImagesTrigger
from dev.servers import Unavailable
from tests.integration import databases
from tests.integration.receiver.support import Keys, ReceiverServer, running_receiver

CONN_ID = "pan123_default"


class MemoryVariables:
    """Airflow's Variables for one process."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self._lock = threading.Lock()

    def get(self, name: str) -> str | None:
        if name.startswith("pan123_rate__"):
            return '{"rate": 1000.0, "process": "0123abcd"}'  # the sandbox has no rate limit
        with self._lock:
            return self.values.get(name)

    def set(self, name: str, value: str, description: str) -> None:
        with self._lock:
            self.values[name] = value


class MemoryStore:
    """Airflow 3.3's ``task_state_store`` of one task."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}

    def get(self, key: str) -> Any:
        return json.loads(self.values[key]) if key in self.values else None

    def set(self, key: str, value: Any) -> None:
        self.values[key] = json.dumps(value)

    def delete(self, key: str) -> None:
        self.values.pop(key, None)


@pytest.fixture(scope="session")
def _running_sandbox() -> Iterator[Sandbox]:
    with Sandbox(delay=0.2, fetch=False) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(_running_sandbox: Sandbox) -> Sandbox:
    _running_sandbox.reset()
    return _running_sandbox


SetTiming = Callable[..., None]


@pytest.fixture(autouse=True)
def set_timing(monkeypatch: pytest.MonkeyPatch) -> SetTiming:
    """Shorten the pauses of waits and syncs.

    The fixture changes further durations, by the names of the fields of WaitTiming and SyncTiming.
    """

    def change(**durations: Any) -> None:
        own = {name: durations.pop(name) for name in [*durations] if hasattr(SyncTiming, name)}
        for waits in (
            Pan123OfflineDownloadOperator,
            Pan123OfflineDownloadSensor,
            Pan123OfflineDownloadTrigger,
            Pan123CopyFromDriveTrigger,
        ):
            monkeypatch.setattr(waits, "timing", replace(waits.timing or WaitTiming(), **durations))
        for syncs in (Pan123SyncImagesOperator, Pan123SyncImagesTrigger):
            given = syncs.timing or SyncTiming()
            timing = replace(given, wait=replace(given.wait, **durations), **own)
            monkeypatch.setattr(syncs, "timing", timing)

    change(
        min_to_event=0.0,
        settling=0.5,
        visible_check=(0.1, 0.5),
        check=(0.1, 0.5),
        trigger_check=(0.2, 0.5),
        silent=(0.5, 1.0),
        idle_before_deferral=0.5,
        recheck=1.0,
        last_look=1.0,
        read_retry_pauses=(0.1,) * 20,
        unavailable_pauses=(0.1, 1.0),
        too_many_tasks_pauses=(0.2, 0.5, 1.0),
        skew=timedelta(seconds=1),
    )
    return change


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch) -> MemoryVariables:
    made = MemoryVariables()
    monkeypatch.setattr("airflow_provider_123pan.account.account.AirflowVariables", lambda: made)
    monkeypatch.setattr("airflow_provider_123pan.account.account._throttles", {})
    timing = LoginTiming(settle_seconds=0.0)
    monkeypatch.setattr("airflow_provider_123pan.account.account.login_timing", timing)
    return made


@pytest.fixture
def connect(
    sandbox: Sandbox, variables: MemoryVariables, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., None]:
    """Define the connection ``pan123_default``: the sandbox's, with these fields changed."""

    def define(extra: dict[str, Any] | str | None = None, **fields: Any) -> None:
        content = {
            "conn_type": "pan123",
            "host": sandbox.base_url,
            "login": sandbox.client_id,
            "password": sandbox.client_secret,
            "extra": extra or {},
        } | fields
        monkeypatch.setenv(f"AIRFLOW_CONN_{CONN_ID.upper()}", json.dumps(content))

    define()
    return define


@pytest.fixture
def context() -> dict[str, Any]:
    """What a task of Airflow 3.3 finds in its context, as far as the provider looks."""
    pushed: dict[str, Any] = {}
    instance = SimpleNamespace(
        dag_id="dag",
        run_id="run",
        task_id="task",
        map_index=-1,
        max_tries=0,
        xcom_push=pushed.__setitem__,
        pushed=pushed,
        get_first_reschedule_date=lambda _: None,
    )
    return {"ti": instance, "task_state_store": MemoryStore(), "outlet_events": OutletEventAccessors()}


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """Return the URL of a PostgreSQL database."""
    try:
        with databases.postgresql() as uri:
            yield uri
    except Unavailable as error:
        pytest.skip(f"no PostgreSQL: {error}")


@pytest.fixture(scope="session")
def mariadb() -> Iterator[str]:
    """Return the socket of a MariaDB server with the database ``wordpress``."""
    try:
        with databases.mariadb() as socket:
            yield socket
    except Unavailable as error:
        pytest.skip(f"no MariaDB: {error}")


@pytest.fixture(scope="session")
def inbox_uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the URL of the receivers' database."""
    return f"sqlite:///{tmp_path_factory.mktemp('inbox') / 'inbox.db'}"


@pytest.fixture(scope="session")
def receiver(inbox_uri: str, _running_sandbox: Sandbox) -> Iterator[str]:
    """Return the base URL of a receiver that runs for the whole session."""
    with running_receiver(inbox_uri, _keys(_running_sandbox)) as server:
        yield server.base_url


@pytest.fixture
def second_receiver(inbox_uri: str, receiver: str, sandbox: Sandbox) -> Iterator[ReceiverServer]:
    """Return a receiver over the same database, as in a second API server."""
    with running_receiver(inbox_uri, _keys(sandbox)) as server:
        yield server


def _keys(sandbox: Sandbox) -> Keys:
    return Keys(**{CONN_ID: secret_keys(sandbox.client_secret, None)})
