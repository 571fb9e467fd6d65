"""How the sandbox writes dates."""

from __future__ import annotations

import re
import time
from datetime import datetime, timedelta

import pytest

from airflow_provider_123pan.sandbox.dates import expiry, image_date
from tests.integration.sandbox.support import HOUR_SECONDS, Client

MOMENT = 1767294245  # 2026-01-02 03:04:05 in Beijing


def test_dates_of_images_have_five_forms() -> None:
    assert image_date(MOMENT + 0.5, "beijing") == "2026-01-02 03:04:05"
    assert image_date(MOMENT + 0.5, "utc") == "2026-01-01 19:04:05"
    assert image_date(MOMENT + 0.5, "slashes") == "2026/01/02 03:04:05"
    assert image_date(MOMENT + 0.5, "unix") == MOMENT
    assert image_date(MOMENT + 0.5, "empty") == ""


def test_the_expiry_of_a_token_has_five_forms() -> None:
    assert expiry(MOMENT, "beijing") == "2026-01-02T03:04:05+08:00"
    assert expiry(MOMENT, "utc") == "2026-01-01T19:04:05+00:00"
    assert expiry(MOMENT, "no-offset") == "2026-01-02T03:04:05"
    assert expiry(MOMENT, "unix") == MOMENT
    unreadable = expiry(MOMENT, "unreadable")
    assert isinstance(unreadable, str)
    assert not re.search(r"\d", unreadable)


@pytest.mark.parametrize("form", ["beijing", "utc", "slashes", "unix", "empty"])
def test_the_option_decides_the_form_of_an_images_dates(client: Client, form: str) -> None:
    client.sandbox.configure(fetch=False, dates=form)
    before = int(time.time())
    client.migrate("http://127.0.0.1/a.png")
    (directory,) = client.files("")
    (image,) = client.files(directory["fileId"])
    forms = {image_date(second, form) for second in range(before, int(time.time()) + 1)}  # type: ignore[arg-type]
    assert {image["createAt"], image["updateAt"]} <= forms
    assert directory["createAt"] in forms


@pytest.mark.parametrize("form", ["beijing", "utc", "no-offset", "unix", "unreadable"])
def test_the_option_decides_the_form_of_a_tokens_expiry(client: Client, form: str) -> None:
    client.sandbox.configure(expiry=form, token_life=HOUR_SECONDS)
    before = int(time.time()) + HOUR_SECONDS
    expired_at = client.log_in()["data"]["expiredAt"]
    seconds = range(before, int(time.time()) + HOUR_SECONDS + 1)
    assert expired_at in [expiry(second, form) for second in seconds]  # type: ignore[arg-type]


def test_the_service_clock_may_be_wrong(client: Client) -> None:
    client.sandbox.configure(fetch=False, clock_offset=-8 * HOUR_SECONDS)
    client.migrate("http://127.0.0.1/old.png")
    client.sandbox.configure(clock_offset=0)
    client.migrate("http://127.0.0.1/new.png")
    new, old = (datetime.fromisoformat(image["createAt"]) for image in client.sandbox.state()["files"])
    assert abs(new - old - timedelta(hours=8)) < timedelta(hours=1)
    (directory,) = client.files("")
    recent = client.files(directory["fileId"], startTime=int(time.time()) - HOUR_SECONDS)
    assert [image["filename"] for image in recent] == ["new.png"]
