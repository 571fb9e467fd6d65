"""One real Airflow for all system tests, with sandboxes and a picture host."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_123pan.sandbox import Sandbox
from dev import images
from dev.cluster import EXAMPLE_DAGS, Cluster
from dev.distributed import DistributedCluster
from dev.example_run import ExampleRun
from tests.system.canaries import CALLBACK_SECRET, CLIENT_SECRET, MetricsSink, log_in

HERE = Path(__file__).parent
#: The files on the cloud drive of the sandbox that the example DAGs use.
DRIVE = [
    {"file_id": "71", "filename": "attic.png"},
    {"file_id": "72", "filename": "cellar.jpg", "fails": True},
    {"file_id": "73", "filename": "roof.webp"},
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of this folder as system tests."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.system)


@pytest.fixture(scope="session")
def pictures() -> dict[str, bytes]:
    """Return the content of each picture, by name."""
    return images.pictures()


@pytest.fixture(scope="session")
def source(pictures: dict[str, bytes]) -> Iterator[str]:
    """Serve the pictures, and yield the base URL of the host."""
    with images.serve(pictures) as base_url:
        yield base_url


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    """Run the sandbox that the example DAGs use; no test changes its options."""
    accounts = {"sandbox-client": CLIENT_SECRET, "second-client": f"{CLIENT_SECRET}-2"}
    with Sandbox(delay=(0.5, 2), accounts=accounts, drive_files=DRIVE, copy_delay=2) as sandbox:
        yield sandbox


@pytest.fixture(scope="session")
def _callback_sandbox() -> Iterator[Sandbox]:
    with Sandbox(fetch=False, delay=0) as sandbox:
        yield sandbox


@pytest.fixture
def callback_sandbox(_callback_sandbox: Sandbox) -> Iterator[Sandbox]:
    """Yield the sandbox of the connection `pan123_callbacks`; the options that a test changes are restored."""
    before = _callback_sandbox.configure()
    yield _callback_sandbox
    _callback_sandbox.configure(**{name: before[name] for name in before if name not in ("host", "port")})


@pytest.fixture(scope="session")
def silent_sandbox() -> Iterator[Sandbox]:
    """Run the sandbox of the connection `pan123_silent`, which never sends a callback."""
    with Sandbox(fetch=False, delay=0, callback="never", retrying="/silent") as sandbox:
        yield sandbox


@pytest.fixture(scope="session")
def own_token(sandbox: Sandbox) -> str:
    """Return the access token of the connection `pan123_own_token`."""
    return log_in(sandbox, "second-client", f"{CLIENT_SECRET}-2")


@pytest.fixture(scope="session")
def metrics() -> Iterator[MetricsSink]:
    """Receive the metrics of all components of Airflow."""
    with MetricsSink() as sink:
        yield sink


@pytest.fixture(scope="session")
def airflow(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    metrics: MetricsSink,
    sandbox: Sandbox,
    own_token: str,
    _callback_sandbox: Sandbox,
    silent_sandbox: Sandbox,
) -> Iterator[Cluster]:
    """Run an Airflow with the example DAGs and a connection to each sandbox."""
    dags = tmp_path_factory.mktemp("dags")
    files = [*EXAMPLE_DAGS.glob("*.py"), HERE / "dags/pan123_callbacks.py"]
    for path in files:
        (dags / path.name).symlink_to(path)
    home = tmp_path_factory.mktemp("airflow")
    distributed = request.config.getoption("distributed")
    cluster = (
        DistributedCluster(home=home, dags=dags, env=metrics.env, inbox=request.config.getoption("inbox"))
        if distributed
        else Cluster(home=home, dags=dags, env=metrics.env)
    )
    with cluster as airflow:
        airflow.connect(sandbox, callbacks=distributed)
        own = {"access_token": own_token, "callback_secret": CALLBACK_SECRET}
        airflow.connect(sandbox, "pan123_own_token", extra=own)
        airflow.connect(_callback_sandbox, "pan123_callbacks")
        airflow.connect(silent_sandbox, "pan123_silent")
        airflow.wait_for_dag(*(path.stem for path in files))
        yield airflow


@pytest.fixture(scope="session", autouse=True)
def _silent_run_first(request: pytest.FixtureRequest) -> None:
    """Start the run that takes longest first, if a test needs it."""
    if any("silent_run" in getattr(item, "fixturenames", ()) for item in request.session.items):
        request.getfixturevalue("silent_run")


@pytest.fixture(scope="session")
def silent_run(airflow: Cluster, silent_sandbox: Sandbox) -> ExampleRun:
    """Start `pan123_callbacks` with an image that gets no callback.

    The worker's poll finds it running, so the wait defers. About half a minute later the trigger's fallback poll finds
    its end; meanwhile Airflow works on other runs.
    """
    conf = {"urls": ["https://callbacks.example.com/silent.png"], "pan123_conn_id": "pan123_silent"}
    return ExampleRun(airflow, silent_sandbox, "pan123_callbacks", conf).start()
