"""One real Airflow for all system tests, with a sandbox, a picture host, and the first run of each example DAG."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_123pan.sandbox import Sandbox
from dev import images
from dev.cluster import EXAMPLE_DAGS, Cluster
from dev.example_run import ExampleRun
from tests.system import inputs
from tests.system.canaries import CALLBACK_SECRET, CLIENT_SECRET, MetricsSink, log_in, make_directory, signed
from tests.system.mailbox import Mailbox, mailbox
from tests.system.wordpress import make_database

HERE = Path(__file__).parent
EXAMPLES = (
    *("example_one_image", "example_many_images", "example_daily", "example_sitemap", "example_bucket"),
    *("example_partitions", "example_rewrite", "example_database", "example_hugo", "example_notes"),
    "example_check",
)
# These start last: Airflow works on the others meanwhile.
SCHEDULED = {"example_bucket", "example_check", "example_daily", "example_notes", "example_sitemap"}


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
    with Sandbox(delay=(0.5, 2), accounts=accounts) as sandbox:
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
    with Cluster(home=tmp_path_factory.mktemp("airflow"), dags=dags, env=metrics.env) as airflow:
        callbacks = {"callback_base_url": airflow.url}
        of_its_own = callbacks | {"access_token": own_token, "callback_secret": CALLBACK_SECRET}
        for conn_id, service, extra in (
            ("pan123_default", sandbox, None),
            ("pan123_own_token", sandbox, of_its_own),
            ("pan123_callbacks", _callback_sandbox, callbacks),
            ("pan123_silent", silent_sandbox, callbacks),
        ):
            airflow.api.set_connection(
                conn_id,
                conn_type="pan123",
                host=service.base_url,
                login=service.client_id,
                password=service.client_secret,
                extra=extra,
            )
        airflow.wait_for_dag(*(path.stem for path in files))
        yield airflow


# --- the first runs of the example DAGs -----------------------------------------------------------------


@pytest.fixture(scope="session", autouse=True)
def _first_runs(request: pytest.FixtureRequest) -> None:
    """Trigger the first run of each example DAG that a test needs, so that Airflow works on all of them at once."""
    needed = {name for item in request.session.items for name in getattr(item, "fixturenames", ())}
    examples = {name for name in needed if name.startswith("example_")}
    for name in [*sorted(examples - SCHEDULED), *sorted(examples & SCHEDULED)]:
        request.getfixturevalue(name)


@pytest.fixture(scope="session")
def example_silent(airflow: Cluster, silent_sandbox: Sandbox) -> ExampleRun:
    """Start `pan123_callbacks` with an image that gets no callback.

    The worker's poll finds it running, so the wait defers. About half a minute later the trigger's fallback poll finds
    its end; meanwhile Airflow works on the example DAGs.
    """
    conf = {"urls": ["https://callbacks.example.com/silent.png"], "pan123_conn_id": "pan123_silent"}
    return ExampleRun(airflow, silent_sandbox, "pan123_callbacks", conf).start()


@pytest.fixture(scope="session")
def example_one_image(airflow: Cluster, sandbox: Sandbox, source: str) -> ExampleRun:
    """Start `example_pan123_offline_download` with one picture, and a connection with callbacks and a token."""
    conf = {"url": signed(f"{source}/sunrise.png"), "pan123_conn_id": "pan123_own_token"}
    return ExampleRun(airflow, sandbox, "example_pan123_offline_download", conf).start()


@pytest.fixture(scope="session")
def example_many_images(airflow: Cluster, sandbox: Sandbox, source: str) -> ExampleRun:
    """Start `example_pan123_many_images` with four pictures and, in the middle, a URL that answers 404."""
    names = ["meadow.jpg", "lagoon.webp", "missing.png", "hills.svg", "sunset.gif"]
    conf = {"urls": [signed(f"{source}/{name}") for name in names]}
    return ExampleRun(airflow, sandbox, "example_pan123_many_images", conf).start()


@pytest.fixture(scope="session")
def example_daily(airflow: Cluster, sandbox: Sandbox, source: str) -> ExampleRun:
    """Start `example_pan123_daily` with two pictures in its Variable."""
    run = ExampleRun(airflow, sandbox, "example_pan123_daily", {}, host=source)
    run.end_first_scheduled_run()
    airflow.api.set_variable(
        "example_pan123_urls", [signed(f"{source}/{name}") for name in ("glacier.tif", "ember.jpeg")]
    )
    return run.start()


@pytest.fixture(scope="session")
def example_sitemap(
    airflow: Cluster, sandbox: Sandbox, pictures: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ExampleRun]:
    """Start `example_pan123_sync_sitemap` with a sitemap of three pictures, one of which is on two pages."""
    files = {name: pictures[name] for name in ("sunrise.png", "meadow.jpg", "hills.svg")}
    with images.serve(files) as host:
        urls = {signed(f"{host}/{name}"): content for name, content in files.items()}
        files["sitemap.xml"] = inputs.sitemap([*urls, signed(f"{host}/sunrise.png")])
        folder = tmp_path_factory.mktemp("sitemap")
        conf = {"sitemap": f"{host}/sitemap.xml", "results": f"file://{folder}/results"}
        airflow.api.set_variable("example_pan123_private_hosts", ["127.0.0.1"])
        run = ExampleRun(airflow, sandbox, "example_pan123_sync_sitemap", conf, host, urls, folder)
        run.end_first_scheduled_run()
        yield run.start()


@pytest.fixture(scope="session")
def example_bucket(
    airflow: Cluster, sandbox: Sandbox, pictures: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ExampleRun]:
    """Start `example_pan123_sync_bucket` with a folder as bucket: two pictures and a text file."""
    folder = tmp_path_factory.mktemp("bucket")
    files: dict[str, bytes] = {}
    with images.serve(files) as host:
        conf = {
            "bucket": f"file://{folder}/bucket",
            "base_url": f"{host}/public/",
            "work": f"file://{folder}/work",
        }
        run = ExampleRun(airflow, sandbox, "example_pan123_sync_bucket", conf, host, {}, folder)
        (folder / "work").mkdir()
        for name, picture in (("2025/lagoon.webp", "lagoon.webp"), ("猫 1.PNG", "lavender.png")):
            inputs.put_in_bucket(run, files, name, pictures[picture])
        (folder / "bucket" / "notes.txt").write_text("not an image")
        run.end_first_scheduled_run()
        run.add = lambda name, content: inputs.put_in_bucket(run, files, name, content)
        yield run.start()


@pytest.fixture(scope="session")
def example_partitions(
    airflow: Cluster, sandbox: Sandbox, pictures: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ExampleRun]:
    """Start `example_pan123_sync_partitions` with a manifest for 2025 and one for 2026."""
    partitions = {"2025": ["canyon.jpg", "fjord.webp"], "2026": ["aurora.png"]}
    folder = tmp_path_factory.mktemp("partitions")
    (folder / "manifests").mkdir()
    with images.serve(pictures) as host:
        for partition, names in partitions.items():
            manifest = inputs.manifest(host, {name: pictures[name] for name in names})
            (folder / "manifests" / f"{partition}.csv").write_bytes(manifest)
        urls = {signed(f"{host}/{name}"): pictures[name] for names in partitions.values() for name in names}
        conf = {"manifests": f"file://{folder}/manifests", "results": f"file://{folder}/results"}
        run = ExampleRun(airflow, sandbox, "example_pan123_sync_partitions", conf, host, urls, folder)
        yield run.start()


@pytest.fixture(scope="session")
def example_rewrite(
    airflow: Cluster, sandbox: Sandbox, pictures: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ExampleRun]:
    """Start `example_pan123_rewrite` with two pictures and four pages, two of which show them."""
    folder = tmp_path_factory.mktemp("rewrite")
    with images.serve(pictures) as host:
        urls = {signed(f"{host}/{name}"): pictures[name] for name in ("desert.bmp", "sunset.gif")}
        (folder / "images.txt").write_text("\n".join(urls))
        inputs.write_files(folder / "pages", inputs.pages(*urls))
        conf = {"manifest": f"file://{folder}/images.txt", "pages": f"file://{folder}/pages"}
        conf["results"] = f"file://{folder}/results.jsonl"
        run = ExampleRun(airflow, sandbox, "example_pan123_rewrite", conf, host, urls, folder)
        yield run.start()


@pytest.fixture(scope="session")
def example_database(
    airflow: Cluster, sandbox: Sandbox, pictures: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ExampleRun]:
    """Start `example_pan123_database` with two pictures in an SQLite database with three rows."""
    folder = tmp_path_factory.mktemp("database")
    airflow.api.set_connection("wordpress", conn_type="sqlite", host=f"{folder}/wordpress.db")
    with images.serve(pictures) as host:
        urls = {signed(f"{host}/{name}"): pictures[name] for name in ("lavender.png", "sunset.gif")}
        make_database(folder / "wordpress.db", *urls)
        conf = {"hosts": [host.partition("//")[2]], "work": f"file://{folder}"}
        run = ExampleRun(
            airflow, sandbox, "example_pan123_database", conf, host, urls, folder, answer="Approve"
        )
        yield run.start()


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> inputs.Repository:
    """Create the repository that `example_hugo` fills."""
    return inputs.Repository(tmp_path_factory.mktemp("hugo"))


@pytest.fixture(scope="session")
def example_hugo(
    airflow: Cluster, sandbox: Sandbox, pictures: dict[str, bytes], repository: inputs.Repository
) -> Iterator[ExampleRun]:
    """Start `example_pan123_pages_hugo` with a site that shows two pictures; `wait` approves the plan."""
    with images.serve(pictures) as host:
        urls = {signed(f"{host}/{name}"): pictures[name] for name in ("hills.svg", "meadow.jpg")}
        repository.commit(inputs.hugo_site(*urls))
        conf = {"repository": str(repository.path), "work": str(repository.folder / "work")}
        run = ExampleRun(airflow, sandbox, "example_pan123_pages_hugo", conf, host, urls, answer="Approve")
        yield run.start()


@pytest.fixture(scope="session")
def example_notes(
    airflow: Cluster, sandbox: Sandbox, pictures: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ExampleRun]:
    """Start `example_pan123_pages_obsidian` with notes that show two pictures, and one that 123pan refuses."""
    folder = tmp_path_factory.mktemp("notes")
    with images.serve(pictures) as host:
        urls = {signed(f"{host}/{name}"): pictures[name] for name in ("fjord.webp", "aurora.png")}
        inputs.write_files(folder / "notes", inputs.notes(f"{host}/photo.heic", *urls))
        conf = {"notes": f"file://{folder}/notes", "journals": f"file://{folder}/journals"}
        run = ExampleRun(airflow, sandbox, "example_pan123_pages_obsidian", conf, host, urls, folder)
        run.end_first_scheduled_run()
        yield run.start()


@pytest.fixture(scope="session")
def mails() -> Iterator[Mailbox]:
    """Receive the mails of `example_pan123_check`."""
    with mailbox() as running:
        yield running


@pytest.fixture(scope="session")
def example_check(
    airflow: Cluster,
    sandbox: Sandbox,
    mails: Mailbox,
    pictures: dict[str, bytes],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[ExampleRun]:
    """Start `example_pan123_check` with results that name two images which are gone."""
    folder = tmp_path_factory.mktemp("check")
    with images.serve(pictures) as host:
        urls = {signed(f"{host}/{name}"): pictures[name] for name in ("aurora.png", "fjord.webp")}
        (folder / "results.jsonl").write_text(inputs.results_of_gone_images(urls))
        make_directory(sandbox, "checked")
        airflow.api.set_connection("smtp_default", **mails.connection)
        conf = {"results": f"file://{folder}/results.jsonl", "reports": f"file://{folder}/reports"}
        conf |= {"directory": "checked", "mail_to": "images@example.com"}
        run = ExampleRun(airflow, sandbox, "example_pan123_check", conf, host, urls, folder)
        run.end_first_scheduled_run()
        yield run.start()


@pytest.fixture(scope="session")
def all_examples(request: pytest.FixtureRequest) -> list[ExampleRun]:
    """Return every example DAG, each of which has run at least once."""
    runs: list[ExampleRun] = [request.getfixturevalue(name) for name in EXAMPLES]
    for run in runs:
        run.wait()
    return runs
