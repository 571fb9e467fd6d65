"""Take the screenshots of the provider's page in Airflow's UI for the documentation: `make screenshot`."""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, expect

from airflow_provider_123pan.sandbox import Sandbox
from dev import images
from dev.browser import chromium, logged_in, run_page
from dev.cluster import Cluster

DAG_ID = "example_pan123_sync_partitions"


def main() -> None:
    """Write the screenshots to the folder that the command line gives."""
    folder = Path(sys.argv[1])
    executable = chromium()
    if executable is None:
        sys.exit("No Chromium found: install the package chromium, or set CHROMIUM to its path")
    pictures = images.pictures()
    with (
        tempfile.TemporaryDirectory(prefix="pan123-airflow-") as home,
        images.serve(pictures) as host,
        Sandbox(delay=(0.5, 2)) as sandbox,
        Cluster(home=Path(home) / "airflow") as airflow,
    ):
        airflow.api.set_connection(
            "pan123_default",
            conn_type="pan123",
            host=sandbox.base_url,
            login=sandbox.client_id,
            password=sandbox.client_secret,
            extra={"callback_base_url": airflow.url},
        )
        airflow.wait_for_dag(DAG_ID)
        run_id = sync(airflow, Path(home), [f"{host}/{name}" for name in pictures])
        options = {"viewport": {"width": 1360, "height": 900}, "device_scale_factor": 1}
        with logged_in(airflow.url, executable=executable, **options) as page:
            frame = run_page(page, airflow.url, DAG_ID, run_id)
            picture = frame.locator(".card img").first
            expect(picture).to_be_visible()
            picture.evaluate("image => image.decode()")
            save(page, folder / "page-run.png")
            page.goto(f"{airflow.url}/plugin/pan123")
            expect(frame.get_by_role("rowheader", name="pan123_default")).to_be_attached()
            save(page, folder / "page-overview.png")


def sync(airflow: Cluster, folder: Path, urls: list[str]) -> str:
    """Sync two lists, wait for the end, and return the ID of the run."""
    manifests = folder / "manifests"
    manifests.mkdir()
    for year in (2025, 2026):
        lines = [f"{url}?year={year}" for url in urls]
        (manifests / f"{year}.csv").write_text("\n".join(["url", *lines]))
    conf = {"manifests": f"file://{manifests}", "results": f"file://{folder}/results"}
    run_id = airflow.api.trigger(DAG_ID, conf)
    airflow.api.wait_for_run(DAG_ID, run_id, timeout=600)
    return run_id


def save(page: Page, path: Path) -> None:
    """Write a picture of a page as a small PNG."""
    png = page.screenshot(animations="disabled")
    Image.open(io.BytesIO(png)).convert("RGB").quantize(256).save(path, optimize=True)
    print(path)


if __name__ == "__main__":
    main()
