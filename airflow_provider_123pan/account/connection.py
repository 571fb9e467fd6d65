"""The checked content of a connection of type ``pan123``, for the blocking and the async client."""

from __future__ import annotations

import hashlib
import json
import logging
import re
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, unquote, urlsplit

from airflow_provider_123pan.exceptions import Pan123InputError, Pan123NoConnectionError
from airflow_provider_123pan.service.endpoint import TIMEOUT_SECONDS, Endpoint
from airflow_provider_123pan.service.models import is_token
from airflow_provider_123pan.service.protocol import BASE_URL

if TYPE_CHECKING:
    from airflow.sdk import Connection

log = logging.getLogger(__name__)

CONN_TYPE = "pan123"
# Bounds of `timeout` in seconds and of `requests_per_second`: beyond them, sockets and sleeps overflow.
_MIN_NUMBER, _MAX_NUMBER = 0.001, 1_000_000.0
_MIN_DISTINCT_CHARACTERS = 8  # of a secret; 32 random hex digits have 14 on average


@dataclass(frozen=True, slots=True)
class ConnectionSettings:
    """The content of a connection.

    :ivar endpoint: how the service is reached.
    :ivar client_id: the login.
    :ivar client_secret: the password.
    :ivar access_token: a token to use as it is, without any login; None: log in.
    :ivar requests_per_second: upper bound of the request rate, or None.
    :ivar callback_base_url: URL at which the service reaches the receiver; None: no callbacks.
    :ivar callback_secret: the secret that signs callback URLs, or several with the newest first; None: the client
        secret signs them.
    """

    conn_id: str
    endpoint: Endpoint
    client_id: str
    client_secret: str = field(repr=False)
    access_token: str | None = field(repr=False)
    requests_per_second: float | None
    callback_base_url: str | None
    callback_secret: str | tuple[str, ...] | None = field(repr=False)

    @property
    def account(self) -> str:
        """Hex of a SHA-256 over base URL and client ID, which together are the account."""
        return hashlib.sha256(f"{self.endpoint.base_url}\n{self.client_id}".encode()).hexdigest()

    @classmethod
    def of(cls, connection: Connection) -> ConnectionSettings:
        """Check a connection and return its settings.

        :raises Pan123InputError: if a field is wrong; the message names the field.
        """
        extra = _Extra.parse(connection)
        # The secrets of another type of connection must not be sent to 123pan.
        if connection.conn_type not in (None, "", CONN_TYPE):
            raise extra.wrong("conn_type", f"is {connection.conn_type!r}; it must be {CONN_TYPE} (123pan)")
        access_token = extra.text("access_token")
        if access_token and not is_token(access_token):
            raise extra.wrong("access_token", "holds characters that no token has; copy the token again")
        client_id = (connection.login or "").strip()
        client_secret = (connection.password or "").strip()
        for name, value in (("login (client ID)", client_id), ("password (client secret)", client_secret)):
            if not (value or access_token):
                raise extra.wrong(name, "is empty; take it from the open platform's developer page")
            if not value.isprintable():
                raise extra.wrong(name, "holds control characters; copy it again")
        return cls(
            conn_id=connection.conn_id,
            endpoint=Endpoint(
                base_url=_base_url(connection, extra),
                timeout=extra.positive("timeout") or TIMEOUT_SECONDS,
                verify=extra.verify(),
                proxy=extra.proxy(),
            ),
            client_id=client_id,
            client_secret=client_secret,
            access_token=access_token,
            requests_per_second=extra.positive("requests_per_second"),
            callback_base_url=extra.url("callback_base_url"),
            callback_secret=extra.secrets("callback_secret"),
        )


class _Extra:
    """The fields of a connection's extra; Airflow's form sends an empty field as null or ``""``."""

    def __init__(self, conn_id: str, values: dict[str, Any]) -> None:
        self._conn_id = conn_id
        self._values = values

    @classmethod
    def parse(cls, connection: Connection) -> _Extra:
        try:
            values = json.loads(connection.extra or "{}")
        except (ValueError, RecursionError):
            values = None
        if not isinstance(values, dict):
            raise cls(connection.conn_id, {}).wrong("extra", "is not a JSON object")
        return cls(connection.conn_id, values)

    def wrong(self, name: str, what: str) -> Pan123InputError:
        return Pan123InputError(f"connection {self._conn_id!r}: {name} {what}")

    def text(self, name: str) -> str | None:
        value = self._values.get(name)
        if value is not None and not isinstance(value, str):
            raise self.wrong(name, "must be a text value")
        return (value or "").strip() or None

    def secrets(self, name: str) -> str | tuple[str, ...] | None:
        value = self._values.get(name)
        found = tuple(map(str, value)) if isinstance(value, list) else self.text(name)
        # The form stores a list as a string of JSON.
        given = re.findall('"([^"]*)"', found) if isinstance(found, str) and found.startswith("[") else found
        if any(map(_is_weak, (given,) if isinstance(given, str) else given or ())):
            _warn_of_weak_secret(self._conn_id, name)
        return found

    def url(self, name: str) -> str | None:
        if (text := self.text(name)) is None:
            return None
        parts = _http_url(text)
        if parts is None or parts.query or parts.fragment:
            raise self.wrong(
                name, "must be an http or https URL with a valid host and port, without query and fragment"
            )
        return text.rstrip("/")

    def positive(self, name: str) -> float | None:
        value = self._values.get(name)
        if value is None or value == "":
            return None
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            number = -1.0
        if isinstance(value, bool) or not _MIN_NUMBER <= number <= _MAX_NUMBER:
            raise self.wrong(
                name,
                f"is {value!r:.50}; it must be a number above 0 (from {_MIN_NUMBER} to {_MAX_NUMBER:.0f}), or empty",
            )
        return number

    def proxy(self) -> str | None:
        if (text := self.text("proxy")) is None:
            return None
        parts = _http_url(text)
        if parts is None or not unquote(parts.netloc.rpartition("@")[0]).isascii():
            # The text is not quoted: it may hold a password.
            raise self.wrong(
                "proxy",
                "must be an http or https address with a valid host and port, such as "
                "http://proxy.example.com:3128; percent-encode special characters of a user or password",
            )
        return text

    def verify(self) -> bool | str:
        value = self._values.get("verify")
        if value is None or value == "":
            return True
        if isinstance(value, str):
            if (known := {"true": True, "false": False}.get(value.strip().lower())) is not None:
                return known
            if not Path(value).is_file():
                raise self.wrong(
                    "verify", f"names {value!r:.100}, which is no file; set it to a CA bundle, true or false"
                )
            return value
        if not isinstance(value, bool):
            raise self.wrong("verify", "must be true, false or the path of a CA bundle")
        return value


def _base_url(connection: Connection, extra: _Extra) -> str:
    host = (connection.host or "").strip().rstrip("/")
    if not host:
        return BASE_URL
    if "://" not in host:
        host = f"{connection.schema or 'https'}://{host}"
    parts = _http_url(host)
    if parts is None or not 0 <= (connection.port or 0) <= 65535:
        raise extra.wrong(
            "host", f"must be an http or https address with a valid host and port, such as {BASE_URL}"
        )
    if parts.username or parts.query or parts.fragment:
        raise extra.wrong(
            "host", "must hold neither user nor query; credentials belong in login and password"
        )
    port = parts.port or connection.port
    name = parts.hostname or ""
    name = f"[{name}]" if ":" in name else name
    return f"{parts.scheme.lower()}://{name}{f':{port}' if port else ''}{parts.path}"


def _http_url(text: str) -> SplitResult | None:
    """Return the parts of an http or https URL that every HTTP library accepts, or None."""
    try:
        parts = urlsplit(text)
        port, host = parts.port, parts.hostname or ""
        host.encode("idna")
    except ValueError:
        return None
    known = parts.scheme.lower() in ("http", "https") and host and port != 0
    return parts if known and text.isprintable() and " " not in text else None


def _is_weak(secret: str) -> bool:
    """Return True if a secret repeats few characters or counts in even steps, so that it can be guessed."""
    steps = {ord(after) - ord(before) for before, after in pairwise(secret)}
    return len(set(secret)) < _MIN_DISTINCT_CHARACTERS or len(steps) <= 2


@lru_cache(maxsize=64)  # one warning per process
def _warn_of_weak_secret(conn_id: str, name: str) -> None:
    log.warning(
        "Connection %r: %s can be guessed; a callback URL lets anyone who reads it try secrets offline. Generate one "
        'with "openssl rand -hex 32"',
        conn_id,
        name,
    )


def unknown_connection(conn_id: str) -> Pan123NoConnectionError:
    """Return the error for a connection that Airflow does not give."""
    return Pan123NoConnectionError(
        f"pan123_conn_id: there is no connection {conn_id!r}; create it, with type 123pan, under Admin > Connections, "
        f"or check that the value of AIRFLOW_CONN_{conn_id.upper()} is valid JSON or a valid URI"
    )
