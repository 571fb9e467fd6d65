"""Take the screenshots of the provider's page in Airflow's UI for the documentation: `make screenshot`."""

from __future__ import annotations

import io
import re
import sqlite3
import sys
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Literal

from PIL import Image
from playwright.sync_api import FrameLocator, Page, expect

from airflow_provider_123pan.web.rendering import static_file
from dev.browser import chromium, logged_in, run_page
from dev.photo_archive import DAG_ID, PhotoArchive, photo_archive

NIGHTS = 7
SHOWN = "all-photos"  # the run of the screenshots but for the overview
WIDTH, WIDE = 1300, 1560  # of the window in pixels; the tabs of a task need more
#: The colours of a screenshot besides the page's own, and those of them that are the most frequent ones.
COLOURS, FREQUENT = 110, 40
#: The colours of the page in both themes; a small word in one of them must keep it.
OWN: list[tuple[int, ...]] = [
    tuple(bytes.fromhex(digits))
    for digits in dict.fromkeys(re.findall(r"#([0-9a-f]{6})\b", static_file("page.css").decode()))
]
LOCALES = {"en": "en-US", "zh": "zh-CN"}
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")


def main() -> None:
    """Write the screenshots to the folder that the command line gives."""
    folder = Path(sys.argv[1])
    executable = chromium()
    if executable is None:
        sys.exit("No Chromium found: install the package chromium, or set CHROMIUM to its path")
    with photo_archive() as archive:
        migrate(archive)
        for language, locale in LOCALES.items():
            for scheme in SCHEMES:
                options: dict[str, Any] = {
                    "viewport": {"width": WIDTH, "height": 900},
                    "device_scale_factor": 1,
                    "locale": locale,
                    "color_scheme": scheme,
                }
                with logged_in(archive.airflow.url, executable=executable, **options) as page:
                    take(page, archive.airflow.url, folder, f"{language}-{scheme}")


def migrate(archive: PhotoArchive) -> None:
    """Run the DAG for some nights, then once with failures, and wait for the end."""
    names = archive.pictures
    now = datetime.now(timezone.utc)
    nights = {f"nightly-{now - timedelta(days=days):%Y-%m-%d}": days for days in range(1, NIGHTS + 1)}
    for run_id, days in nights.items():
        urls = [f"{archive.host}/{name}?night={days}" for name in names[: 3 + 5 * days % len(names)]]
        archive.start(run_id, {"new": urls})
    for run_id in nights:
        archive.wait(run_id)
    with closing(sqlite3.connect(archive.airflow.home / "airflow.db", timeout=60)) as metadata, metadata:
        for run_id, days in nights.items():
            when = f"-{days} days"
            metadata.execute(
                "UPDATE dag_run SET run_after = datetime(run_after, ?) WHERE run_id = ?", (when, run_id)
            )
            metadata.execute(
                "UPDATE xcom SET timestamp = datetime(timestamp, ?) WHERE run_id = ?", (when, run_id)
            )
    host = archive.host
    missing = [f"{host}/{name}" for name in ("attic.jpg", "cellar.png", "roof.webp")]
    refused = [f"{host}/private/{name}" for name in names[:2]]
    archive.start(
        SHOWN,
        {
            "2025": [f"{host}/{name}?year=2025" for name in names] + missing + refused,
            "2026": [f"{host}/{name}?year=2026" for name in names],
        },
    )
    archive.wait(SHOWN)


def take(page: Page, airflow_url: str, folder: Path, suffix: str) -> None:
    """Take a screenshot of each page; that of failures is without what surrounds it."""
    frame = run_page(page, airflow_url, DAG_ID, SHOWN)
    wait_for_pictures(frame)
    save(page, folder / f"page-run-{suffix}.png", 1225)
    frame.locator("nav a").nth(2).click()
    expect(frame.locator("textarea").first).to_be_visible()
    save(page, folder / f"page-failures-{suffix}.png", 1100, "iframe[title='123pan']", cut=2)
    frame = run_page(page, airflow_url, DAG_ID, SHOWN, "/tasks/sync/mapped/0", "pan123_task")
    expect(frame.locator("progress")).to_have_count(1)
    wait_for_pictures(frame)
    save(page, folder / f"page-task-{suffix}.png", 980, width=WIDE)
    page.goto(f"{airflow_url}/plugin/pan123")
    expect(frame.get_by_role("rowheader", name="pan123_default")).to_be_attached()
    save(page, folder / f"page-overview-{suffix}.png", 800)


def wait_for_pictures(frame: FrameLocator) -> None:
    """Wait until the first images are loaded."""
    for number in range(3):
        picture = frame.locator(".card img").nth(number)
        expect(picture).to_be_attached()
        picture.evaluate("image => image.decode()")


def save(
    page: Page, path: Path, height: int, selector: str = "body", width: int = WIDTH, cut: int = 0
) -> None:
    """Write a picture of an element of the page as a small PNG.

    :param height: of the window, in pixels; so is ``width``.
    :param cut: pixels at the top that belong to another element.
    """
    page.set_viewport_size({"width": width, "height": height})
    page.mouse.move(0, 0)
    page.wait_for_load_state("networkidle")
    png = page.locator(selector).screenshot(animations="disabled")
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    picture = picture.crop((0, cut, *picture.size))
    with_palette(picture).save(path, optimize=True)
    print(path)


def with_palette(picture: Image.Image) -> Image.Image:
    """Return a picture with a palette; it keeps the colours of the page, and those of large areas, exactly."""
    colours = colours_of(picture)
    palette = Image.new("P", (1, 1))
    palette.putpalette([value for colour in colours for value in colour])
    found = picture.quantize(palette=palette, dither=Image.Dither.NONE)
    # Pillow finds one of the nearest colours, not always the nearest.
    exact = {colour: index for index, colour in enumerate(colours)}
    values = picture.tobytes()
    pixels = zip(values[::3], values[1::3], values[2::3], strict=True)
    found.frombytes(
        bytes(exact.get(pixel, near) for pixel, near in zip(pixels, found.tobytes(), strict=True))
    )
    return found


def colours_of(picture: Image.Image) -> list[tuple[int, ...]]:
    """Return the colours of the palette of a picture."""
    counts: Any = picture.getcolors(picture.width * picture.height)
    frequent = [colour for _, colour in sorted(counts, reverse=True)[:FREQUENT]]
    values = picture.quantize(COLOURS - FREQUENT, dither=Image.Dither.NONE).getpalette() or []
    others = zip(values[::3], values[1::3], values[2::3], strict=True)
    return [*dict.fromkeys([*OWN, *frequent, *others])]


if __name__ == "__main__":
    main()
