"""The inbox as workers and triggerers see it: the URLs of its routes, and what their answers must be.

Workers look up single callbacks; the follower in a triggerer follows a whole connection. Both query the receiver over
HTTP, because neither workers nor triggerers can reach Airflow's database.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from airflow_provider_123pan.account.connection import ConnectionSettings
from airflow_provider_123pan.callbacks.address import make_callback_url, make_read_token, secret_keys
from airflow_provider_123pan.callbacks.contract import MARKER
from airflow_provider_123pan.callbacks.delivery import Delivery
from airflow_provider_123pan.exceptions import InboxUnreachableError, Pan123InputError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class InboxPage:
    """An answer of the inbox.

    :ivar epoch: identifies the inbox's table.
    :ivar last: the cursor for the next poll.
    """

    epoch: str
    last: int
    deliveries: tuple[Delivery, ...]


@dataclass(frozen=True, slots=True)
class InboxEndpoint:
    """A connection's inbox.

    :ivar base_url: the URL at which this process reaches the receiver.
    :ivar keys: the connection's signing keys, newest first.
    """

    base_url: str
    conn_id: str
    keys: tuple[bytes, ...] = field(repr=False)

    @property
    def poll_url(self) -> str:
        """The URL of long polls."""
        return f"{self.base_url}/pan123/inbox/poll"

    @property
    def lookup_url(self) -> str:
        """The URL of look-ups."""
        return f"{self.base_url}/pan123/inbox/lookup"

    def read_token(self) -> str:
        """Return a new read token."""
        return make_read_token(self.conn_id, self.keys)

    def headers(self) -> dict[str, str]:
        """Return the headers of a request, with a new read token."""
        return {"Authorization": f"Bearer {self.read_token()}"}

    def page(self, status: int, headers: Mapping[str, str], body: bytes) -> InboxPage:
        """Parse an answer.

        :raises InboxUnreachableError: it lacks the inbox's marker, so another server sent it, or it is malformed.
        """
        if status != 200 or MARKER not in headers:
            raise InboxUnreachableError(f"{self.base_url}: HTTP {status}, and not from an inbox")
        try:
            answer = json.loads(body)
            return InboxPage(
                str(answer["epoch"]),
                int(answer["last"]),
                tuple(map(Delivery.from_dict, answer["deliveries"])),
            )
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise InboxUnreachableError(
                f"{self.base_url}: the answer is not an inbox's ({type(error).__name__})"
            ) from None


@dataclass(frozen=True, slots=True)
class CallbackSigner:
    """Makes a connection's callback URLs.

    :ivar base_url: the connection's ``callback_base_url``.
    :ivar keys: the connection's signing keys, newest first.
    """

    base_url: str
    conn_id: str
    keys: tuple[bytes, ...] = field(repr=False)

    def address(self, callback_id: str) -> str:
        """Return the URL that 123pan calls about one submission."""
        return make_callback_url(self.base_url, self.conn_id, callback_id, self.keys)

    @classmethod
    def of(cls, settings: ConnectionSettings, use_callback: bool | None) -> CallbackSigner | None:
        """Return the signer of a connection, or None for submissions without a callback.

        :param use_callback: the operator's argument; None for a callback if the connection allows one.
        :raises Pan123InputError: ``use_callback`` is True and the connection lacks a setting.
        """
        if use_callback is False or (use_callback is None and settings.callback_base_url is None):
            return None
        if settings.callback_base_url is None:
            raise Pan123InputError(
                f"use_callback: connection {settings.conn_id!r} has no callback_base_url; set it to the URL at which "
                "123pan reaches the receiver"
            )
        try:
            keys = secret_keys(settings.client_secret, settings.callback_secret)
        except Pan123InputError as error:
            if use_callback:
                raise Pan123InputError(
                    f"use_callback: connection {settings.conn_id!r}: {error.message}"
                ) from None
            log.warning("Connection %r: no callbacks are used: %s", settings.conn_id, error.message)
            return None
        return cls(settings.callback_base_url, settings.conn_id, keys)


def inbox_endpoint(settings: ConnectionSettings) -> InboxEndpoint | None:
    """Return the inbox of a connection, or None if the connection has no usable secret."""
    try:
        keys = secret_keys(settings.client_secret, settings.callback_secret)
    except Pan123InputError:
        return None
    return InboxEndpoint(inbox_url(), settings.conn_id, keys)


def inbox_url() -> str:
    """Return the base URL at which this process reaches the receiver."""
    from airflow.sdk import conf

    if url := conf.get("pan123", "inbox_url", fallback=None):
        return str(url).rstrip("/")
    # Airflow has no default for this option: reading it without a fallback raises.
    if url := conf.get("core", "execution_api_server_url", fallback=None):
        return str(url).rstrip("/").removesuffix("/execution")
    return str(conf.get("api", "base_url", fallback=None) or "http://localhost:8080").rstrip("/")


def look_up(inbox: InboxEndpoint, callback_ids: Iterable[str]) -> tuple[Delivery, ...]:
    """Return the deliveries to some callbacks. This call blocks.

    :raises InboxUnreachableError: the receiver does not answer, or answers as something else than an inbox.
    """
    import requests

    from airflow_provider_123pan.service.endpoint import words_of
    from airflow_provider_123pan.service.session import TokenAuth

    try:
        answer = requests.post(
            inbox.lookup_url,
            json={"callback_ids": list(callback_ids)},
            auth=TokenAuth(inbox.read_token()),  # a header alone would be replaced from `.netrc`
            allow_redirects=False,
            timeout=5,
        )
    except requests.RequestException as error:
        raise InboxUnreachableError(f"{inbox.base_url}: {words_of(error)}") from error
    return inbox.page(answer.status_code, answer.headers, answer.content).deliveries
