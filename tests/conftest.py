"""An Airflow home of the test run's own, before anything imports Airflow."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

# Neither the settings nor the connections of the developer have a say in them.
for name in [name for name in os.environ if name.startswith("AIRFLOW")]:
    del os.environ[name]
for name in ("http_proxy", "https_proxy", "all_proxy"):
    os.environ.pop(name, None)
    os.environ.pop(name.upper(), None)

_home = tempfile.mkdtemp(prefix="pan123-tests-")
atexit.register(shutil.rmtree, _home, ignore_errors=True)
os.environ["AIRFLOW_HOME"] = _home
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"

# A busy machine may take any time for an example.
settings.register_profile("pan123", deadline=None)
settings.load_profile("pan123")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of `make cluster`."""
    parser.addoption(
        "--distributed", action="store_true", help="run the system tests in a distributed Airflow"
    )
    parser.addoption("--inbox", default="postgresql", help="where that Airflow stores callbacks, or mariadb")


@pytest.fixture(autouse=True)
def no_network_for_probes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let probes resolve addresses only, so that no test depends on a host of the internet."""

    def resolve(host: str, port: int) -> list[str]:
        try:
            return [str(ip_address(host))]
        except ValueError:
            raise OSError(f"{host} is not resolved in tests") from None

    monkeypatch.setattr("airflow_provider_123pan.source.addresses.resolve_host", resolve)


@pytest.fixture
def object_store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The store of ``memory://``, empty."""
    from airflow.sdk.io import attach
    from fsspec.implementations.memory import MemoryFileSystem  # type: ignore[import-untyped]

    monkeypatch.setattr("airflow.sdk.io.store._STORE_CACHE", {})
    store = MemoryFileSystem(skip_instance_cache=True)
    attach("memory", fs=store)
    yield store
    store.rm("", recursive=True)


ROOMS = ("system", "integration", "cluster", "unit", "golden")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start with the system tests, which take longest; end with the golden tests, whose fixtures stay until the end."""
    items.sort(key=lambda item: ROOMS.index(_room(item.nodeid)))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """Give each worker whole modules, and one worker all system tests, which share an Airflow.

    The mark ``xdist_group`` would say so too, but xdist 3.8 ignores it under pytest 9.2.
    """
    return _ByModule(config, log)


class _ByModule(LoadScopeScheduling):  # type: ignore[misc]  # it has no types
    def _split_scope(self, nodeid: str) -> str:
        room = _room(nodeid)
        return room if room in ("system", "golden") else nodeid.partition("::")[0]


def _room(nodeid: str) -> str:
    return nodeid.split("/")[1]
