"""Migrate an image with an Airflow that has only the wheel and what it depends on.

`make build-check` installs them into an environment of their own, and passes it. The sandbox runs in the environment of
the developers, where 123pan would be: a user's Airflow needs none of the extras.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import requests

from airflow_provider_123pan import __version__
from airflow_provider_123pan.sandbox import Sandbox
from dev import images
from dev.cluster import EXAMPLE_DAGS, Cluster, ClusterError

DAG_ID = "example_pan123_offline_download"
PICTURE = "hills.svg"


def check(bin_dir: Path) -> str:
    """Run the example DAG for one image, and return what was checked.

    All example DAGs must be importable without further packages.

    :param bin_dir: the folder of the environment's commands.
    :raises ClusterError: if Airflow does not know the provider, or the image did not arrive unchanged.
    """
    pictures = images.pictures()
    with (
        tempfile.TemporaryDirectory(prefix="pan123-build-check-") as home,
        images.serve(pictures) as source,
        Sandbox(delay=1) as sandbox,
        Cluster(home=Path(home), dags=EXAMPLE_DAGS, bin_dir=bin_dir) as airflow,
    ):
        rows = json.loads(airflow.cli("providers", "list", "--output", "json"))
        versions = {row["package_name"]: row["version"] for row in rows}
        if versions.get("airflow-provider-123pan") != __version__:
            raise ClusterError(f"Airflow should list the provider in version {__version__}: {versions}")
        airflow.connect(sandbox)
        airflow.wait_for_dag(*(path.stem for path in EXAMPLE_DAGS.glob("*.py")))
        run_id = airflow.api.trigger(DAG_ID, {"url": f"{source}/{PICTURE}"})
        if airflow.api.wait_for_run(DAG_ID, run_id, timeout=300) != "success":
            states = airflow.api.states(DAG_ID, run_id)
            raise ClusterError(f"{DAG_ID} failed: {states}\n{airflow.log.read_text()[-4000:]}")
        new_url = airflow.api.xcom(DAG_ID, run_id, "show")
        if requests.get(new_url, timeout=30).content != pictures[PICTURE]:
            raise ClusterError(f"{new_url} is not the image")
        core = airflow.cli("version").strip().splitlines()[-1]
        return f"airflow-provider-123pan {__version__} works with Airflow {core} and nothing else: {new_url}"


def imported_from(bin_dir: Path) -> str:
    """Return from where the environment's Python imports the package."""
    code = "import airflow_provider_123pan as package; print(package.__file__)"
    # Outside the checkout, whose folder would come first on sys.path.
    done = subprocess.run(
        [bin_dir / "python", "-c", code], cwd=os.sep, text=True, capture_output=True, check=True
    )
    return done.stdout.strip()


def main() -> None:
    """Check the environment that the command line names."""
    bin_dir = Path(sys.argv[1]).absolute() / "bin"
    place = imported_from(bin_dir)
    if "site-packages" not in place:
        sys.exit(f"the environment imports the package from {place}, not from the wheel")
    try:
        print(check(bin_dir))
    except ClusterError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
