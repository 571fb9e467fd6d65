"""One real Airflow, one sandbox and one host of pictures for all system tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_123pan.sandbox import Sandbox
from dev import images
from dev.cluster import EXAMPLE_DAGS, Cluster

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.system)


@pytest.fixture(scope="session")
def pictures() -> dict[str, bytes]:
    return images.pictures()


@pytest.fixture(scope="session")
def source(pictures: dict[str, bytes]) -> Iterator[str]:
    """The host that the pictures come from."""
    with images.serve(pictures) as base_url:
        yield base_url


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(delay=(0.5, 2)) as sandbox:
        yield sandbox


@pytest.fixture(scope="session")
def airflow(tmp_path_factory: pytest.TempPathFactory, sandbox: Sandbox) -> Iterator[Cluster]:
    dags = tmp_path_factory.mktemp("dags")
    files = [*EXAMPLE_DAGS.glob("*.py"), HERE / "dags/pan123_callbacks.py"]
    for path in files:
        (dags / path.name).symlink_to(path)
    with Cluster(home=tmp_path_factory.mktemp("airflow"), dags=dags) as airflow:
        account = {
            "conn_type": "pan123",
            "host": sandbox.base_url,
            "login": sandbox.client_id,
            "password": sandbox.client_secret,
        }
        airflow.api.set_connection("pan123_default", **account)
        airflow.api.set_connection("pan123_callbacks", extra={"callback_base_url": airflow.url}, **account)
        airflow.wait_for_dag(*(path.stem for path in files))
        yield airflow
