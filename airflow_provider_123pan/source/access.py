"""Reaches the sources of images with what they ask for: headers and credentials, each for its hosts only."""

from __future__ import annotations

import base64
from collections.abc import Container, Iterable, Mapping
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException

from airflow_provider_123pan.exceptions import (
    Pan123Error,
    Pan123InputError,
    Pan123NoConnectionError,
    Pan123SourceError,
)
from airflow_provider_123pan.service.image_file import ImageFile
from airflow_provider_123pan.service.redaction import redact_url
from airflow_provider_123pan.source.addresses import Connector, check_private_hosts
from airflow_provider_123pan.source.client import SourceClient
from airflow_provider_123pan.source.fetch import check_headers, fetch_image, fetch_url
from airflow_provider_123pan.source.masking import mask_headers
from airflow_provider_123pan.source.quoting import quoted
from airflow_provider_123pan.source.urls import ascii_host, is_web_url

if TYPE_CHECKING:
    from airflow.sdk import Connection

# What an HTTP connection's extra has besides headers: arguments of ``requests``, as Airflow's HttpHook reads them.
_NO_HEADERS = frozenset(
    {
        "allow_redirects",
        "cert",
        "check_response",
        "headers",
        "max_redirects",
        "proxies",
        "proxy",
        "stream",
        "timeout",
        "trust_env",
        "verify",
        "verify_ssl",
    }
)


class HostHeaders(NamedTuple):
    """The headers that some hosts get.

    :ivar pattern: of the hosts, such as ``*.example.com``.
    :ivar https_only: they are sent by https alone.
    """

    pattern: str
    values: Mapping[str, str]
    https_only: bool = False


class SourceAccess:
    """Fetches images from their sources; threads may share it.

    :param headers: of several patterns that match a host, the later ones count.
    :param connector: opens the connections.
    :param formats: that are fetched besides those that 123pan takes.
    """

    def __init__(
        self,
        headers: Iterable[HostHeaders],
        connector: Connector | None = None,
        formats: Container[str] = (),
    ) -> None:
        self._headers = [*headers]
        self._client = SourceClient(connector or Connector())
        self._formats = formats

    @classmethod
    def of(
        cls, headers: Any, conn_ids: Any, private_hosts: object, formats: Container[str] = ()
    ) -> SourceAccess:
        """Return the access that an operator's arguments describe; the headers go before those of connections.

        :raises Pan123InputError: names the argument and the fix, and quotes no value of a header.
        """
        hosts = check_private_hosts(private_hosts)
        found = []
        for pattern, conn_id in _by_host("fetch_conn_ids", conn_ids).items():
            connection = _connection(conn_id)
            https_only = "https" in (connection.schema, (connection.host or "").partition("://")[0])
            found.append(HostHeaders(pattern, _headers_of(connection, conn_id), https_only))
        for pattern, values in _by_host("fetch_headers", headers).items():
            found.append(HostHeaders(pattern, _checked("fetch_headers", values)))
        for host_headers in found:
            mask_headers(host_headers.values)
        return cls(found, Connector(hosts), formats)

    def fetch(self, url: str) -> ImageFile:
        """Fetch an image into a temporary file.

        :param url: an http or https URL, or a path that Airflow's object storage opens.
        :raises Pan123InputError: the image can never be fetched or uploaded; the message says why.
        :raises Pan123SourceError: the source does not give an image.
        """
        if is_web_url(url):
            return fetch_url(url, self.headers(url), client=self._client, formats=self._formats)
        try:
            return fetch_image(url, self._formats)
        except Pan123Error:
            raise
        except Exception as error:  # the libraries of storages raise errors of many kinds
            raise Pan123SourceError(
                f"source: {redact_url(url)} cannot be read: {type(error).__name__}"
            ) from None

    def headers(self, url: str) -> dict[str, str]:
        """Return the headers for the host of a URL."""
        try:
            parts = urlsplit(url)
            host = ascii_host(parts.hostname or "")
        except ValueError:
            return {}
        found: dict[str, tuple[str, str]] = {}  # names of headers have no case
        for pattern, values, https_only in self._headers:
            if fnmatchcase(host, pattern) and (parts.scheme == "https" or not https_only):
                found |= {name.lower(): (name, value) for name, value in values.items()}
        return dict(found.values())


def _by_host(field: str, given: Any) -> dict[str, Any]:
    """Return what an argument gives by patterns of hosts, in lower case and in ASCII."""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise Pan123InputError(f'{field}: give a dict by host, such as {{"*.example.com": …}}')
    for host in given:
        if not isinstance(host, str) or not host or any(mark in host for mark in "/@ ") or "://" in host:
            raise Pan123InputError(
                f"{field}: {quoted(host)} is not a host; give its name, or a pattern such as *.example.com"
            )
    return {_ascii_pattern(host): value for host, value in given.items()}


def _ascii_pattern(pattern: str) -> str:
    labels = pattern.strip("[]").split(".")
    return ".".join(label.lower() if label.isascii() else ascii_host(label) for label in labels)


def _checked(field: str, headers: Any) -> dict[str, str]:
    if not isinstance(headers, Mapping):
        raise Pan123InputError(f'{field}: give each host a dict of headers, such as {{"Referer": "…"}}')
    try:
        return check_headers(headers)
    except Pan123InputError as error:
        raise Pan123InputError(f"{field}: {error.message.removeprefix('headers: ')}") from None


def _connection(conn_id: Any) -> Connection:
    if not isinstance(conn_id, str) or not conn_id:
        raise Pan123InputError(
            f"fetch_conn_ids: {quoted(conn_id)} is no connection id; name an HTTP connection"
        )
    try:
        return BaseHook.get_connection(conn_id)  # type: ignore[no-any-return, unused-ignore]
    except AirflowNotFoundException:
        raise Pan123NoConnectionError(
            f"fetch_conn_ids: there is no connection {quoted(conn_id)}; add it, of type HTTP"
        ) from None


def _headers_of(connection: Connection, conn_id: str) -> dict[str, str]:
    """Return what an HTTP connection adds to a request: its extra's headers, and its credentials."""
    field = f"fetch_conn_ids: connection {quoted(conn_id)}"
    extra = connection.extra_dejson
    headers = {name: value for name, value in extra.items() if name.lower() not in _NO_HEADERS}
    if isinstance(more := extra.get("headers"), Mapping):
        headers |= more
    if connection.login:
        login = f"{connection.login}:{connection.password or ''}".encode()
        headers["Authorization"] = f"Basic {base64.b64encode(login).decode()}"
    elif connection.password:
        headers["Authorization"] = f"Bearer {connection.password}"
    if not headers:
        raise Pan123InputError(f"{field} has neither a login, a password nor headers in its extra")
    return _checked(field, headers)
