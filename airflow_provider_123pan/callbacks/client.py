"""The inbox as workers and triggerers see it: the address of its routes, and what their answers must be.

Workers look up single callbacks; the follower in a triggerer follows a whole connection. Both query the receiver over
HTTP, because neither workers nor triggerers can reach Airflow's database.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_123pan.account.connection import ConnectionSettings
from airflow_provider_123pan.callbacks.address import make_callback_url, make_read_token, secret_keys
from airflow_provider_123pan.callbacks.contract import MARKER
from airflow_provider_123pan.callbacks.delivery import Delivery
from airflow_provider_123pan.exceptions import InboxUnreachableError, Pan123InputError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class InboxPage:
    """An answer: the inbox's epoch, the cursor for the next poll, and deliveries."""

    epoch: str
    last: int
    deliveries: tuple[Delivery, ...]


@dataclass(frozen=True, slots=True)
class InboxEndpoint:
    """A connection's inbox.

    :ivar base_url: where the receiver is reached from here.
    """

    base_url: str
    conn_id: str
    keys: tuple[bytes, ...] = field(repr=False)

    @property
    def poll_url(self) -> str:
        return f"{self.base_url}/pan123/inbox/poll"

    @property
    def lookup_url(self) -> str:
        return f"{self.base_url}/pan123/inbox/lookup"

    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {make_read_token(self.conn_id, self.keys)}"}

    def page(self, status: int, headers: Mapping[str, str], body: bytes) -> InboxPage:
        """What an answer says; one without the inbox's marker comes from somebody else."""
        if status != 200 or MARKER not in headers:
            raise InboxUnreachableError(f"{self.base_url} answers HTTP {status}, not as an inbox")
        try:
            answer = json.loads(body)
            return InboxPage(
                str(answer["epoch"]),
                int(answer["last"]),
                tuple(map(Delivery.from_dict, answer["deliveries"])),
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InboxUnreachableError(
                f"{self.base_url} gives an answer that is no inbox's: {error!r}"
            ) from None


@dataclass(frozen=True, slots=True)
class CallbackSigner:
    """Makes a connection's callback addresses."""

    base_url: str
    conn_id: str
    keys: tuple[bytes, ...] = field(repr=False)

    def address(self, callback_id: str) -> str:
        return make_callback_url(self.base_url, self.conn_id, callback_id, self.keys)

    @classmethod
    def of(cls, settings: ConnectionSettings, use_callback: bool | None) -> CallbackSigner | None:
        """None: without a callback. With ``use_callback=True``, what is missing for one is an error."""
        if use_callback is False or (use_callback is None and settings.callback_base_url is None):
            return None
        if settings.callback_base_url is None:
            raise Pan123InputError(
                f"use_callback: connection {settings.conn_id!r} has no callback_base_url, where 123pan reaches "
                "the receiver"
            )
        try:
            keys = secret_keys(settings.client_secret, settings.callback_secret)
        except Pan123InputError as error:
            if use_callback:
                raise Pan123InputError(
                    f"use_callback: connection {settings.conn_id!r}: {error.message}"
                ) from None
            log.warning("Without callbacks: %s", error.message)
            return None
        return cls(settings.callback_base_url, settings.conn_id, keys)


def inbox_endpoint(settings: ConnectionSettings) -> InboxEndpoint | None:
    """The inbox of a connection; None where it has no secret to read it with."""
    try:
        keys = secret_keys(settings.client_secret, settings.callback_secret)
    except Pan123InputError:
        return None
    return InboxEndpoint(inbox_url(), settings.conn_id, keys)


def inbox_url() -> str:
    """Where this process reaches the receiver."""
    from airflow.sdk import conf

    if url := conf.get("pan123", "inbox_url", fallback=None):
        return str(url).rstrip("/")
    # Without a default of its own: reading it unset raises.
    if url := conf.get("core", "execution_api_server_url", fallback=None):
        return str(url).rstrip("/").removesuffix("/execution")
    return str(conf.get("api", "base_url", fallback=None) or "http://localhost:8080").rstrip("/")


def _authorized(inbox: InboxEndpoint) -> Callable[[Any], Any]:
    """As an auth object: a header alone would give way to ``.netrc``."""

    def authorize(request: Any) -> Any:
        request.headers.update(inbox.headers())
        return request

    return authorize


def look_up(inbox: InboxEndpoint, callback_ids: Iterable[str]) -> tuple[Delivery, ...]:
    """The deliveries of some callbacks; blocks."""
    import requests

    try:
        answer = requests.post(
            inbox.lookup_url,
            json={"callback_ids": list(callback_ids)},
            auth=_authorized(inbox),
            allow_redirects=False,
            timeout=5,
        )
    except requests.RequestException as error:
        raise InboxUnreachableError(f"{inbox.base_url}: {error}") from error
    return inbox.page(answer.status_code, answer.headers, answer.content).deliveries
