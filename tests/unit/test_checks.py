"""What ``airflow pan123 check`` reports for every outcome of a check."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import pytest

from airflow_provider_123pan.account.connection import ConnectionSettings
from airflow_provider_123pan.checkup import checks
from airflow_provider_123pan.checkup.checks import CallbackFacts, InboxFacts, Result, ServiceFacts
from airflow_provider_123pan.exceptions import (
    InboxUnreachableError,
    Pan123AccessTokenError,
    Pan123CredentialsError,
    Pan123InputError,
    Pan123LoginLimitError,
    Pan123TokenError,
    Pan123UnavailableError,
)
from airflow_provider_123pan.service.endpoint import Endpoint
from airflow_provider_123pan.service.models import Directory, Listing
from tests.support import image

ROOT = Listing((), (), None)
WRONG_SECRET = Pan123CredentialsError("wrong secret", call="login", code=1)
GATEWAY = Pan123UnavailableError("HTTP 502", call="list_images")
INBOX_URL = "http://receiver:8123"
READABLE = InboxFacts(INBOX_URL)
PUBLIC = (ip_address("8.8.8.8"),)
UNREACHABLE = InboxUnreachableError(f"{INBOX_URL}: refused")


def settings(**changed: Any) -> ConnectionSettings:
    fields: dict[str, Any] = {
        "conn_id": "pan123_default",
        "endpoint": Endpoint("https://service"),
        "client_id": "me",
        "client_secret": "a secret",
        "access_token": None,
        "requests_per_second": None,
        "callback_base_url": "https://callbacks",
        "callback_secret": None,
    }
    return ConnectionSettings(**(fields | changed))


def report(result: Result) -> str:
    return f"{result.status.value}: {result.text}"


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (settings(), "ok: pan123_default is valid, with client ID me for https://service"),
        (
            settings(client_id="", access_token="token"),
            "ok: pan123_default is valid, with an access_token for https://service",
        ),
        (Pan123InputError("connection 'a': host is wrong"), "failed: connection 'a': host is wrong"),
    ],
)
def test_connection(found: Any, expected: str) -> None:
    assert report(checks.connection(found)) == expected


@pytest.mark.parametrize(
    ("logged_in", "listing", "expected"),
    [
        (True, ROOT, "ok: the login works"),
        (True, GATEWAY, "ok: the login works"),
        (False, ROOT, "ok: the stored token works, so no login was made to test the client secret"),
        (False, GATEWAY, "skipped: the stored token is untested because the list call failed"),
        (False, WRONG_SECRET, "failed: login: wrong secret (code 1)"),
        (False, Pan123LoginLimitError("3 logins", call="login"), "failed: login: 3 logins"),
        (True, Pan123TokenError("refused"), "failed: refused"),
        (
            False,
            ConnectionError("secrets may be in here"),
            (
                "failed: the Variable with the shared token cannot be read or written here (ConnectionError); run this "
                'where "airflow variables list" works; a new Airflow needs "airflow db migrate" first'
            ),
        ),
    ],
)
def test_access_token(logged_in: bool, listing: Any, expected: str) -> None:
    assert report(checks.access_token(settings(), ServiceFacts(logged_in, listing))) == expected


@pytest.mark.parametrize(
    ("listing", "expected"),
    [
        (ROOT, "ok: the connection's access_token works, so no login was made to test the client secret"),
        (GATEWAY, "skipped: the connection's access_token is untested because the list call failed"),
        (Pan123AccessTokenError("replace access_token"), "failed: replace access_token"),
    ],
)
def test_access_token_of_the_connection(listing: Any, expected: str) -> None:
    given = settings(access_token="token")
    assert report(checks.access_token(given, ServiceFacts(False, listing))) == expected


@pytest.mark.parametrize(
    ("listing", "expected"),
    [
        (ROOT, "ok: the root directory has 0 directories and 0 images"),
        (
            Listing((image(), image()), (Directory("7", "cats"),), None),
            "ok: the root directory has 1 directory and 2 images",
        ),
        (Listing((image(),), (), "f1"), "ok: the root directory has at least 0 directories and 1 image"),
        (
            Listing((), (Directory("7", "来自：离线下载"),), None),
            "ok: the root directory has 1 directory and 0 images; downloads go to 来自：离线下载 by default (ID 7)",
        ),
        (GATEWAY, "failed: list_images: HTTP 502"),
        (WRONG_SECRET, "skipped: there is no valid access token"),
        (OSError(), "skipped: there is no valid access token"),
    ],
)
def test_listing(listing: Any, expected: str) -> None:
    assert report(checks.listing(ServiceFacts(False, listing))) == expected


@pytest.mark.parametrize(
    ("ahead", "expected"),
    [
        (60.0, "ok: at most 60 seconds ahead of or behind the service's"),
        (-60.0, "ok: at most 60 seconds ahead of or behind the service's"),
        (61.0, "warning: 1 minute ahead of the service's; "),
        (-300.0, "warning: 5 minutes behind the service's; "),
        (301.0, "failed: 5 minutes ahead of the service's; "),
        (-28800.0, "failed: 480 minutes behind the service's; "),
        (None, "skipped: the service's answer has no Date header"),
    ],
)
def test_clock(ahead: float | None, expected: str) -> None:
    advice = "synchronize this machine's clock, such as with NTP" if expected.endswith("; ") else ""
    assert report(checks.clock(ServiceFacts(False, ROOT, ahead))) == expected + advice


def test_clock_without_an_answer() -> None:
    assert report(checks.clock(ServiceFacts(False, GATEWAY))) == (
        "skipped: the list call got no answer that states the service's time"
    )


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (
            None,
            "ok: not needed: callback_base_url is empty, so there are no callbacks and waiting tasks poll for progress",
        ),
        (READABLE, "ok: readable at http://receiver:8123"),
        (InboxFacts("http://me:secret@receiver"), "ok: readable at http://receiver"),
        (
            InboxFacts(INBOX_URL, Pan123InputError("callback_secret: is short")),
            "failed: there are no callbacks: callback_secret: is short",
        ),
        (
            InboxFacts(INBOX_URL, UNREACHABLE),
            (
                "failed: http://receiver:8123: refused; set [pan123] inbox_url to the URL at which this machine "
                "reaches the receiver"
            ),
        ),
        (
            InboxFacts(INBOX_URL, UNREACHABLE, "ready"),
            (
                "failed: http://receiver:8123: refused; a receiver is there, and it must have the same secret for "
                "connection 'pan123_default', and a clock that differs by 5 minutes at most"
            ),
        ),
        (
            InboxFacts(INBOX_URL, UNREACHABLE, "unavailable"),
            "failed: http://receiver:8123: refused; a receiver is there, but its database is unavailable; see its log",
        ),
    ],
)
def test_inbox(facts: InboxFacts | None, expected: str) -> None:
    assert report(checks.inbox(settings(), facts)) == expected


SHOWN = "https://callbacks/pan123/callbacks/***"
ARRIVED = f"a test delivery to {SHOWN} arrived in the inbox"


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (CallbackFacts("https://callbacks", PUBLIC, 200, True), f"ok: {ARRIVED}"),
        (CallbackFacts("https://me:secret@callbacks", PUBLIC, 200, True), f"ok: {ARRIVED}"),
        (CallbackFacts("https://callbacks", (), 200, True), f"ok: {ARRIVED}"),
        (
            CallbackFacts("http://callbacks", PUBLIC, 200, True),
            (
                f"warning: {ARRIVED.replace('https', 'http')}, but plain http shows callback URLs to the network: use "
                "https"
            ),
        ),
        (
            CallbackFacts("https://callbacks", PUBLIC, 404),
            (
                f"failed: HTTP 404 from {SHOWN}: callback_base_url, or the proxy behind it, "
                "does not lead to the receiver that is read at http://receiver:8123"
            ),
        ),
        (
            CallbackFacts("https://callbacks", PUBLIC, 301),
            (
                f"failed: HTTP 301 from {SHOWN}: callback_base_url, or the proxy behind it, "
                "does not lead to the receiver that is read at http://receiver:8123"
            ),
        ),
        (
            CallbackFacts("https://callbacks", PUBLIC, 503),
            (f"failed: HTTP 503 from {SHOWN}: the receiver or its database is unavailable; see its log"),
        ),
        (
            CallbackFacts("https://callbacks", PUBLIC, 200, False),
            (
                f"failed: HTTP 200 from {SHOWN}, but the delivery is not in the inbox at "
                "http://receiver:8123: both must be receivers with the same database"
            ),
        ),
        (
            CallbackFacts("https://callbacks", PUBLIC, 200, UNREACHABLE),
            "failed: the delivery was accepted, but the inbox cannot be read: http://receiver:8123: refused",
        ),
        (
            CallbackFacts("https://callbacks", (), OSError("no such host")),
            (
                f"failed: no answer from {SHOWN}: no such host; check callback_base_url, its "
                "DNS name and certificate, and the proxy in front of the receiver"
            ),
        ),
        (
            CallbackFacts("https://callbacks", PUBLIC, Pan123InputError("callback_base_url: is too long")),
            "failed: callback_base_url: is too long",
        ),
    ],
)
def test_callback_url(facts: CallbackFacts, expected: str) -> None:
    assert report(checks.callback_url(READABLE, facts)) == expected


@pytest.mark.parametrize("address", ["127.0.0.1", "10.1.2.3", "192.168.0.1", "169.254.1.1", "::1", "fd00::1"])
def test_callback_url_of_a_host_that_the_service_cannot_reach(address: str) -> None:
    facts = CallbackFacts("https://callbacks", (*PUBLIC, ip_address(address)), 200, True)
    assert report(checks.callback_url(READABLE, facts)) == (
        f"warning: {ARRIVED}, but callbacks is a loopback or private address, which 123pan cannot reach"
    )


def test_callback_url_without_callbacks() -> None:
    assert report(checks.callback_url(None, None)) == "skipped: there are no callbacks"


def test_callback_url_without_an_inbox() -> None:
    assert report(checks.callback_url(InboxFacts(INBOX_URL, UNREACHABLE), None)) == (
        "skipped: the inbox, which would show a test delivery, cannot be read"
    )
