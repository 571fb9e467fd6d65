"""Airflow's UI in a real Chromium, for the system tests and the screenshots: a form, and the provider's page."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

from playwright.sync_api import FrameLocator, Locator, Page, expect, sync_playwright

from dev.cluster import PASSWORD, USERNAME

# Containers have no user namespaces for Chromium's sandbox; the other flags avoid requests to its vendor.
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
TIMEOUT_MILLISECONDS = 30_000  # a busy API server takes long for its first page


def chromium() -> str | None:
    """Return the path of the installed Chromium, or None; Playwright's own would be a download."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)


@contextmanager
def logged_in(airflow_url: str, *, executable: str, **options: Any) -> Iterator[Page]:
    """Log in to Airflow's UI, and yield its page.

    :param options: of the browser's context, such as ``locale`` and ``color_scheme``.
    """
    expect.set_options(timeout=TIMEOUT_MILLISECONDS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=executable, args=FLAGS, timeout=2 * TIMEOUT_MILLISECONDS
        )
        try:
            defaults: dict[str, Any] = {
                "viewport": {"width": 760, "height": 1500},
                "device_scale_factor": 1.5,
            }
            page = browser.new_page(**defaults | options)
            page.set_default_timeout(TIMEOUT_MILLISECONDS)
            page.goto(f"{airflow_url}/")
            page.locator("[name=username]").fill(USERNAME)
            page.locator("[name=password]").fill(PASSWORD)
            page.keyboard.press("Enter")
            page.wait_for_url(f"{airflow_url}/")
            yield page
        finally:
            browser.close()


def run_page(
    page: Page, airflow_url: str, dag_id: str, run_id: str, task: str = "", name: str = "pan123_run"
) -> FrameLocator:
    """Open the tab of the provider beside a run in Airflow's UI, and return what it holds.

    :param task: beside a task of it: the end of its path, such as ``/tasks/sync``.
    :param name: of the tab, in its path.
    """
    page.goto(f"{airflow_url}/dags/{dag_id}/runs/{quote(run_id, safe='')}{task}/plugin/{name}")
    return page.frame_locator("iframe[title='123pan']")


class ConnectionForm:
    """The open dialog "Add Connection" with a connection type."""

    def __init__(self, page: Page, airflow_url: str, *, conn_id: str, conn_type: str) -> None:
        """Open the dialog, and choose a type by the name that the form shows."""
        page.goto(f"{airflow_url}/connections")
        page.get_by_role("button", name="Add Connection").first.click()
        self.dialog: Locator = page.get_by_role("dialog")
        self._page = page
        self.field("connection_id").fill(conn_id)
        self.dialog.get_by_role("combobox").fill(conn_type)
        page.get_by_role("option", name=conn_type, exact=True).click()
        self.section("Extra Fields")

    def section(self, name: str) -> None:
        """Open a section if it is closed; this may close another one."""
        button = self.dialog.get_by_role("button", name=name, exact=True)
        if button.get_attribute("aria-expanded") != "true":
            button.click()
            expect(button).to_have_attribute("aria-expanded", "true")

    def field(self, name: str) -> Locator:
        """Return a field by its name: `host` for a standard field, `element_timeout` for an extra one."""
        return self.dialog.locator(f"[name={name}]")

    def label_of(self, name: str) -> str:
        """Return the label of an extra or standard field."""
        field = self.dialog.locator("[data-scope=field][data-part=root]").filter(
            has=self._page.locator(f"[name={name}]")
        )
        return str(field.locator("label").first.inner_text()).strip()

    def save(self) -> None:
        """Save the connection, and wait until the dialog has closed."""
        self.dialog.get_by_role("button", name="Save").click()
        expect(self.dialog).to_be_hidden()

    def picture(self) -> bytes:
        """Return a PNG of the dialog without animations and background."""
        self.dialog.locator("h2").click()
        nothing_behind = "[data-scope=dialog][data-part=backdrop] { display: none }"
        return bytes(self.dialog.screenshot(animations="disabled", style=nothing_behind))
