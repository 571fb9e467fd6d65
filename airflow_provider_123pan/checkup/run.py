"""Runs all checks: gathers the facts of each one from the service and the receiver."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TypeVar
from urllib.parse import urlsplit

from airflow_provider_123pan.account.account import account_of
from airflow_provider_123pan.account.connection import ConnectionSettings
from airflow_provider_123pan.callbacks.address import make_callback_url, new_callback_id, secret_keys
from airflow_provider_123pan.callbacks.client import InboxEndpoint, inbox_url, look_up
from airflow_provider_123pan.checkup import checks
from airflow_provider_123pan.checkup.checks import CallbackFacts, InboxFacts, Result, ServiceFacts, Status
from airflow_provider_123pan.exceptions import (
    InboxUnreachableError,
    Pan123Error,
    Pan123InputError,
    Pan123TokenError,
)
from airflow_provider_123pan.hooks.pan123 import Pan123Hook
from airflow_provider_123pan.service.flow import Flow, TokenSource
from airflow_provider_123pan.service.protocol import Answer, Call, list_directory
from airflow_provider_123pan.service.redaction import redact_text

T = TypeVar("T")

RETRY_FOR_SECONDS = 10
DELIVERY_TIMEOUT_SECONDS = 10
#: The test delivery. Its reason shows a reader of the inbox's table where it comes from.
DELIVERY = {"url": "", "status": 0, "failReason": "test delivery of airflow pan123 check", "fileID": ""}


def run_checks(conn_id: str, now: Callable[[], float] = time.time) -> Iterator[Result]:
    """Yield the result of each check as soon as it is known, without secrets.

    The checks make at most one login, and none if a stored token works.

    :param now: Unix seconds.
    """
    try:
        settings = Pan123Hook(conn_id).settings
    except Pan123Error as error:
        yield checks.connection(error)
        for name in checks.NAMES[1:]:
            yield Result(name, Status.SKIPPED, "there is no valid connection")
        return
    for result in _results(settings, now):
        yield replace(result, text=_without_secrets(result.text, settings))


def _results(settings: ConnectionSettings, now: Callable[[], float]) -> Iterator[Result]:
    yield checks.connection(settings)
    service = _call_service(settings, now)
    yield checks.access_token(settings, service)
    yield checks.listing(service)
    yield checks.clock(service)
    if settings.callback_base_url is None:
        yield checks.inbox(settings, None)
        yield checks.callback_url(None, None)
        return
    inbox = InboxEndpoint(inbox_url(), settings.conn_id, ())
    try:
        inbox = replace(inbox, keys=secret_keys(settings.client_secret, settings.callback_secret))
        look_up(inbox, [new_callback_id()])
        read = InboxFacts(inbox.base_url)
    except Pan123InputError as error:
        read = InboxFacts(inbox.base_url, error)
    except InboxUnreachableError as error:
        read = InboxFacts(inbox.base_url, error, _health(inbox.base_url))
    yield checks.inbox(settings, read)
    delivered = None if read.error else _deliver(settings.callback_base_url, inbox)
    yield checks.callback_url(read, delivered)


class _SingleLogin:
    """A token source that logs in once at most."""

    def __init__(self, source: TokenSource) -> None:
        self._source = source

    @property
    def logged_in(self) -> bool:
        """True if this source logged in."""
        return self._source.logged_in

    def cached(self, refused: str | None) -> str | None:
        """Return an available token other than ``refused``, or None."""
        return self._source.cached(refused)

    def obtain(self, refused: str | None) -> Flow[str]:
        """Return a token other than ``refused``.

        :raises Pan123TokenError: that would take a second login.
        """
        if self.logged_in:
            raise Pan123TokenError(
                "the service refuses the token of a login made a moment ago; try again later"
            )
        return (yield from self._source.obtain(refused))


def _call_service(settings: ConnectionSettings, now: Callable[[], float]) -> ServiceFacts:
    from airflow_provider_123pan.service.client import Pan123Client

    tokens = None
    try:
        source, throttle, _ = account_of(settings)
        tokens = _SingleLogin(source)
        with Pan123Client(settings.endpoint, tokens, throttle) as client:
            listing, clock_ahead = client.call(_timed(list_directory(), now), RETRY_FOR_SECONDS)
    except Exception as error:  # the database of the Variables raises errors of its own
        return ServiceFacts(tokens is not None and tokens.logged_in, error)
    return ServiceFacts(tokens.logged_in, listing, clock_ahead)


def _timed(call: Call[T], now: Callable[[], float]) -> Call[tuple[T, float | None]]:
    """Return a call with a second value: by how many seconds this machine's clock is ahead, or None if unknown."""

    def parse(data: object, answer: Answer) -> tuple[T, float | None]:
        ahead = now() - answer.date.timestamp() if "Date" in answer.headers else None
        return call.parse(data, answer), ahead

    return Call(call.name, call.method, call.path, parse, call.body, call.params, call.timeout)


def _health(base_url: str) -> str | None:
    """Return the ``inbox`` field of a receiver's health, or None if no receiver answers."""
    import requests

    try:
        answer = requests.get(
            f"{base_url}/pan123/health", timeout=DELIVERY_TIMEOUT_SECONDS, allow_redirects=False
        ).json()
    except requests.RequestException:  # also for an answer that is not JSON
        return None
    return str(answer["inbox"]) if isinstance(answer, dict) and "inbox" in answer else None


def _deliver(base_url: str, inbox: InboxEndpoint) -> CallbackFacts:
    """Make a delivery to a new callback URL, as the service would, and look for it in the inbox."""
    addresses = _addresses(urlsplit(base_url).hostname or "")
    callback_id = new_callback_id()
    try:
        answer = _post(make_callback_url(base_url, inbox.conn_id, callback_id, inbox.keys))
    except (Pan123InputError, _NoAnswerError) as error:
        return CallbackFacts(base_url, addresses, error)
    try:
        stored = bool(look_up(inbox, [callback_id]))
    except InboxUnreachableError as error:
        return CallbackFacts(base_url, addresses, answer, error)
    return CallbackFacts(base_url, addresses, answer, stored)


class _NoAnswerError(Exception):
    """A test delivery got no answer; the message does not contain the callback URL."""


def _post(callback_url: str) -> int:
    """Send the test delivery and return the HTTP status."""
    import requests

    from airflow_provider_123pan.service.session import TokenAuth

    try:
        with requests.post(
            callback_url,
            json=DELIVERY,
            auth=TokenAuth(None),
            allow_redirects=False,
            timeout=DELIVERY_TIMEOUT_SECONDS,
            stream=True,
        ) as answer:
            return answer.status_code
    except requests.RequestException as error:
        cause = getattr(error.args[0], "reason", None) if error.args else None
        text = str(cause or error) or type(error).__name__
        raise _NoAnswerError(text.replace(callback_url.rpartition("/")[2], "***")) from None


def _addresses(host: str) -> tuple[IPv4Address | IPv6Address, ...]:
    """Return the addresses of a host, none if it cannot be resolved."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return ()
    return tuple(ip_address(address[0]) for *_, address in found)


def _without_secrets(text: str, settings: ConnectionSettings) -> str:
    """Replace every secret of a connection that an answer or an error may quote."""
    for url in (settings.endpoint.proxy, settings.callback_base_url, inbox_url()):
        text = redact_text(text, url) if url else text
    callback = settings.callback_secret or ()
    secrets = [
        settings.client_secret,
        settings.access_token or "",
        *([callback] if isinstance(callback, str) else callback),
    ]
    for secret in filter(None, secrets):
        text = text.replace(secret, "***")
    return text
