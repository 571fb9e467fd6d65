"""One real Airflow for all system tests, with a sandbox, a picture host, and the first run of each example DAG."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
import requests

from airflow_provider_123pan.sandbox import Sandbox
from airflow_provider_123pan.sync.inventory import ResultRecord
from dev import images
from dev.cluster import EXAMPLE_DAGS, Cluster
from dev.example_run import ExampleRun
from tests.system.canaries import (
    CALLBACK_SECRET,
    CLIENT_SECRET,
    MetricsSink,
    log_in,
    signed,
    source_name,
)
from tests.system.mailbox import Mailbox, mailbox

HERE = Path(__file__).parent
SCHEDULED = {
    "example_bucket",
    "example_check",
    "example_daily",
    "example_sitemap",
}  # start last: Airflow works on the others meanwhile
SITEMAP = """<?xml version="1.0" encoding="UTF-8"?>
<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"
        xmlns:image="http://www.google.com/schemas/sitemap-image/1.1">
{pages}
</urlset>
"""
SITEMAP_PAGE = "<url><loc>{url}.html</loc><image:image><image:loc> {url} </image:loc></image:image></url>"


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
        pages = [SITEMAP_PAGE.format(url=url) for url in [*urls, signed(f"{host}/sunrise.png")]]
        files["sitemap.xml"] = SITEMAP.format(pages="\n".join(pages)).encode()
        folder = tmp_path_factory.mktemp("sitemap")
        conf = {
            "sitemap": f"{host}/sitemap.xml",
            "private_hosts": ["127.0.0.1"],
            "results": f"file://{folder}/results",
        }
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
            put_in_bucket(run, files, name, pictures[picture])
        (folder / "bucket" / "notes.txt").write_text("not an image")
        run.end_first_scheduled_run()
        run.add = lambda name, content: put_in_bucket(run, files, name, content)
        yield run.start()


def put_in_bucket(run: ExampleRun, files: dict[str, bytes], name: str, content: bytes) -> None:
    """Put an image into the bucket, where its public URL serves it."""
    path = run.folder / "bucket" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    files[f"public/{quote(name)}"] = content
    run.urls[f"{run.host}/public/{quote(name)}"] = content


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
            with (folder / "manifests" / f"{partition}.csv").open("w", newline="") as file:
                rows = csv.writer(file)
                rows.writerow(["url", "file_name", "size", "md5"])
                for name in names:
                    content = pictures[name]
                    url, md5 = signed(f"{host}/{name}"), hashlib.md5(content).hexdigest()
                    rows.writerow([url, f"old-{name}", len(content), md5])
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
        first, second = urls
        (folder / "images.txt").write_text("\n".join(urls))
        pages = {
            "index.md": f"# Bilder\r\n![a]({first})\r\n[![b]({second} 'b')]({first}.html)，{first}。\r\n",
            "blog/2026/post.html": f'<img src="{second}" srcset="{first} 1x, {second}?w=2 2x">',
            "notes.txt": first,
            "about.md": "没有图片",
        }
        for name, text in pages.items():
            path = folder / "pages" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode())
        conf = {
            "manifest": f"file://{folder}/images.txt",
            "pages": f"file://{folder}/pages",
            "results": f"file://{folder}/results.jsonl",
        }
        run = ExampleRun(airflow, sandbox, "example_pan123_rewrite", conf, host, urls, folder)
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
        record = dict.fromkeys(ResultRecord._fields) | {"status": "migrated"}
        lines = [
            json.dumps(record | {"url": url, "fileID": f"gone-{number}", "file_name": source_name(url)})
            for number, url in enumerate(urls)
        ]
        (folder / "results.jsonl").write_text("\n".join(lines) + "\n")
        token = log_in(sandbox, sandbox.client_id, sandbox.client_secret)
        requests.post(
            f"{sandbox.base_url}/upload/v1/oss/file/mkdir",
            json={"name": ["checked"], "parentID": "", "type": 1},
            headers={"Platform": "open_platform", "Authorization": f"Bearer {token}"},
            timeout=10,
        ).raise_for_status()
        airflow.api.set_connection(
            "smtp_default",
            conn_type="smtp",
            host="127.0.0.1",
            port=mails.port,
            extra={"disable_ssl": True, "disable_tls": True, "from_email": "airflow@example.com"},
        )
        conf = {
            "results": f"file://{folder}/results.jsonl",
            "directory": "checked",
            "reports": f"file://{folder}/reports",
            "mail_to": "images@example.com",
        }
        run = ExampleRun(airflow, sandbox, "example_pan123_check", conf, host, urls, folder)
        run.end_first_scheduled_run()
        yield run.start()


@pytest.fixture(scope="session")
def all_examples(
    example_one_image: ExampleRun,
    example_many_images: ExampleRun,
    example_daily: ExampleRun,
    example_sitemap: ExampleRun,
    example_bucket: ExampleRun,
    example_partitions: ExampleRun,
    example_rewrite: ExampleRun,
    example_check: ExampleRun,
) -> list[ExampleRun]:
    """Return every example DAG, each of which has run at least once."""
    runs = [
        example_one_image,
        example_many_images,
        example_daily,
        example_sitemap,
        example_bucket,
        example_partitions,
        example_rewrite,
        example_check,
    ]
    for run in runs:
        run.wait()
    return runs
