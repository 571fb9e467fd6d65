"""The guide to tests of DAGs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.integration.documents.support import ROOT, blocks_of


def test_the_test_that_a_guide_shows_passes(tmp_path: Path) -> None:
    """The DAG and the test of the guide run in a new Airflow home."""
    (dag,) = blocks_of("docs/howto/test-your-dags.md", "def cats")
    (test,) = blocks_of("docs/howto/test-your-dags.md", "def test_")
    dags = tmp_path / "dags"
    dags.mkdir()
    (dags / "cats.py").write_text(dag.text)
    (dags / "test_cats.py").write_text(test.text)
    environment = os.environ | {
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "PYTHONPATH": str(ROOT),
    }
    for module, *arguments in (
        ("airflow", "db", "migrate"),
        ("pytest", "-q", "-p", "no:cacheprovider", f"--rootdir={dags}", str(dags)),
    ):
        done = subprocess.run(
            [sys.executable, "-m", module, *arguments],
            cwd=dags,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout
