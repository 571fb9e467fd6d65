"""The overview shows what the user may read, and no secret."""

from __future__ import annotations

import hashlib
import re
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from fastapi import FastAPI

from airflow_provider_123pan.callbacks.delivery import Delivery
from airflow_provider_123pan.receiver.inbox import Inbox
from airflow_provider_123pan.web.app import create_app
from airflow_provider_123pan.web.rendering import PREFIX
from tests.integration.web.conftest import READABLE, Login, Metadata

ACCOUNT = hashlib.sha256(b"https://pan.example\nclient").hexdigest()
OVERVIEW = f"{PREFIX}/"
CHECK = "Pan123CheckImagesOperator"


def test_an_account_shows_its_rate_and_when_its_token_expires(login: Login, metadata: Metadata) -> None:
    expiry = datetime.now(timezone.utc) + timedelta(days=20)
    metadata.add_account(
        "pan123_default",
        **{
            f"pan123_rate__{ACCOUNT[:16]}": {"rate": 12.5, "process": "0123abcd"},
            f"pan123_access_token__{ACCOUNT[:16]}": {
                "account": ACCOUNT,
                "accessToken": "the-token-itself",
                "expiredAt": expiry.isoformat(),
            },
        },
    )
    text = login("admin").get(OVERVIEW).text
    assert "12.5 requests a second" in text
    assert f"shared, until {expiry:%Y-%m-%d %H:%M} UTC" in text
    assert "https://pan.example" in text
    for secret in ("the-token-itself", "the client", "client&#39;s"):
        assert secret not in text
    assert "12.5" not in login(READABLE).get(OVERVIEW).text


def test_a_wrong_connection_is_named_with_its_problem(login: Login, metadata: Metadata) -> None:
    metadata.add_account("pan123_wrong")
    metadata.add_account("pan123_right")
    with metadata._sessions() as session, session.begin():
        from airflow.models import Connection

        session.query(Connection).filter_by(conn_id="pan123_wrong").one().login = None
    text = login("admin").get(OVERVIEW).text
    assert "login (client ID)" in text
    assert "no shared token yet" in text


def test_the_inbox_shows_how_many_deliveries_came_and_when(login: Login, inbox: Inbox) -> None:
    assert "none stored" in login(READABLE).get(OVERVIEW).text
    inbox.store(
        [("conn", Delivery.parse(f"{index:032x}", b"{}", "application/json", "")) for index in range(3)]
    )
    text = login(READABLE).get(OVERVIEW).text
    assert re.search(r"Deliveries so far</dt><dd>3<", text)
    assert re.search(r"<dd>\d+ s ago</dd>", text)


def test_an_inbox_that_cannot_be_read_is_no_error(login: Login, page: FastAPI) -> None:
    def fail() -> None:
        raise OSError("the password is in this message")

    page.state.inbox = create_app(fail).state.inbox  # type: ignore[arg-type]
    text = login(READABLE).get(OVERVIEW).text
    assert "The inbox cannot be read" in text
    assert "password" not in text


def test_the_last_check_shows_its_findings_and_the_traffic(login: Login, metadata: Metadata) -> None:
    metadata.add_run(READABLE)
    found = {"images": 900, "healthy": 880, "failed": 20, "gone": 20, "slow": 0}
    xcoms = found | {"traffic": {"photos/2026": 2_500_000_000}, "report": "https://reports.example/1.html"}
    metadata.add_task(READABLE, "check", xcoms, operator=CHECK)
    text = login(READABLE).get(OVERVIEW).text
    assert re.search(r"healthy</dt><dd>880<", text)
    assert re.search(r"gone</dt><dd>20<", text)
    assert "slow</dt>" not in text
    assert re.search(r'photos/2026</th><td class="number">2.5 GB<', text)
    assert 'href="https://reports.example/1.html"' in text
    assert "2.5 GB" not in login("another_dag").get(OVERVIEW).text


@pytest.mark.parametrize(
    "found", [{"healthy": "many", "images": 3, "traffic": ["x"], "report": 5}, {"healthy": 3}]
)
def test_a_check_without_report_and_with_odd_values_is_shown(
    login: Login, metadata: Metadata, found: dict[str, Any]
) -> None:
    metadata.add_run(READABLE)
    metadata.add_task(READABLE, "check", found, operator=CHECK)
    assert f"{READABLE}, check" in login(READABLE).get(OVERVIEW).text


def test_runs_are_listed_newest_first_and_old_ones_are_not(login: Login, metadata: Metadata) -> None:
    for run_id, days in (("older", 3), ("newer", 1), ("ancient", 40), ("other", 0)):
        metadata.add_run(READABLE, run_id, days_ago=days)
        operator = "BashOperator" if run_id == "other" else "Pan123SyncImagesOperator"
        metadata.add_task(READABLE, "task", {"migrated": 1, "failed": 2}, run_id=run_id, operator=operator)
    text = login(READABLE).get(OVERVIEW).text
    assert re.findall(r'runs/[^"]*">(\w+)</a>', text) == ["newer", "older"]
    assert '<li class="count-failed">2 failed</li>' in text


def test_a_check_does_not_count_the_images_of_its_run_again(login: Login, metadata: Metadata) -> None:
    metadata.add_run(READABLE)
    metadata.add_task(READABLE, "sync", {"migrated": 5, "failed": 1})
    metadata.add_task(READABLE, "check", {"images": 5, "healthy": 2, "failed": 3}, operator=CHECK)
    text = login(READABLE).get(OVERVIEW).text
    assert "<li>5 migrated</li>" in text
    assert '<li class="count-failed">1 failed</li>' in text


def test_an_overview_without_anything_is_a_page(login: Login) -> None:
    answer = login(READABLE).get(OVERVIEW)
    assert answer.status_code == 200
    assert "No run of the last 14 days" in answer.text
    assert "No check of images" in answer.text
