"""The provider's page in Airflow's UI, as a user clicks through it in a browser.

=========  ======================================================================================================
what       how
=========  ======================================================================================================
images     the first sixty are there, and the picture of one loads; its new URL opens in a tab of the browser
paging     "Next" and "Previous"
filter     by directory; by state, then by a text as well; the keyboard sends the form, too
failures   one group by its reason; "Copy", and what is pasted afterwards
export     "Export as CSV" downloads all images that the filter selects
tasks      the link to a task opens Airflow's page of it, whose tab has only this task
keyboard   "Tab" reaches everything in order, visibly
language   English, and Chinese
theme      light and dark, as the browser prefers and as Airflow's own switch says
axe        finds no violation in any page, in both languages and themes, with all details open
login      without one, the page is closed
=========  ======================================================================================================
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from dev.browser import chromium, logged_in, run_page
from dev.cluster import Cluster
from dev.example_run import ExampleRun

DESKTOP = {"viewport": {"width": 1280, "height": 1000}, "device_scale_factor": 1}
PAGE = "pan123-ui"
IMAGES = 70
#: The background of the page by colour scheme.
BACKGROUNDS: dict[Literal["light", "dark"], str] = {"light": "rgb(255, 255, 255)", "dark": "rgb(22, 29, 45)"}
FOCUSED = """() => {
    const element = document.activeElement, style = getComputedStyle(element);
    const label = document.getElementById(element.getAttribute("aria-labelledby")) ?? element.labels?.[0] ?? element;
    const {top, bottom, width} = element.getBoundingClientRect();
    return {
        name: (element.querySelector("img")?.alt ?? label.textContent).trim(),
        outline: style.outlineStyle === "none" ? 0 : parseFloat(style.outlineWidth),
        seen: width > 0 && bottom > 0 && top < innerHeight,
    };
}"""


@pytest.fixture(scope="module")
def browser() -> str:
    """Return the path of Chromium; skip the tests that need it where there is none."""
    executable = chromium()
    if executable is None:
        pytest.skip("no Chromium found: install the package chromium, or set CHROMIUM to its path")
    return executable


@pytest.fixture
def run(example_partitions: ExampleRun) -> Iterator[ExampleRun]:
    """A run with two syncs, the results of one of which list the same images again and again, and failures."""
    example_partitions.wait()
    path = example_partitions.folder / "results" / "2025.csv"
    before = path.read_bytes()
    with path.open(newline="") as file:
        rows: list[dict[str, Any]] = [*csv.DictReader(file)]
    failure = dict.fromkeys(rows[0], "") | {
        "url": "https://old.example/a.jpg?token=signature",
        "status": "failed",
    }
    failures = [failure | {"file_name": f"a-{n}.jpg", "reason": "the source answered 404"} for n in range(3)]
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows([*failures, *islice(cycle(rows), IMAGES)])
    yield example_partitions
    path.write_bytes(before)


def violations(page: Page, url: str) -> list[tuple[str, str]]:
    """Open a page of the provider outside of Airflow's UI, and return what axe finds wrong with it."""
    page.goto(url)
    page.evaluate("() => document.querySelectorAll('details').forEach(details => details.open = true)")
    found = Axe().run(page).response["violations"]
    return [(rule["id"], node["html"]) for rule in found for node in rule["nodes"]]


@pytest.mark.timeout(900)  # it may be the first test, which starts Airflow
def test_a_run_shows_images_that_can_be_filtered_and_exported(
    airflow: Cluster, run: ExampleRun, browser: str, tmp_path: Path
) -> None:
    with logged_in(airflow.url, executable=browser, **DESKTOP) as page:
        errors: list[str] = []
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        frame = run_page(page, airflow.url, run.dag_id, run.run_id)
        cards = frame.locator(".card")
        expect(cards).to_have_count(60)
        expect(frame.locator("progress")).to_have_count(2)
        expect(frame.locator("h1")).to_have_css(
            "clip-path", "inset(50%)"
        )  # Airflow shows the run above the tab
        picture = cards.nth(3).locator("img")
        picture.scroll_into_view_if_needed()
        expect(picture).to_have_js_property("complete", True)
        assert picture.evaluate("image => image.naturalWidth") > 0

        link = cards.nth(3).locator("dd a")
        with page.context.expect_page() as opened:
            link.click()
        opened.value.wait_for_url(str(link.get_attribute("href")))
        opened.value.close()

        frame.get_by_role("link", name="Next").click()
        expect(frame.get_by_text("Page 2")).to_be_visible()
        expect(cards).to_have_count(IMAGES + 3 + 1 - 60)
        frame.get_by_role("link", name="Previous").click()
        expect(cards).to_have_count(60)

        frame.get_by_label("Directory").select_option(label="archive/2026")
        frame.get_by_role("button", name="Filter").click()
        expect(cards).to_have_count(1)
        frame.get_by_label("Directory").select_option(label="all")
        frame.get_by_label("State").select_option("failed")
        frame.get_by_role("button", name="Filter").click()
        expect(cards).to_have_count(3)
        frame.get_by_label("Search").fill("A-1")
        frame.get_by_role("button", name="Filter").click()
        expect(cards).to_have_count(1)
        assert "signature" not in frame.locator("main").inner_text()
        frame.get_by_role("link", name="Failures").click()
        expect(frame.get_by_role("heading", name="the source answered 404")).to_be_visible()
        frame.get_by_role("button", name="Copy").click()
        expect(frame.get_by_role("button", name="Copied")).to_be_visible()
        frame.get_by_role("link", name="Images").click()
        frame.get_by_label("Search").focus()
        page.keyboard.press("Control+V")
        expect(frame.get_by_label("Search")).to_have_value(
            " ".join(["https://old.example/a.jpg?token=***"] * 3)
        )

        with page.expect_download() as download:
            frame.get_by_role("link", name="Export as CSV").click()
        with Path(download.value.path()).open(newline="") as file:
            assert len([*csv.DictReader(file)]) == IMAGES + 3 + 1

        frame.get_by_role("link", name="sync [1]").click()
        page.wait_for_url(re.compile(r"/tasks/sync/mapped/1$"))
        tab = page.get_by_role("link", name="123pan", exact=True)
        tab.click()
        expect(frame.locator("progress")).to_have_count(1)
        expect(cards).to_have_count(1)
        blocked = [error for error in errors if "Content Security Policy" in error or "sandboxed" in error]
        assert not blocked


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("locale", "scheme", "words"),
    [
        ("en-US", "light", ("Recent runs", "Numbers")),
        ("zh-CN", "dark", ("最近的 Dag 执行", "外链")),
    ],
)
def test_the_page_follows_language_and_theme_and_is_accessible(
    airflow: Cluster,
    run: ExampleRun,
    browser: str,
    locale: str,
    scheme: Literal["light", "dark"],
    words: tuple[str, str],
) -> None:
    options: dict[str, Any] = DESKTOP | {"locale": locale, "color_scheme": scheme}
    with logged_in(airflow.url, executable=browser, **options) as page:
        page.goto(f"{airflow.url}/plugin/pan123")
        frame = page.frame_locator("iframe[title='123pan']")
        expect(frame.get_by_role("heading", name=words[0])).to_be_visible()
        expect(frame.get_by_role("rowheader", name="pan123_default")).to_be_visible()
        expect(frame.locator("body")).to_have_css("background-color", BACKGROUNDS[scheme])
        # Airflow's own switch, which does not change what the browser prefers.
        other = "light" if scheme == "dark" else "dark"
        page.evaluate("theme => document.documentElement.className = theme", other)
        expect(frame.locator("html")).to_have_attribute("data-theme", other)

        frame.get_by_role("link", name=run.run_id).first.click()
        expect(frame.get_by_text(words[1], exact=True).first).to_be_visible()
        expect(frame.locator("h1")).to_have_css("clip-path", "none")
        path = path_of(airflow, run)
        task = f"{path}?task_id=sync&map_index=0"
        for colours, background in BACKGROUNDS.items():
            page.emulate_media(color_scheme=colours)
            for url in (
                f"{airflow.url}/{PAGE}/",
                path,
                task,
                f"{path}/failures",
                f"{airflow.url}/{PAGE}/nothing",
            ):
                assert violations(page, url) == [], (url, colours)
                expect(page.locator("body")).to_have_css("background-color", background)


def test_the_keyboard_reaches_filter_export_images_and_links_in_order(
    airflow: Cluster, run: ExampleRun, browser: str
) -> None:
    with logged_in(airflow.url, executable=browser, **DESKTOP) as page:
        page.goto(f"{path_of(airflow, run)}?status=migrated")
        cards = page.locator(".card")
        links = [
            name
            for number in (0, 1)
            for name in (
                cards.nth(number).locator("img").get_attribute("alt"),
                cards.nth(number).locator("dd a").inner_text(),
            )
        ]
        assert tabbed(page, 13 + len(links)) == [
            *("Skip to the content", "Overview", "Images", "Failures", "Tasks", "sync [0]", "sync [1]"),
            *("State", "Directory", "Search", "Filter", "Export as CSV", "What the states mean", *links),
        ]
        page.get_by_label("Search").focus()
        page.keyboard.type("nothing of this name")
        page.keyboard.press("Enter")
        expect(cards).to_have_count(0)


def tabbed(page: Page, count: int) -> list[str]:
    """Press the key Tab, and return the name of what it reaches each time; all of it must show its focus."""
    names = []
    for _ in range(count):
        page.keyboard.press("Tab")
        focused = page.evaluate(FOCUSED)
        assert focused["outline"] >= 2, focused
        assert focused["seen"], focused
        names.append(focused["name"])
    return names


def path_of(airflow: Cluster, run: ExampleRun) -> str:
    """Return the URL of a run's page outside of Airflow's UI."""
    return f"{airflow.url}/{PAGE}/dags/{run.dag_id}/runs/{quote(run.run_id)}"


def test_the_page_is_closed_without_a_login(airflow: Cluster, run: ExampleRun, browser: str) -> None:
    path = path_of(airflow, run)
    urls = [
        f"{airflow.url}/{PAGE}/",
        path,
        f"{path}?task_id=sync",
        f"{path}/failures",
        f"{path}/images.csv",
    ]
    with logged_in(airflow.url, executable=browser, **DESKTOP) as page:
        assert [page.request.get(url).status for url in urls] == [200] * len(urls)
        page.context.clear_cookies()
        for url in urls:
            answer = page.goto(url)
            assert answer is not None
            assert answer.status == 401, url
            expect(page.get_by_role("alert")).to_contain_text("You are not logged in")
