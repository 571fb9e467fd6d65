"""The first run of each example DAG, in the Airflow of all system tests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from airflow_provider_123pan.sandbox import Sandbox
from dev import images
from dev.cluster import Cluster
from dev.example_run import ExampleRun
from tests.sources import image, serve, wants
from tests.system.canaries import make_directory, signed
from tests.system.examples import inputs
from tests.system.examples.mailbox import Mailbox, mailbox
from tests.system.examples.wordpress import make_database

EXAMPLES = (
    *("example_one_image", "example_many_images", "example_daily", "example_sitemap", "example_bucket"),
    *("example_partitions", "example_rewrite", "example_database", "example_hugo", "example_notes"),
    "example_blog",
    *("example_check", "example_hotlinks", "example_upload", "example_copy_from_drive"),
)
# These start last: Airflow works on the others meanwhile.
SCHEDULED = {
    *("example_bucket", "example_check", "example_daily", "example_notes", "example_sitemap"),
    "example_upload",
}


@pytest.fixture(scope="session", autouse=True)
def _first_runs(request: pytest.FixtureRequest) -> None:
    """Trigger the first run of each example DAG that a test needs, so that Airflow works on all of them at once."""
    needed = {name for item in request.session.items for name in getattr(item, "fixturenames", ())}
    examples = {name for name in needed if name.startswith("example_")}
    for name in [*sorted(examples - SCHEDULED), *sorted(examples & SCHEDULED)]:
        request.getfixturevalue(name)


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
def example_blog(
    airflow: Cluster, sandbox: Sandbox, pictures: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ExampleRun]:
    """Start `example_pan123_pages_blog` with a page of a picture, and one whose host wants a Referer."""
    folder, referer = tmp_path_factory.mktemp("blog"), "https://blog.example.com/"
    with images.serve(pictures) as host, images.serve(pictures, referer=referer) as guarded:
        urls = {signed(f"{host}/harvest.jpeg"): pictures["harvest.jpeg"]}
        urls[signed(f"{guarded}/midnight.tiff")] = pictures["midnight.tiff"]
        inputs.write_files(folder / "pages", {"page.md": inputs.blog_page(*urls)})
        airflow.api.set_variable("example_pan123_private_hosts", ["127.0.0.1"])
        conf: dict[str, Any] = {"fetch_headers": {"127.0.0.1": {"Referer": referer}}}
        conf |= {"pages": f"file://{folder}/pages", "work": f"file://{folder}/work"}
        run = ExampleRun(airflow, sandbox, "example_pan123_pages_blog", conf, host, urls, folder)
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
def example_hotlinks(
    airflow: Cluster, sandbox: Sandbox, pictures: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ExampleRun]:
    """Start `example_pan123_hotlinks` with a picture that every client gets, and one that wants a Referer."""
    folder, referer = tmp_path_factory.mktemp("hotlinks"), "https://articles.example.com/"
    with serve() as source:
        source.answers["/meadow.jpg"] = image("image/jpeg", pictures["meadow.jpg"])
        source.answers["/aurora.png"] = wants("Referer", referer, pictures["aurora.png"])
        urls = {signed(f"{source.url}{path}"): pictures[path[1:]] for path in source.answers}
        (folder / "images.txt").write_text("\n".join(urls))
        airflow.api.set_variable("example_pan123_private_hosts", ["127.0.0.1"])
        conf: dict[str, Any] = {"fetch_headers": {"127.0.0.1": {"Referer": referer}}}
        conf |= {"manifest": f"file://{folder}/images.txt", "results": f"file://{folder}/results.jsonl"}
        run = ExampleRun(airflow, sandbox, "example_pan123_hotlinks", conf, source.url, urls, folder)
        yield run.start()


@pytest.fixture(scope="session")
def example_upload(
    airflow: Cluster, sandbox: Sandbox, pictures: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory
) -> ExampleRun:
    """Start `example_pan123_upload` with a folder of two pictures and a text file."""
    folder = tmp_path_factory.mktemp("upload")
    (folder / "photos").mkdir()
    for name in ("canyon.jpg", "sunset.gif"):
        (folder / "photos" / name).write_bytes(pictures[name])
    (folder / "photos" / "notes.txt").write_text("not an image")
    conf = {"source": f"file://{folder}/photos", "results": f"file://{folder}/results"}
    run = ExampleRun(airflow, sandbox, "example_pan123_upload", conf, folder=folder)
    run.end_first_scheduled_run()
    return run.start()


@pytest.fixture(scope="session")
def example_copy_from_drive(airflow: Cluster, sandbox: Sandbox) -> ExampleRun:
    """Start `example_pan123_copy_from_drive` with three files, one of which cannot be copied."""
    conf = {"file_ids": ["71", "72", "73"]}
    return ExampleRun(airflow, sandbox, "example_pan123_copy_from_drive", conf).start()


@pytest.fixture(scope="session")
def all_examples(request: pytest.FixtureRequest) -> list[ExampleRun]:
    """Return every example DAG, each of which has run at least once."""
    runs: list[ExampleRun] = [request.getfixturevalue(name) for name in EXAMPLES]
    for run in runs:
        run.wait()
    return runs
