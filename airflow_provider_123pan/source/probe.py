"""Probes the source of an image: which format it has, or why it cannot be fetched."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse
from typing import NamedTuple

from airflow_provider_123pan.exceptions import Pan123Error, Pan123InputError, Pan123SourceError
from airflow_provider_123pan.service.redaction import redact_url
from airflow_provider_123pan.source.addresses import Connector, check_private_hosts
from airflow_provider_123pan.source.client import SourceClient, refusal
from airflow_provider_123pan.source.digests import SourceDigest, counted_digest, stated_digest
from airflow_provider_123pan.source.formats import HEAD_BYTES, extension_of, media_type_in, sniff
from airflow_provider_123pan.source.naming import lacks_format
from airflow_provider_123pan.source.rules import EXTENSIONS

log = logging.getLogger(__name__)

PROBE_SECONDS = 10.0
DOWNLOAD_SECONDS = 60.0

_FIRST_BYTES = {"Range": f"bytes=0-{HEAD_BYTES - 1}"}


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
        self._client = SourceClient(connector, clock)
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
                headers = _FIRST_BYTES if method == "GET" else {}
                finding = _judge(self._client.exchange(method, url, end, _read, headers), method)
            except Pan123InputError as error:
                return Finding(None, error.message, is_final=True)
            except TimeoutError:
                return Finding(None, f"source did not answer the worker within {self._seconds:g} s")
            except (OSError, HTTPException, ValueError) as error:
                finding = Finding(None, f"source gave the worker no answer: {type(error).__name__}")
            if finding.extension:
                return finding
        return finding

    def digest(self, url: str, *, as_stated: bool = True) -> SourceDigest | None:
        """Return the MD5 of a source's bytes; None if it does not send an image in time.

        :param as_stated: do not download the bytes if the headers state their MD5.
        """

        def read(response: HTTPResponse) -> SourceDigest | None:
            return (stated_digest(response) if as_stated else None) or counted_digest(response)

        try:
            return self._client.exchange("GET", url, self._clock() + DOWNLOAD_SECONDS, read)
        except (Pan123InputError, OSError, HTTPException, ValueError) as error:
            log.info("%s was not downloaded: %s", redact_url(url), error)
            return None


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
        return Finding(None, refusal(answer.status))
    text = f"Content-Type {answer.media_type}" if answer.media_type else "no Content-Type"
    extension = sniff(answer.head)
    if extension is None or extension in EXTENSIONS:
        return Finding(extension or extension_of(answer.media_type), text, is_final=method == "GET")
    if extension not in answer.media_type:
        text = f"{text}, but its bytes are .{extension}"
    return Finding(None, text, is_final=True)


def _read(response: HTTPResponse) -> _Answer:
    return _Answer(
        response.status, media_type_in(response.getheader("Content-Type")), response.read(HEAD_BYTES)
    )
