"""Measure a migration of pages beside a plain sync of the same images: speed, memory, and whether the time is linear.

python -m tests.benchmarks.pages --pages 1250 2500 5000 10000

Both operators run in processes of their own, without Airflow, one after the other, each against a new sandbox.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
from pathlib import Path
from typing import Any

from airflow_provider_123pan.sandbox import Sandbox
from tests.benchmarks import listing
from tests.benchmarks.sync import manifest, worker

IMAGES = 10  # of each page
PAGES_IN_FOLDER = 100
PARAGRAPH = (
    "The site moved to a new host, and every image has to follow it. 今天我们来聊一聊博客的图床迁移问题。" * 4
)


def write_pages(folder: Path, count: int) -> None:
    """Write pages, each of which shows other images."""
    for number in range(count):
        paragraphs = (
            f"## {image}\n\n{PARAGRAPH}\n\n![image]({listing.url(image)}) [page](https://example.com/{image}.html)\n"
            for image in range(number * IMAGES, (number + 1) * IMAGES)
        )
        path = folder / str(number // PAGES_IN_FOLDER) / f"{number}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"---\ntitle: {number}\n---\n\n" + "\n".join(paragraphs))


def run(folder: Path, **arguments: Any) -> dict[str, Any]:
    """Run an operator against a new sandbox, and return what it found with the figures of its process."""
    with Sandbox(delay=0.2, fetch=False) as sandbox:
        connection = {
            "host": sandbox.base_url,
            "login": sandbox.client_id,
            "password": sandbox.client_secret,
        }
        return worker(folder, connection, directory="benchmark", **arguments)


def measure(pages: int) -> dict[str, float]:
    """Run both operators on the images of a number of pages, and return the seconds and CPU-seconds of the pages."""
    images = pages * IMAGES
    with tempfile.TemporaryDirectory(prefix="pan123-bench-") as name:
        folder = Path(name)
        write_pages(folder / "site", pages)
        sync = run(folder, manifest=str(manifest(folder, images)), results=str(folder / "results.jsonl"))
        assert sync["migrated"] == images, sync
        found = run(folder, pages=str(folder / "site"), journal=str(folder / "journal"))
        assert (found["migrated"], found["pages_changed"], found["unused"]) == (images, pages, 0), found
    for what, figures in (("sync", sync), ("pages", found)):
        print(
            f"{what}: {images} images in {pages} pages: {figures['seconds']:.1f} s, {figures['cpu']:.1f} of them CPU, "
            f"{images / figures['seconds']:.0f} images per second, {figures['peak']:.0f} MB at most "
            f"({figures['before']:.0f} before)",
            flush=True,
        )
    print(f"pages: {sync['seconds'] / found['seconds']:.2f} of the speed of the sync (goal 0.9)", flush=True)
    return {"s": found["seconds"], "CPU-s": found["cpu"]}


def main() -> None:
    """Run the benchmark."""
    options = argparse.ArgumentParser(description="Speed and memory of a migration of pages")
    options.add_argument("--pages", type=int, nargs="+", default=[1250, 2500, 5000, 10_000])
    counts = options.parse_args().pages
    print(f"{os.cpu_count()} cores", flush=True)
    times = [measure(count) for count in counts]
    if len(counts) > 1:
        for unit in times[0]:
            fit(counts, [each[unit] for each in times], unit)


def fit(counts: list[int], times: list[float], unit: str) -> None:
    """Print the straight line through the times of these numbers of pages, and how far they are from it."""
    slope, start = statistics.linear_regression(counts, times)
    off = [seconds / (start + slope * count) - 1 for count, seconds in zip(counts, times, strict=True)]
    print(
        f"pages: {slope * 1e3:.2f} {unit} per 1,000 pages plus {start:.1f} {unit}, "
        f"R² {statistics.correlation(counts, times) ** 2:.4f}; deviations from that line: "
        + ", ".join(f"{share:+.1%}" for share in off)
    )


if __name__ == "__main__":
    main()
