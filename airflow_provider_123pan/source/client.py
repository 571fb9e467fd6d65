"""Requests to the hosts of source URLs: guarded, with their redirects, and within a time limit."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from functools import cached_property
from http import HTTPStatus
from http.client import HTTPConnection, HTTPResponse
from typing import NamedTuple, TypeVar
from urllib.parse import SplitResult, quote, urljoin, urlsplit

from airflow_provider_123pan.exceptions import Pan123InputError
from airflow_provider_123pan.service.time_limit import TimeLimitedResponse, time_limit
from airflow_provider_123pan.source.addresses import Connector
from airflow_provider_123pan.source.urls import ascii_host

T = TypeVar("T")

MAX_REDIRECTS = 5

_PORTS = {"http": 80, "https": 443}
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_ALLOWED_IN_TARGET = "!#$%&'()*+,/:;=?@[]~"
_NO_HEADERS: Mapping[str, str] = {}


class _Origin(NamedTuple):
    """Whom a request reaches."""

    scheme: str
    host: str
    port: int

    @classmethod
    def of(cls, parts: SplitResult) -> _Origin:
        if parts.scheme not in _PORTS or not parts.hostname:
            raise Pan123InputError("source redirects to something that is not http or https")
        return cls(parts.scheme, ascii_host(parts.hostname), parts.port or _PORTS[parts.scheme])

    def is_or_becomes(self, other: _Origin) -> bool:
        """Return whether another origin is this one, or the same by TLS."""
        return other in (self, self._replace(scheme="https", port=_PORTS["https"]))


class _Redirect(NamedTuple):
    location: str


class SourceClient:
    """Sends requests to sources; threads may share it.

    It uses no proxy, since only the worker can check where a connection leads.

    :param connector: opens the connections.
    :param clock: monotonic seconds.
    """

    def __init__(self, connector: Connector, clock: Callable[[], float] = time.monotonic) -> None:
        self._connector = connector
        self.clock = clock

    def exchange(
        self,
        method: str,
        url: str,
        end: float,
        read: Callable[[HTTPResponse], T],
        headers: Mapping[str, str] = _NO_HEADERS,
        private_headers: Mapping[str, str] = _NO_HEADERS,
    ) -> T:
        """Send a request, follow its redirects, and return what ``read`` makes of the last answer.

        :param end: the limit of everything, by the clock.
        :param headers: sent with every request.
        :param private_headers: sent to the origin of the URL, and no longer after a redirect to another one.
        :raises Pan123InputError: a host has no public address, or a redirect leads nowhere.
        :raises TimeoutError: the time is over.
        :raises OSError, HTTPException, ValueError: the source gave no answer that can be read.
        """
        first = _Origin.of(urlsplit(url))
        for _ in range(MAX_REDIRECTS + 1):
            parts = urlsplit(url)
            if not first.is_or_becomes(_Origin.of(parts)):
                private_headers = _NO_HEADERS
            answer = self._send(method, parts, end, read, {**headers, **private_headers})
            if not isinstance(answer, _Redirect):
                return answer
            url = urljoin(url, answer.location)
        raise Pan123InputError(f"source redirects more than {MAX_REDIRECTS} times")

    def _send(
        self,
        method: str,
        parts: SplitResult,
        end: float,
        read: Callable[[HTTPResponse], T],
        headers: Mapping[str, str],
    ) -> T | _Redirect:
        def time_left() -> float:
            if (left := end - self.clock()) <= 0:
                raise TimeoutError
            return left

        scheme, host, port = _Origin.of(parts)
        with closing(self._connector.connect(host, port, time_left)) as sock:
            sock.settimeout(time_left())
            if scheme == "https":
                sock = self._tls.wrap_socket(sock, server_hostname=host)
            connection = HTTPConnection(host, port)
            connection.response_class = TimeLimitedResponse
            connection.sock = sock
            with closing(sock), time_limit(time_left()):
                sock.settimeout(time_left())
                target = _target(parts.path, parts.query)
                connection.request(method, target, headers=_with_defaults(headers, host, parts.port))
                with connection.getresponse() as response:
                    location = _location(response)
                    return read(response) if location is None else _Redirect(location)

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        from requests.utils import DEFAULT_CA_BUNDLE_PATH

        return ssl.create_default_context(cafile=DEFAULT_CA_BUNDLE_PATH)


def refusal(status: int, *, with_referer: bool = False) -> str:
    """Describe a status that gives no image.

    :param with_referer: the request had a ``Referer``.
    """
    hotlink = status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN) and not with_referer
    return f"source answered {status}" + (" without Referer" if hotlink else "")


def _target(path: str, query: str) -> str:
    """Return what the request line has of a URL, percent-encoded where it must be."""
    return quote(f"{path or '/'}?{query}" if query else path or "/", safe=_ALLOWED_IN_TARGET)


def _with_defaults(headers: Mapping[str, str], host: str, port: int | None) -> dict[str, str]:
    name = f"[{host}]" if ":" in host else host
    defaults = {
        "Host": name if port is None else f"{name}:{port}",
        "User-Agent": "airflow-provider-123pan",
        "Accept": "*/*",
        "Accept-Encoding": "identity",
        "Connection": "close",
    }
    given = {header.lower() for header in headers}
    return {header: value for header, value in defaults.items() if header.lower() not in given} | {**headers}


def _location(response: HTTPResponse) -> str | None:
    """Return where a response redirects to, with its bytes percent-encoded where they must be."""
    if response.status not in _REDIRECTS or not (location := response.getheader("Location")):
        return None
    return quote(location.encode("latin-1", "replace"), safe=_ALLOWED_IN_TARGET)
