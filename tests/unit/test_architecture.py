"""Files stay small and DAG files stay light; which module may import which is a contract in pyproject.toml."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import airflow_provider_123pan

PACKAGE = Path(airflow_provider_123pan.__file__).parent
NAME = PACKAGE.name


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=str)
def test_files_have_one_subject(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 335


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
        f"from {NAME}.operators.images import Pan123CheckImagesOperator\n"
        f"from {NAME}.operators.migrate_pages import Pan123MigratePagesOperator\n"
        f"from {NAME}.operators.offline_download import Pan123OfflineDownloadOperator\n"
        f"from {NAME}.operators.sync_images import Pan123SyncImagesOperator\n"
        f"from {NAME}.sensors.offline_download import Pan123OfflineDownloadSensor\n"
        f"from {NAME}.sources import from_sitemap"
    )
    assert f"{NAME}.sensors.offline_download" in loaded
    roots = {name.split(".")[0] for name in loaded}
    assert not roots & {
        "requests",
        "urllib3",
        "httpx",
        "fastapi",
        "sqlalchemy",
        "pydantic",
        "asgiref",
        "PIL",
        "pi_heif",
    }


def test_a_dag_file_with_a_watch_loads_no_more_than_airflows_triggers() -> None:
    base = "from airflow.triggers.base import BaseEventTrigger\n"
    trigger = f"from {NAME}.triggers.image_arrivals import Pan123ImageArrivalTrigger\n"
    loaded = _loaded_by(f"{base}{trigger}Pan123ImageArrivalTrigger(directory='photos')") - _loaded_by(base)
    assert f"{NAME}.triggers.image_arrivals" in loaded
    roots = {name.split(".")[0] for name in loaded}
    assert not roots & {"requests", "urllib3", "httpx", "fastapi", "sqlalchemy", "asgiref"}


def test_the_package_itself_loads_nothing_of_airflow() -> None:
    code = f"import sys, {NAME}; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {name for name in run.stdout.split() if name.split(".")[0] in ("airflow", "requests", "httpx")}
