"""A running sandbox, a client that is logged in, and a server for images and callbacks."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from airflow_provider_123pan.sandbox import Sandbox
from tests.integration.sandbox.support import Client, Peer


@pytest.fixture(scope="module")
def _running_peer() -> Iterator[Peer]:
    with Peer() as peer:
        threading.Thread(target=peer.serve_forever, daemon=True).start()
        yield peer
        peer.shutdown()


@pytest.fixture(scope="module")
def _running_sandbox() -> Iterator[Sandbox]:
    with Sandbox(delay=0) as sandbox:
        yield sandbox


@pytest.fixture
def peer(_running_peer: Peer, sandbox: Sandbox) -> Peer:
    """Return a server for images and callbacks that has received nothing."""
    # The sandbox has been reset, which has cancelled the callbacks of the previous test.
    _running_peer.received.clear()
    _running_peer.deliveries.clear()
    return _running_peer


@pytest.fixture
def sandbox(_running_sandbox: Sandbox) -> Sandbox:
    """Return a sandbox in the state after its start, whose tasks end at once."""
    _running_sandbox.reset()
    return _running_sandbox


@pytest.fixture
def client(sandbox: Sandbox) -> Client:
    """Return a client of the sandbox that is logged in."""
    client = Client(sandbox)
    assert client.log_in()["code"] == 0
    return client
