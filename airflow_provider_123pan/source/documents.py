"""Downloads the documents that list images, such as sitemaps and feeds, bounded in size and time."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, cast

import requests
from urllib3.exceptions import HTTPError

from airflow_provider_123pan import __version__
from airflow_provider_123pan.exceptions import Pan123DocumentError, Pan123InputError
from airflow_provider_123pan.service.endpoint import words_of
from airflow_provider_123pan.service.redaction import redact_text, redact_url
from airflow_provider_123pan.service.time_limit import time_limit
from airflow_provider_123pan.source.addresses import Connector
from airflow_provider_123pan.source.public_adapter import PublicAdapter

_BLOCK_BYTES = 65_536
_GZIP = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class DocumentLimits:
    """Limits of one download.

    :ivar max_bytes: after decompression; the sitemap protocol allows half of the default.
    :ivar connect_seconds: for each connection, also those of redirects.
    :ivar total_seconds: from the first request to the last byte.
    """

    max_bytes: int = 100 * 2**20
    connect_seconds: float = 30.0
    total_seconds: float = 600.0


class Documents:
    """Downloads documents over kept connections, through the proxies that the environment names.

    :param connector: opens the connections; the hosts may be named by the documents of others.
    """

    def __init__(self, connector: Connector, limits: DocumentLimits | None = None) -> None:
        self._limits = limits or DocumentLimits()
        self._session = requests.Session()
        self._session.headers["User-Agent"] = f"airflow-provider-123pan/{__version__}"
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, PublicAdapter(connector))

    def __enter__(self) -> Documents:
        """Return the object itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close all connections."""
        self._session.close()

    def read(self, url: str) -> Iterator[bytes]:
        """Yield the bytes of a document; one that is compressed with gzip is decompressed, whatever its name.

        :raises Pan123InputError: the URL is not http or https, or leads to an address that is not public.
        :raises Pan123DocumentError: the document cannot be downloaded whole.
        """
        if not url.lower().startswith(("http://", "https://")):
            raise Pan123InputError(f"url: {redact_url(url)!r} must begin with http:// or https://")
        limits = self._limits
        try:
            with time_limit(limits.total_seconds):
                response = self._session.get(
                    url, stream=True, timeout=(limits.connect_seconds, limits.total_seconds)
                )
            with response:
                if response.status_code != requests.codes.ok:
                    raise Pan123DocumentError(f"{redact_url(url)} answered {response.status_code}")
                yield from self._blocks(url, _content(response))
        except (requests.RequestException, HTTPError, OSError, EOFError, zlib.error) as error:
            words = redact_text(words_of(error), url)
            raise Pan123DocumentError(f"{redact_url(url)} cannot be read: {words}") from None

    def _blocks(self, url: str, content: BinaryIO) -> Iterator[bytes]:
        size = 0
        while block := content.read(_BLOCK_BYTES):
            size += len(block)
            if size > self._limits.max_bytes:
                raise Pan123DocumentError(f"{redact_url(url)} has more than {self._limits.max_bytes} bytes")
            yield block


def _content(response: requests.Response) -> BinaryIO:
    """Return the content of an answer, decompressed."""
    raw = response.raw
    raw.decode_content = True
    raw.auto_close = False  # or the buffer could not read the end of the content
    content = io.BufferedReader(raw)
    is_compressed = content.peek(len(_GZIP)).startswith(_GZIP)
    return cast("BinaryIO", gzip.GzipFile(fileobj=content) if is_compressed else content)
