"""Run a distributed Airflow with the example DAGs, a local 123pan and a picture host until Ctrl-C: `make cluster`."""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import get_args

from airflow_provider_123pan.sandbox import Sandbox
from dev import images
from dev.cluster import PASSWORD, USERNAME
from dev.distributed import DistributedCluster, Inbox
from dev.signals import Ended, end_on

CONN_ID = "pan123_default"


def main() -> int:
    """Run everything until a signal, and return the exit code."""
    parser = argparse.ArgumentParser("python -m dev.playground", description=__doc__)
    parser.add_argument(
        "--inbox", choices=get_args(Inbox), default="postgresql", help="the server that stores callbacks"
    )
    inbox: Inbox = parser.parse_args().inbox
    end_on(signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    home = Path(tempfile.mkdtemp(prefix="pan123-cluster-"))
    is_up = False
    try:
        with ExitStack() as stack:
            _start(stack, home, inbox)
            is_up = True
            signal.pause()
    except Ended as ended:
        shutil.rmtree(home, ignore_errors=True)
        return 0 if is_up else ended.code
    except Exception as error:
        print(f"The cluster failed: {error}\nThe logs are in {home}/services", file=sys.stderr)
    return 1


def _start(stack: ExitStack, home: Path, inbox: Inbox) -> None:
    """Start everything, and print where it is."""
    source = stack.enter_context(images.serve(images.pictures()))
    sandbox = stack.enter_context(Sandbox(delay=(2, 10)))
    print(f"Starting Airflow, which takes one to three minutes; the logs are in {home}/services", flush=True)
    airflow = stack.enter_context(DistributedCluster(home=home, inbox=inbox))
    airflow.connect(sandbox)
    conf = {"urls": [f"{source}/{name}" for name in images.NAMES]}
    print(
        f"Airflow:  {airflow.url}/  (login {USERNAME}, password {PASSWORD}; connection {CONN_ID})\n"
        f"Sandbox:  {sandbox.base_url}/  (its tasks and images)\n"
        f"Pictures: for a run of example_pan123_many_images, {json.dumps(conf)}\n"
        f"Services: {' '.join(airflow.services())}\n"
        "Press Ctrl-C to end all of them.",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
