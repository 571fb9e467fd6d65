"""An Airflow home of the test run's own, before anything imports Airflow."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

import pytest

TESTS = Path(__file__).parent

# Neither the settings nor the connections of whoever runs the tests have a say in them.
for name in [name for name in os.environ if name.startswith("AIRFLOW")]:
    del os.environ[name]
for name in ("http_proxy", "https_proxy", "all_proxy"):
    os.environ.pop(name, None)
    os.environ.pop(name.upper(), None)

_home = tempfile.mkdtemp(prefix="pan123-tests-")
atexit.register(shutil.rmtree, _home, ignore_errors=True)
os.environ["AIRFLOW_HOME"] = _home
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each worker of pytest-xdist whole modules, and one of them all system tests, which share an Airflow.

    The system tests take longest and start first. The golden tests, whose fixtures live for the session, come last.
    """
    rooms = {room: TESTS / room for room in ("system", "integration", "unit", "golden")}
    order = {path: place for place, path in enumerate(rooms.values())}
    items.sort(
        key=lambda item: next((order[path] for path in order if path in item.path.parents), len(order))
    )
    for item in items:
        shared = next((name for name in ("system", "golden") if rooms[name] in item.path.parents), None)
        item.add_marker(pytest.mark.xdist_group(shared or str(item.path)))
