"""Measure a migration of pages beside a plain sync of the same images: speed, memory, and whether the time is linear.

python -m tests.benchmarks.pages --pages 1250 2500 5000 10000

Both operators run in processes of their own, without Airflow, one after the other, each against a new sandbox.
"""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from airflow_provider_123pan.sandbox import Sandbox
from tests.benchmarks import listing
from tests.benchmarks.plot import Panel, Plot
from tests.benchmarks.report import Arguments, Measured, beside, finish, straight_line, take_turns
from tests.benchmarks.sync import SPEED, connection, manifest, worker

IMAGES = 10  # of each page
PAGES_IN_FOLDER = 100
CPU = "CPU-seconds"
MEMORY = "MB at most"
PEER = "a plain sync of the same images"
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
        return worker(folder, connection(sandbox), directory="benchmark", **arguments)


def measure(pages: int, *, is_sync: bool) -> dict[str, float]:
    """Migrate the images of a number of pages, with their pages or alone."""
    images = pages * IMAGES
    with tempfile.TemporaryDirectory(prefix="pan123-bench-") as name:
        folder = Path(name)
        if is_sync:
            found = run(folder, manifest=str(manifest(folder, images)), results=str(folder / "results.jsonl"))
            assert found["migrated"] == images, found
        else:
            write_pages(folder / "site", pages)
            found = run(folder, pages=str(folder / "site"), journal=str(folder / "journal"))
            assert (found["migrated"], found["pages_changed"], found["unused"]) == (images, pages, 0), found
    return {SPEED: images / found["seconds"], CPU: found["cpu"], MEMORY: found["peak"]}


def main() -> None:
    """Run the benchmark."""
    parser = Arguments(__doc__, rounds=1)
    parser.add_argument("--pages", type=int, nargs="+", default=[1250, 2500, 5000, 10_000])
    options = parser.parse_args()
    table: Measured = {}
    seconds: dict[str, list[float]] = {"pages": [], PEER: []}
    for pages in options.pages:
        sides = {"pages": partial(measure, pages, is_sync=False), PEER: partial(measure, pages, is_sync=True)}
        found = take_turns(sides, options.rounds)
        for name, side in found.items():
            seconds[name].append(side[CPU].median)
        ours, peer = found["pages"], found[PEER]
        table[f"{pages * IMAGES:,} in {pages:,}"] = {
            SPEED: ours[SPEED],
            f"{PEER}, {SPEED}": peer[SPEED],
            "ratio": ours[SPEED].over(peer[SPEED]),
            MEMORY: ours[MEMORY],
        }
    tables = [beside(table, what="Images in pages")]
    if len(options.pages) > 1:
        tables.append(
            straight_line("The line through the CPU times", "pages", options.pages, seconds["pages"])
        )
    sizes = [float(pages) for pages in options.pages]
    series = {name: (sizes, times) for name, times in seconds.items()}
    panel = Panel("CPU time", "pages", " s", series)
    finish(
        "pages",
        *tables,
        plots=[Plot("pages", "The CPU time of a migration, by the number of pages", [panel])],
    )


if __name__ == "__main__":
    main()
