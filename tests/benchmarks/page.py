"""Measure the provider's page in Airflow's UI with 10,000 images: paint, long tasks, and the API server's memory.

    python -m tests.benchmarks.page

A real Airflow, and one session of Chromium, in which Airflow's grid of the same DAG is loaded in turns with the page.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import quote

from playwright.sync_api import Locator, Page, expect

from airflow_provider_123pan.sync.result_record import ResultRecord
from airflow_provider_123pan.sync.results import Results
from airflow_provider_123pan.web.images import PER_PAGE
from airflow_provider_123pan.web.rendering import PREFIX
from dev.browser import chromium, logged_in, run_page
from dev.cluster import Cluster
from dev.photo_archive import DAG_ID, PhotoArchive, photo_archive
from tests.benchmarks.report import Arguments, Table, beside, finish, take_turns

RUN_ID, ALBUM = "many", "all"
PAINT = "() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
OBSERVE = """() => {
    window.longTasks = [];
    new PerformanceObserver(list => longTasks.push(...list.getEntries().map(task => task.duration)))
        .observe({type: 'longtask', buffered: true});
}"""
AT_THE_END = "() => scrollY + innerHeight >= document.documentElement.scrollHeight - 1"
SCROLL_PIXELS = 400
FRAME_MILLISECONDS = 50  # between two steps of the wheel
LOADS = 20


class Way(NamedTuple):
    """A page, how it is opened, and what it is for."""

    name: str
    open: Callable[[], Any]
    content: Callable[[], Locator]


def load(page: Page, way: Way) -> dict[str, float]:
    """Open a page, and return how long it took until the browser first painted, and until the content was visible."""
    start = time.perf_counter()
    way.open()
    expect(way.content()).to_be_visible()
    shown = 1000 * (time.perf_counter() - start)
    page.wait_for_function(PAINT)
    return {"ms to the first paint": page.evaluate(PAINT), "ms to the content": shown}


def compare(page: Page, airflow_url: str, url: str, images: int, rounds: int) -> Table:
    """Load Airflow's grid and the page of the run in turns."""

    def card() -> Locator:
        return page.locator(".card").first

    last = f"{url}?page={-(-images // PER_PAGE)}"
    ways = [
        Way("Airflow's grid", lambda: page.goto(f"{airflow_url}/dags/{DAG_ID}"), lambda: grid_row(page)),
        Way(
            "the tab of the run",
            lambda: run_page(page, airflow_url, DAG_ID, RUN_ID),
            lambda: page.frame_locator("iframe[title='123pan']").locator(".card").first,
        ),
        Way("the page in the tab, alone", lambda: page.goto(url), card),
        Way("its last images", lambda: page.goto(last), card),
    ]
    sides = {way.name: partial(load, page, way) for way in ways}
    take_turns(sides, 1)  # fills the browser's cache
    return beside(take_turns(sides, rounds), ways[0].name, what=f"A run with {images:,} images")


def grid_row(page: Page) -> Locator:
    """Return the name of the task in Airflow's grid."""
    return page.get_by_text("sync [").first


def scroll(page: Page, url: str) -> int:
    """Scroll from the top of the page to its end, and return the number of long tasks."""
    page.goto(url)
    page.evaluate(OBSERVE)
    page.mouse.move(600, 500)
    while not page.evaluate(AT_THE_END):
        page.mouse.wheel(0, SCROLL_PIXELS)
        page.wait_for_timeout(FRAME_MILLISECONDS)
    page.wait_for_load_state("networkidle")
    return len(page.evaluate("() => longTasks"))


def grow(page: Page, airflow: Cluster, url: str) -> list[str]:
    """Load the page again and again, and return the memory of the API server before and after, in MB."""

    def megabytes() -> float:
        return sum(process.memory_info().rss for process in airflow.processes("api-server")) / 1e6

    before = megabytes()
    for number in range(LOADS):
        page.goto(f"{url}?page={number + 1}")
    return [f"{before:.0f}", f"{megabytes():.0f}"]


def write_results(archive: PhotoArchive, images: int) -> None:
    """List this many images in the results file of the run."""
    names = archive.pictures

    def record(number: int) -> ResultRecord:
        name = names[number % len(names)]
        old, new = f"https://old.example/archive/{number}-{name}", f"{archive.host}/{name}?{number}"
        return ResultRecord(
            old, f"{number}-{name}", "migrated", number, str(number), new, None, "0" * 32, 50_000, None
        )

    Results(str(archive.results / f"{RUN_ID}-{ALBUM}.csv"), "benchmark").write(map(record, range(images)))


def main() -> None:
    """Run the benchmark."""
    options = Arguments(__doc__)
    options.add_argument("--images", type=int, default=10_000, help="images in the run")
    arguments = options.parse_args()
    executable = chromium()
    if executable is None:
        sys.exit("No Chromium found: install the package chromium, or set CHROMIUM to its path")
    with photo_archive() as archive:
        airflow = archive.airflow
        archive.start(RUN_ID, {ALBUM: [f"{archive.host}/{name}" for name in archive.pictures]})
        archive.wait(RUN_ID)
        write_results(archive, arguments.images)
        url = f"{airflow.url}{PREFIX}/dags/{DAG_ID}/runs/{quote(RUN_ID)}"
        view: dict[str, Any] = {"viewport": {"width": 1360, "height": 900}, "device_scale_factor": 1}
        with logged_in(airflow.url, executable=executable, **view) as page:
            table = compare(page, airflow.url, url, arguments.images, arguments.rounds)
            cells = [f"{scroll(page, url)}", *grow(page, airflow, url)]
    heading = [
        f"Tasks above 50 ms while {PER_PAGE} images scroll past",
        "MB of the API server's processes",
        f"after {LOADS} pages",
    ]
    finish("page", table, Table("In the browser and the API server", heading, [[*cells]]))


if __name__ == "__main__":
    main()
