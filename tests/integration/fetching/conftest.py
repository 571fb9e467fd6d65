"""Hosts that want different things of who fetches their images, and a service that has its own address."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import httpx
import pytest

from airflow_provider_123pan.sandbox import Sandbox
from tests.integration.fetching.hosts import CONNECTIONS, SERVICE, WANTED, Host, running_host


@pytest.fixture(autouse=True)
def _short(set_timing: Callable[..., None]) -> None:
    set_timing(
        trigger_check=(0.3, 0.5),
        idle_before_deferral=0.5,
        recheck=1.0,
        silent=(1.0, 3.0),
        settling=0.5,
        skew=timedelta(seconds=2),
    )


@pytest.fixture(scope="session")
def _service() -> Iterator[Sandbox]:
    client = httpx.AsyncClient

    def with_address(**options: Any) -> httpx.AsyncClient:
        return client(transport=httpx.AsyncHTTPTransport(local_address=SERVICE), **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("airflow_provider_123pan.sandbox.fetcher.httpx.AsyncClient", with_address)
        sandbox = Sandbox(delay=0, fetch=True, upload_end="at-once").start()
    try:
        yield sandbox
    finally:
        sandbox.stop()


@pytest.fixture
def sandbox(_service: Sandbox) -> Sandbox:
    """Return a sandbox that downloads images from the address ``SERVICE``."""
    _service.reset()
    return _service


@pytest.fixture
def connections(connect: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Define the connections to 123pan and to the hosts that want a login or a token."""
    for kind, fields in CONNECTIONS.items():
        content = json.dumps({"conn_type": "http", **fields})
        monkeypatch.setenv(f"AIRFLOW_CONN_{kind.upper()}_HTTP", content)


@pytest.fixture
def hosts() -> Iterator[dict[str, Host]]:
    """Run hosts, by what they want."""
    with ExitStack() as running:
        yield {kind: running.enter_context(running_host(kind)) for kind in WANTED}
