"""The house rules: each floor imports from floors below only, files stay small, DAG files stay light."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import airflow_provider_123pan

PACKAGE = Path(airflow_provider_123pan.__file__).parent
NAME = PACKAGE.name
#: From the ground up; a module's floor is the first name that its path begins with.
FLOORS = [
    ["exceptions"],
    ["service.models"],
    ["service.throttle", "service.flow"],
    ["service.protocol"],
    ["service.endpoint"],
    ["service.client", "service.async_client"],
    ["account.connection", "account.variables"],
    ["account.rate"],
    ["account.token"],
    ["service.progress_queue"],
    ["account.account", "retries"],
    ["hooks.pan123"],
    ["account.shared_client"],
    [
        "callbacks.contract",
        "callbacks.address",
        "callbacks.delivery",
        "receiver.metrics",
        "receiver.database",
    ],
    ["receiver.inbox", "receiver.airflow_backend", "receiver.keyring"],
    ["receiver.writer"],
    ["receiver.reader"],
    ["receiver.lifecycle"],
    ["receiver.app"],
    ["callbacks.client"],
    ["callbacks.follower"],
    ["download.wait_strategy"],
    ["download.request"],
    ["download.submission"],
    ["download.lookup"],
    ["download.wait"],
    ["download.events", "download.submit"],
    ["source.urls"],
    ["sync.entries", "sync.directory"],
    ["sync.manifest"],
    ["sync.inventory"],
    ["sync.in_flight"],
    ["sync.journal", "sync.reporter", "sync.results", "sync.lineage"],
    ["sync.progress_poller", "sync.delivery_reader", "rewriting"],
    ["sync.monitor"],
    ["sync.submitter"],
    ["sync.run"],
    ["triggers.offline_download"],
    ["triggers.sync_images"],
    ["operators.offline_download", "sensors"],
    ["operators.sync_images"],
    ["plugin", "cli", "get_provider_info"],
]
MODULES = [
    path
    for path in sorted(PACKAGE.rglob("*.py"))
    if path.name != "__init__.py" and "sandbox" not in path.relative_to(PACKAGE).parts
]


def _name(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts)


def _floor(module: str) -> int:
    for number, names in enumerate(FLOORS):
        if any(module == name or module.startswith(f"{name}.") for name in names):
            return number
    raise AssertionError(f"{module} has no floor: put it into FLOORS")


def _imports(path: Path) -> set[str]:
    """The package's modules that a module imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"{NAME}."):
            module = (node.module or "").removeprefix(f"{NAME}.")
            parts = [f"{module}.{alias.name}" for alias in node.names]
            found |= {
                part if (PACKAGE / Path(*part.split(".")).with_suffix(".py")).exists() else module
                for part in parts
            }
    return found


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_imports_go_downward(path: Path) -> None:
    upward = {other for other in _imports(path) if _floor(other) >= _floor(_name(path))}
    assert not upward, f"{_name(path)} imports from its own floor or above: {sorted(upward)}"


def test_every_module_has_imports_the_check_sees() -> None:
    assert "service.protocol" in _imports(PACKAGE / "service" / "client.py")


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=str)
def test_files_have_one_subject(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 335


@pytest.mark.parametrize("path", sorted((PACKAGE / "service").glob("*.py")), ids=_name)
def test_the_service_knows_nothing_of_airflow(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    names |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert not {name for name in names if name and name.split(".")[0] == "airflow"}


@pytest.mark.parametrize("path", sorted((PACKAGE / "sandbox").glob("*.py")), ids=str)
def test_the_sandbox_stands_alone(path: Path) -> None:
    """An independent implementation of the facts: it shares no code with what it is to test."""
    assert {name for name in _imports(path) if not name.startswith("sandbox")} <= set()


def _loaded_by(statement: str) -> set[str]:
    """The modules that a statement loads on top of airflow.sdk, in a fresh interpreter."""
    code = (
        "import sys\n"
        "from airflow.sdk import DAG, BaseOperator, BaseSensorOperator, PokeReturnValue, conf\n"
        f"before = set(sys.modules)\n{statement}\nprint(*sorted(set(sys.modules) - before))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(run.stdout.splitlines()[-1].split())


def test_dag_files_load_nothing_heavy() -> None:
    loaded = _loaded_by(
        f"from {NAME}.operators.offline_download import Pan123OfflineDownloadOperator\n"
        f"from {NAME}.operators.sync_images import Pan123SyncImagesOperator\n"
        f"from {NAME}.sensors.offline_download import Pan123OfflineDownloadSensor"
    )
    assert f"{NAME}.sensors.offline_download" in loaded
    roots = {name.split(".")[0] for name in loaded}
    assert not roots & {"requests", "urllib3", "httpx", "fastapi", "sqlalchemy", "pydantic", "asgiref"}


def test_the_package_itself_loads_nothing_of_airflow() -> None:
    code = f"import sys, {NAME}; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {name for name in run.stdout.split() if name.split(".")[0] in ("airflow", "requests", "httpx")}
