"""Airflow's UI in a real Chromium, as far as the tests and the README's picture go: the form of a connection."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Locator, Page, expect, sync_playwright

from dev.cluster import PASSWORD, USERNAME

# No sandbox, because containers have no user namespaces; the rest keeps it from calling home.
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE = 30_000  # milliseconds: the first page of a busy API server takes its time


def chromium() -> str | None:
    """The browser of this machine; Playwright's own would have to be downloaded."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)


@contextmanager
def logged_in(airflow_url: str, *, executable: str) -> Iterator[Page]:
    """A page of Airflow's UI after the login."""
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=FLAGS, timeout=2 * PATIENCE)
        try:
            page = browser.new_page(viewport={"width": 760, "height": 1500}, device_scale_factor=1.5)
            page.set_default_timeout(PATIENCE)
            page.goto(f"{airflow_url}/")
            page.locator("[name=username]").fill(USERNAME)
            page.locator("[name=password]").fill(PASSWORD)
            page.keyboard.press("Enter")
            page.wait_for_url(f"{airflow_url}/")
            yield page
        finally:
            browser.close()


class ConnectionForm:
    """The dialog "Add Connection", opened, with a type chosen."""

    def __init__(self, page: Page, airflow_url: str, *, conn_id: str, conn_type: str) -> None:
        """`conn_type` as the form shows it."""
        page.goto(f"{airflow_url}/connections")
        page.get_by_role("button", name="Add Connection").first.click()
        self.dialog: Locator = page.get_by_role("dialog")
        self._page = page
        self.field("connection_id").fill(conn_id)
        self.dialog.get_by_role("combobox").fill(conn_type)
        page.get_by_role("option", name=conn_type, exact=True).click()
        self.section("Extra Fields")

    def section(self, name: str) -> None:
        """Open a section, whether or not another one closes for it."""
        button = self.dialog.get_by_role("button", name=name, exact=True)
        if button.get_attribute("aria-expanded") != "true":
            button.click()
            expect(button).to_have_attribute("aria-expanded", "true")

    def field(self, name: str) -> Locator:
        """A standard field by its name, such as `host`, an extra one as `element_timeout`."""
        return self.dialog.locator(f"[name={name}]")

    def label_of(self, name: str) -> str:
        field = self.dialog.locator("[data-scope=field][data-part=root]").filter(
            has=self._page.locator(f"[name={name}]")
        )
        return str(field.locator("label").first.inner_text()).strip()

    def save(self) -> None:
        self.dialog.get_by_role("button", name="Save").click()
        expect(self.dialog).to_be_hidden()

    def picture(self) -> bytes:
        """A PNG of the dialog alone, after what moves has come to rest."""
        self.dialog.locator("h2").click()
        nothing_behind = "[data-scope=dialog][data-part=backdrop] { display: none }"
        return bytes(self.dialog.screenshot(animations="disabled", style=nothing_behind))
