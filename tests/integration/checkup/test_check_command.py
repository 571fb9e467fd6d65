"""``airflow pan123 check`` against a sandbox and a receiver: what a user sees of whole deployments."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, select

from airflow_provider_123pan.callbacks.address import secret_keys
from airflow_provider_123pan.hooks.pan123 import Pan123Hook
from airflow_provider_123pan.receiver.inbox import DELIVERIES
from airflow_provider_123pan.sandbox import Sandbox
from tests.integration.receiver.support import Keys, running_receiver

Check = Callable[..., tuple[int, str]]
Connect = Callable[..., None]

CONNECTION = (
    "connection    ok:       pan123_default is valid, with client ID sandbox-client for http://sandbox\n"
)
LOGIN = "access token  ok:       the login works\n"
STORED = "access token  ok:       the stored token works, so no login was made to test the client secret\n"
LISTING = "list call     ok:       the root directory has 0 directories and 0 images\n"
NO_LISTING = "list call     skipped:  there is no valid access token\n"
CLOCK = "clock         ok:       at most 60 seconds ahead of or behind the service's\n"
NO_CLOCK = "clock         skipped:  the list call got no answer that states the service's time\n"
INBOX = "inbox         ok:       readable at http://receiver\n"
DELIVERED = (
    "callback URL  warning:  a test delivery to http://receiver/pan123/callbacks/*** arrived in the inbox, but "
    "127.0.0.1 is a loopback or private address, which 123pan cannot reach, and plain http shows callback URLs to the "
    "network: use https\n"
)
NOT_DELIVERED = "callback URL  skipped:  the inbox, which would show a test delivery, cannot be read\n"
UNREACHABLE = "http://127.0.0.1:9"  # the discard port


@pytest.fixture(autouse=True)
def _callbacks(connect: Connect, receiver: str) -> None:
    connect(extra={"callback_base_url": receiver})


def logins(sandbox: Sandbox) -> int:
    found: int = sandbox.state()["counts"]["logins"]
    return found


def test_a_good_deployment_passes(check: Check) -> None:
    assert check() == (0, CONNECTION + LOGIN + LISTING + CLOCK + INBOX + DELIVERED)


def test_a_second_check_needs_no_login(check: Check, sandbox: Sandbox) -> None:
    check()
    assert check() == (0, CONNECTION + STORED + LISTING + CLOCK + INBOX + DELIVERED)
    assert logins(sandbox) == 1


def test_a_deployment_without_callbacks_passes(check: Check, connect: Connect) -> None:
    connect()
    assert check() == (
        0,
        CONNECTION
        + LOGIN
        + LISTING
        + CLOCK
        + "inbox         ok:       not needed: callback_base_url is empty, so there are no callbacks and waiting tasks "
        "poll for progress\n"
        "callback URL  skipped:  there are no callbacks\n",
    )


def test_a_wrong_secret_fails(check: Check, connect: Connect, receiver: str, sandbox: Sandbox) -> None:
    """The callbacks have a secret of their own, so that they work."""
    connect(
        password="mistyped-secret",
        extra={"callback_base_url": receiver, "callback_secret": sandbox.client_secret},
    )
    assert check() == (
        1,
        CONNECTION
        + "access token  failed:   login: clientID or clientSecret is wrong; check the connection's login (client ID) "
        "and password (client secret) (code 1, x-traceID <trace ID>)\n"
        + NO_LISTING
        + NO_CLOCK
        + INBOX
        + DELIVERED,
    )
    assert logins(sandbox) == 0


def test_an_unreachable_host_fails(check: Check, connect: Connect, receiver: str) -> None:
    connect(host=UNREACHABLE, extra={"callback_base_url": receiver})
    assert check() == (
        1,
        CONNECTION.replace("http://sandbox", UNREACHABLE)
        + "access token  failed:   login: no answer from http://127.0.0.1:9: <connection refused>; check the "
        "connection's host, proxy and verify, and the network\n" + NO_LISTING + NO_CLOCK + INBOX + DELIVERED,
    )


def test_a_missing_connection_fails(check: Check) -> None:
    skipped = "skipped:  there is no valid connection\n"
    assert check("nowhere") == (
        1,
        (
            "connection    failed:   pan123_conn_id: there is no connection 'nowhere'; create it, with type 123pan, "
            "under Admin > Connections, or check that the value of AIRFLOW_CONN_NOWHERE is valid JSON or a valid URI\n"
            f"access token  {skipped}list call     {skipped}clock         {skipped}"
            f"inbox         {skipped}callback URL  {skipped}"
        ),
    )


def test_a_callback_base_url_of_another_server_fails(
    check: Check, connect: Connect, sandbox: Sandbox
) -> None:
    connect(extra={"callback_base_url": sandbox.base_url})
    assert check() == (
        1,
        CONNECTION
        + LOGIN
        + LISTING
        + CLOCK
        + INBOX
        + "callback URL  failed:   HTTP 404 from http://sandbox/pan123/callbacks/***: callback_base_url, or the proxy "
        "behind it, does not lead to the receiver that is read at http://receiver\n",
    )


def test_a_callback_base_url_that_does_not_answer_fails(check: Check, connect: Connect) -> None:
    connect(extra={"callback_base_url": UNREACHABLE})
    assert check() == (
        1,
        CONNECTION
        + LOGIN
        + LISTING
        + CLOCK
        + INBOX
        + "callback URL  failed:   no answer from http://127.0.0.1:9/pan123/callbacks/***: <connection refused>; check "
        "callback_base_url, its DNS name and certificate, and the proxy in front of the receiver\n",
    )


def test_a_callback_base_url_of_another_inbox_fails(
    check: Check, connect: Connect, sandbox: Sandbox, tmp_path: Path
) -> None:
    keys = Keys(pan123_default=secret_keys(sandbox.client_secret, None))
    with running_receiver(f"sqlite:///{tmp_path}/other.db", keys) as other:
        connect(extra={"callback_base_url": other.base_url})
        code, output = check()
        assert other.rows() == 1
    assert code == 1
    assert output.splitlines()[-1] == (
        f"callback URL  failed:   HTTP 200 from {other.base_url}/pan123/callbacks/***, but the delivery is not in the "
        "inbox at http://receiver: both must be receivers with the same database"
    )


def test_a_receiver_without_its_database_fails(
    check: Check, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    keys = Keys(pan123_default=secret_keys(sandbox.client_secret, None))
    with running_receiver(f"sqlite:///{tmp_path}/missing/inbox.db", keys) as broken:
        monkeypatch.setenv("AIRFLOW__PAN123__INBOX_URL", broken.base_url)
        code, output = check()
    assert code == 1
    assert output.splitlines()[-2] == (
        f"inbox         failed:   {broken.base_url}: HTTP 503, and not from an inbox; a receiver is there, but its "
        "database is unavailable; see its log"
    )


@pytest.mark.parametrize("method", ["get", "set"])
def test_a_database_that_holds_no_variables_fails(
    check: Check, method: str, variables: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError("database.example.com: no route to host")

    monkeypatch.setattr(variables, method, fail)
    assert check() == (
        1,
        CONNECTION
        + "access token  failed:   the Variable with the shared token cannot be read or written here "
        '(OSError); run this where "airflow variables list" works; a new Airflow needs '
        '"airflow db migrate" first\n' + NO_LISTING + NO_CLOCK + INBOX + DELIVERED,
    )


def test_a_short_callback_secret_fails(check: Check, connect: Connect, receiver: str) -> None:
    connect(extra={"callback_base_url": receiver, "callback_secret": "short"})
    code, output = check()
    assert code == 1
    assert output.splitlines()[-2] == (
        "inbox         failed:   there are no callbacks: callback_secret: must have at least 16 characters; set "
        'callback_secret to one that you generate with "openssl rand -hex 32"'
    )


def test_another_secret_in_the_receiver_fails(check: Check, connect: Connect, receiver: str) -> None:
    connect(extra={"callback_base_url": receiver, "callback_secret": "a secret of this side only"})
    assert check() == (
        1,
        CONNECTION
        + LOGIN
        + LISTING
        + CLOCK
        + "inbox         failed:   http://receiver: HTTP 404, and not from an inbox; a receiver is there, and it must "
        "have the same secret for connection 'pan123_default', and a clock that differs by 5 minutes at most\n"
        + NOT_DELIVERED,
    )


def test_an_unreachable_inbox_fails(check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__PAN123__INBOX_URL", UNREACHABLE)
    assert check() == (
        1,
        CONNECTION
        + LOGIN
        + LISTING
        + CLOCK
        + "inbox         failed:   http://127.0.0.1:9: <connection refused>; set [pan123] inbox_url to the URL at "
        "which this machine reaches the receiver\n" + NOT_DELIVERED,
    )


def test_a_clock_that_is_ten_minutes_off_fails(
    check: Check, connect: Connect, receiver: str, late_gateway: str
) -> None:
    connect(host=late_gateway, extra={"callback_base_url": receiver})
    assert check() == (
        1,
        CONNECTION.replace("http://sandbox", late_gateway)
        + LOGIN
        + LISTING
        + "clock         failed:   10 minutes ahead of the service's; synchronize this machine's clock, such as with "
        "NTP\n" + INBOX + DELIVERED,
    )


def test_a_refused_stored_token_is_replaced_by_one_login(check: Check, sandbox: Sandbox) -> None:
    check()
    sandbox.kill_tokens()
    assert check() == (0, CONNECTION + LOGIN + LISTING + CLOCK + INBOX + DELIVERED)
    assert logins(sandbox) == 2


def test_a_service_that_refuses_every_token_costs_one_login(check: Check, sandbox: Sandbox) -> None:
    refusal = {"path": "/file/list$", "times": None, "body": {"code": 401, "message": "token is invalid"}}
    sandbox.configure(answers=[refusal])
    code, output = check()
    assert code == 1
    assert output.splitlines()[1] == (
        "access token  failed:   the service refuses the token of a login made a moment ago; try again later"
    )
    assert logins(sandbox) == 1


def test_a_failing_list_call_says_nothing_about_the_stored_token(check: Check, sandbox: Sandbox) -> None:
    check()
    sandbox.configure(gateway="/file/list$")
    code, output = check()
    assert code == 1
    assert output.splitlines()[1:4] == [
        "access token  skipped:  the stored token is untested because the list call failed",
        (
            "list call     failed:   list_images: HTTP 502 from the gateway, not the service (502 Bad Gateway 502 Bad "
            "Gateway kong); if it stays, check the connection's host (code 502)"
        ),
        NO_CLOCK.rstrip(),
    ]


def test_a_check_shows_where_downloads_go(check: Check) -> None:
    made = Pan123Hook().make_directory("来自:离线下载")
    assert check()[1].splitlines()[2] == (
        "list call     ok:       the root directory has 1 directory and 0 images; downloads go to 来自:离线下载 by "
        f"default (ID {made.directory_id})"
    )


def test_each_check_delivers_to_a_new_callback_id(check: Check, inbox_uri: str) -> None:
    """Therefore it wakes no wait."""
    engine = create_engine(inbox_uri)

    def callback_ids() -> set[str]:
        with engine.connect() as connection:
            return set(connection.scalars(select(DELIVERIES.c.callback_id)))

    before = callback_ids()
    check()
    after_first = callback_ids()
    check()
    assert (len(after_first - before), len(callback_ids() - after_first)) == (1, 1)
    engine.dispose()


def test_lines_are_wrapped_to_the_terminal(check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    check()
    monkeypatch.setenv("COLUMNS", "70")
    assert check()[1].splitlines()[2:4] == [
        "access token  ok:       the stored token works, so no login was made",
        "                        to test the client secret",
    ]


def test_the_output_holds_no_secret(check: Check, connect: Connect, receiver: str, sandbox: Sandbox) -> None:
    """Not even if the service quotes it."""
    secret, callback_secret = sandbox.client_secret, "a secret of callbacks only"
    connect(extra={"callback_base_url": receiver, "callback_secret": callback_secret})
    sandbox.configure(
        answers=[{"path": "/file/list$", "body": {"code": 1, "message": f"not {secret} {callback_secret}"}}]
    )
    output = check()[1]
    assert "not *** ***" in output
    assert secret not in output
    assert callback_secret not in output
