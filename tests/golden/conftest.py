"""The provider as Airflow loads it, against one sandbox, with the outside world replaced and the pauses cut short."""

from __future__ import annotations

import json
import re
import time
import urllib.request
from collections.abc import Callable, Iterator
from hashlib import sha256
from importlib.metadata import entry_points
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.models.variable import Variable
from airflow.sdk.execution_time.context import OutletEventAccessors

from airflow_provider_123pan.account.token import LoginTiming
from airflow_provider_123pan.download.timing import WaitTiming
from airflow_provider_123pan.operators.sync_images import Pan123SyncImagesOperator
from airflow_provider_123pan.sandbox import Sandbox
from airflow_provider_123pan.sync.timing import SyncTiming
from airflow_provider_123pan.triggers.offline_download import Pan123OfflineDownloadTrigger
from airflow_provider_123pan.triggers.sync_images import Pan123SyncImagesTrigger

EXPECTED = Path(__file__).parent / "expected"
SECRET = "golden-secret-0123456789"
ACCOUNTS = ("main", "login", "stopped", "rate")
FIRST_TASK_ID = 403316
UNREACHABLE = "http://127.0.0.1:9"  # the discard port: callbacks go nowhere, so every wait polls
ISO_8601 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?\+00:00")


def shaped(value: Any) -> Any:
    """Return ``value`` with a placeholder for everything that differs from run to run."""
    match value:
        case dict():
            return {
                key: "<reason>" if key == "reason" and item and isinstance(item, str) else shaped(item)
                for key, item in value.items()
            }
        case list() | tuple():
            return [shaped(item) for item in value]
        case str() if re.fullmatch("[0-9a-f]{32}", value):
            return "<32 hex digits>"
        case str() if ISO_8601.fullmatch(value):
            return "<ISO 8601, UTC>"
        case str():
            value = re.sub(r"http://127\.0\.0\.1:\d{2,}", "<sandbox>", value)
            value = re.sub(r"yk6baz03t0l000d7w3[0-9a-z=]{30}", "<file ID>", value)
            return re.sub(r"\b[0-9a-f]{32}\b", "<32 hex digits>", value)
        case float() if abs(value - time.time()) < 8 * 86400:
            return "<Unix seconds>"
        case int() if FIRST_TASK_ID <= value < FIRST_TASK_ID + 1000:
            return "<taskID>"
    return value


def filled(template: Any, values: Any) -> Any:
    """Return a golden record with each placeholder replaced by its counterpart in ``values``."""
    match template:
        case dict():
            return {key: filled(item, values[key]) for key, item in template.items()}
        case list():
            return [filled(item, values[index]) for index, item in enumerate(template)]
        case str() if "<" in template:
            return values
    return template


class Golden:
    """The expected records: one JSON file for each."""

    shaped = staticmethod(shaped)
    filled = staticmethod(filled)

    def load(self, name: str) -> Any:
        return json.loads((EXPECTED / f"{name}.json").read_text(encoding="utf-8"))

    def check(self, name: str, value: Any) -> None:
        """Compare as text, since 1, 1.0 and true are equal in Python and different in JSON."""
        text = json.dumps(shaped(value), indent=2, sort_keys=True, ensure_ascii=False)
        assert text.splitlines() == (EXPECTED / f"{name}.json").read_text(encoding="utf-8").splitlines()


class Store:
    """Airflow's ``task_state_store`` of one task, with everything that was ever written to it."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.written: list[tuple[str, Any]] = []

    def get(self, key: str) -> Any:
        return json.loads(self.values[key]) if key in self.values else None

    def set(self, key: str, value: Any) -> None:
        self.values[key] = json.dumps(value)
        self.written.append((key, json.loads(self.values[key])))

    def delete(self, key: str) -> None:
        self.values.pop(key, None)


@pytest.fixture(scope="session")
def golden() -> Golden:
    return Golden()


@pytest.fixture(scope="session")
def plugin() -> Any:
    """The plugin, loaded from its entry point."""
    (found,) = entry_points(group="airflow.plugins", name="pan123")
    return found.load()()


@pytest.fixture(scope="session")
def provider_info() -> dict[str, Any]:
    (found,) = (
        entry
        for entry in entry_points(group="apache_airflow_provider")
        if entry.dist is not None and entry.dist.name == "airflow-provider-123pan"
    )
    info: dict[str, Any] = found.load()()
    return info


@pytest.fixture(scope="session", autouse=True)
def _short() -> Iterator[None]:
    """Shorten the pauses of logins, before deferrals, and before events."""
    wait = WaitTiming(min_to_event=0.0, reason_wait=0.0, settling=0.5)
    sync = SyncTiming(wait=wait, idle_before_deferral=2.0)
    login = LoginTiming(settle_seconds=0.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("airflow_provider_123pan.account.account.login_timing", login)
        patch.setattr(Pan123OfflineDownloadTrigger, "timing", wait)
        for kind in (Pan123SyncImagesOperator, Pan123SyncImagesTrigger):
            patch.setattr(kind, "timing", sync)
        yield


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    patterns = {"hold": "held", "fail": "broken", "review": "rejected"}
    options: dict[str, Any] = {"delay": 0, "fetch": False, **patterns}
    with Sandbox(accounts=dict.fromkeys(ACCOUNTS, SECRET), first_task_id=FIRST_TASK_ID, **options) as running:
        yield running


@pytest.fixture(scope="session")
def account(sandbox: Sandbox) -> Callable[[str], str]:
    """Return the digest of an account, whose first 16 digits end the names of its Variables."""
    return lambda client_id: sha256(f"{sandbox.base_url}\n{client_id}".encode()).hexdigest()


@pytest.fixture(scope="session")
def variables(sandbox: Sandbox, account: Callable[[str], str]) -> Iterator[dict[str, str]]:
    """Airflow's Variables; they hold golden records of a token and a rate for the account ``main``."""
    values: dict[str, str] = {}

    def get(name: str, default: Any = None, **_: Any) -> Any:
        return values.get(name, default)

    def put(name: str, value: str, **_: Any) -> None:
        values[name] = value

    request = urllib.request.Request(
        f"{sandbox.base_url}/api/v1/access_token",
        json.dumps({"clientID": "main", "clientSecret": SECRET}).encode(),
        {"Platform": "open_platform", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:
        token = json.load(answer)["data"]["accessToken"]
    main = account("main")
    values[f"pan123_access_token__{main[:16]}"] = json.dumps(
        {"account": main, "accessToken": token, "expiredAt": "2999-01-01T00:00:00+00:00"}
    )
    for client_id in ("main", "login"):
        values[f"pan123_rate__{account(client_id)[:16]}"] = '{"rate": 1000.0, "process": "0123abcd"}'
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Variable, "get", staticmethod(get))
        patch.setattr(Variable, "set", staticmethod(put))
        yield values


@pytest.fixture(scope="session")
def connections(sandbox: Sandbox, variables: dict[str, str]) -> Iterator[None]:
    """One connection for each account, and ``callbacks`` for ``main`` with callbacks."""
    content = {"conn_type": "pan123", "host": sandbox.base_url, "password": SECRET}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW__PAN123__INBOX_URL", UNREACHABLE)
        for client_id in ACCOUNTS:
            patch.setenv(f"AIRFLOW_CONN_{client_id.upper()}", json.dumps(content | {"login": client_id}))
        extra = {"callback_base_url": UNREACHABLE}
        patch.setenv("AIRFLOW_CONN_CALLBACKS", json.dumps(content | {"login": "main", "extra": extra}))
        yield


@pytest.fixture(scope="session")
def new_context() -> Callable[[], dict[str, Any]]:
    """Make the context of a task, as far as the provider reads it."""

    def make() -> dict[str, Any]:
        pushed: dict[str, Any] = {}
        ti = SimpleNamespace(
            dag_id="dag",
            run_id="run",
            task_id="task",
            map_index=-1,
            max_tries=0,
            pushed=pushed,
            xcom_push=pushed.__setitem__,
            get_first_reschedule_date=lambda _: None,
        )
        return {"ti": ti, "task_state_store": Store(), "outlet_events": OutletEventAccessors()}

    return make


@pytest.fixture
def context(new_context: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    return new_context()


@pytest.fixture(scope="session")
def stats() -> Iterator[dict[str, Any]]:
    """Metrics by name: the sum of a counter, the values of a gauge."""
    from airflow.observability.stats import Stats
    from airflow.sdk.observability.stats import Stats as SdkStats

    seen: dict[str, Any] = {}

    def incr(name: str, count: int = 1, *_: Any, **__: Any) -> None:
        seen[name] = seen.get(name, 0) + count

    def gauge(name: str, value: float, *_: Any, **__: Any) -> None:
        seen.setdefault(name, []).append(value)

    with pytest.MonkeyPatch.context() as patch:
        for kind in (Stats, SdkStats):
            patch.setattr(kind, "incr", staticmethod(incr), raising=False)
            patch.setattr(kind, "gauge", staticmethod(gauge), raising=False)
        yield seen
