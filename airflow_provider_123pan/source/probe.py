"""Probes the source of an image: which format it has, or why it cannot be fetched."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import NamedTuple
from urllib.parse import quote, urljoin, urlsplit

from airflow_provider_123pan.exceptions import Pan123Error, Pan123InputError, Pan123SourceError
from airflow_provider_123pan.service.time_limit import TimeLimitedResponse, time_limit
from airflow_provider_123pan.source.addresses import Connector, check_private_hosts
from airflow_provider_123pan.source.formats import HEAD_BYTES, extension_of, media_type_in, sniff
from airflow_provider_123pan.source.naming import lacks_format
from airflow_provider_123pan.source.rules import EXTENSIONS
from airflow_provider_123pan.source.urls import ascii_host

PROBE_SECONDS = 10.0
MAX_REDIRECTS = 5

_PORTS = {"http": 80, "https": 443}
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_ALLOWED_IN_TARGET = "!#$%&'()*+,/:;=?@[]~"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a probe found.

    :ivar extension: the extension of the image's format, if the source shows one that 123pan takes.
    :ivar answer: what the source answered, for messages: ``Content-Type image/avif``. It quotes no URL.
    :ivar is_final: another probe would find the same.
    """

    extension: str | None
    answer: str
    is_final: bool = False

    def error(self) -> Pan123Error:
        """Return the error for an image whose format neither its URL nor its source shows."""
        message = (
            f"file_name: neither the URL nor the source shows an image extension ({self.answer}); give a name that "
            "has one"
        )
        return (Pan123InputError if self.is_final else Pan123SourceError)(message)


class _Answer(NamedTuple):
    status: int
    location: str | None
    media_type: str
    head: bytes


class Prober:
    """Probes sources with HEAD, or with GET for the first bytes; threads may share it.

    It uses no proxy, since only the worker can check where a connection leads.

    :param connector: opens the connections.
    :param seconds: the limit of a whole probe, redirects included.
    """

    def __init__(
        self,
        connector: Connector,
        seconds: float = PROBE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connector = connector
        self._seconds = seconds
        self._clock = clock

    @classmethod
    def of(cls, probe: bool, private_hosts: object) -> Prober | None:
        """Return the prober that an operator's arguments describe; None if it is turned off.

        :raises Pan123InputError: ``private_hosts`` is no list of hosts.
        """
        hosts = check_private_hosts(private_hosts)
        return cls(Connector(hosts)) if probe else None

    def probe(self, url: str) -> Finding:
        """Probe a source; what goes wrong is a finding as well."""
        end = self._clock() + self._seconds
        finding = Finding(None, "source was not asked")
        for method in ("HEAD", "GET"):
            try:
                finding = _judge(self._follow(method, url, end), method)
            except Pan123InputError as error:
                return Finding(None, error.message, is_final=True)
            except TimeoutError:
                return Finding(None, f"source did not answer the worker within {self._seconds:g} s")
            except (OSError, HTTPException, ValueError) as error:
                finding = Finding(None, f"source gave the worker no answer: {type(error).__name__}")
            if finding.extension:
                return finding
        return finding

    def _follow(self, method: str, url: str, end: float) -> _Answer:
        """Send a request and follow its redirects."""

        def time_left() -> float:
            if (left := end - self._clock()) <= 0:
                raise TimeoutError
            return left

        for _ in range(MAX_REDIRECTS + 1):
            answer = self._exchange(method, url, time_left)
            if answer.location is None:
                return answer
            url = urljoin(url, answer.location)
        raise Pan123InputError(f"source redirects more than {MAX_REDIRECTS} times")

    def _exchange(self, method: str, url: str, time_left: Callable[[], float]) -> _Answer:
        parts = urlsplit(url)
        if parts.scheme not in _PORTS or not parts.hostname:
            raise Pan123InputError("source redirects to something that is not http or https")
        host, port = ascii_host(parts.hostname), parts.port or _PORTS[parts.scheme]
        with closing(self._connector.connect(host, port, time_left)) as sock:
            sock.settimeout(time_left())
            if parts.scheme == "https":
                sock = self._tls.wrap_socket(sock, server_hostname=host)
            connection = HTTPConnection(host, port)
            connection.response_class = TimeLimitedResponse
            connection.sock = sock
            with closing(sock), time_limit(time_left()):
                sock.settimeout(time_left())
                target = _target(parts.path, parts.query)
                connection.request(method, target, headers=_headers(method, host, parts.port))
                with connection.getresponse() as response:
                    head = response.read(HEAD_BYTES) if method == "GET" else b""
                    media_type = media_type_in(response.getheader("Content-Type"))
                    return _Answer(response.status, _location(response), media_type, head)

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        from requests.utils import DEFAULT_CA_BUNDLE_PATH

        return ssl.create_default_context(cafile=DEFAULT_CA_BUNDLE_PATH)


def complete_name(file_name: str, url: str, prober: Prober | None) -> str:
    """Return a derived name with its extension; the source is probed if the URL shows no format.

    :raises Pan123Error: the source shows none either.
    """
    if prober is None or not lacks_format(file_name):
        return file_name
    finding = prober.probe(url)
    if finding.extension is None:
        raise finding.error()
    return file_name + finding.extension


def _judge(answer: _Answer, method: str) -> Finding:
    if not HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
        hotlink = (
            " without Referer" if answer.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN) else ""
        )
        return Finding(None, f"source answered {answer.status}{hotlink}")
    text = f"Content-Type {answer.media_type}" if answer.media_type else "no Content-Type"
    extension = sniff(answer.head)
    if extension is None or extension in EXTENSIONS:
        return Finding(extension or extension_of(answer.media_type), text, is_final=method == "GET")
    if extension not in answer.media_type:
        text = f"{text}, but its bytes are .{extension}"
    return Finding(None, text, is_final=True)


def _target(path: str, query: str) -> str:
    """Return what the request line has of a URL, percent-encoded where it must be."""
    return quote(f"{path or '/'}?{query}" if query else path or "/", safe=_ALLOWED_IN_TARGET)


def _headers(method: str, host: str, port: int | None) -> dict[str, str]:
    name = f"[{host}]" if ":" in host else host
    headers = {
        "Host": name if port is None else f"{name}:{port}",
        "User-Agent": "airflow-provider-123pan",
        "Accept": "*/*",
        "Accept-Encoding": "identity",
        "Connection": "close",
    }
    return headers | {"Range": f"bytes=0-{HEAD_BYTES - 1}"} if method == "GET" else headers


def _location(response: HTTPResponse) -> str | None:
    """Return where a response redirects to, with its bytes percent-encoded where they must be."""
    if response.status not in _REDIRECTS or not (location := response.getheader("Location")):
        return None
    return quote(location.encode("latin-1", "replace"), safe=_ALLOWED_IN_TARGET)
