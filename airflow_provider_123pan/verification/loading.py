"""Loads an image from the URL at which 123pan serves it, and finds out what is wrong with it."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import HTTPError, ProtocolError

from airflow_provider_123pan import __version__
from airflow_provider_123pan.exceptions import Pan123InputError
from airflow_provider_123pan.service.endpoint import words_of
from airflow_provider_123pan.service.error_codes import NO_FILE, TRAFFIC_EXCEEDED
from airflow_provider_123pan.service.redaction import redact_text
from airflow_provider_123pan.service.time_limit import time_limit
from airflow_provider_123pan.source.addresses import Connector
from airflow_provider_123pan.source.formats import HEAD_BYTES, media_type_in, sniff
from airflow_provider_123pan.source.placeholders import is_pixel
from airflow_provider_123pan.source.public_adapter import PublicAdapter
from airflow_provider_123pan.source.rules import MAX_IMAGE_BYTES

MAX_REDIRECTS = 5

_BLOCK_BYTES = 65_536
# The beginning of an envelope, which may be cut.
_CODE = re.compile(rb'\s*\{.*?"code"\s*:\s*"?(\d{1,9})', re.DOTALL)
_CONTENT_RANGE = re.compile(r"bytes \d+-\d+/(\d{1,18})")


class Problem(str, Enum):
    """What is wrong with an image."""

    GONE = "gone"
    REJECTED = "rejected"  # by review
    WRONG_TYPE = "wrong_type"
    WRONG_CONTENT = "wrong_content"  # other bytes, or another number of them
    SLOW = "slow"
    TRAFFIC_EXCEEDED = "traffic_exceeded"
    UNREACHABLE = "unreachable"  # its URL gives no answer, or an error


class ServedImage(NamedTuple):
    """An image as the service lists it.

    :ivar url: where it is served: on the user's own domain, if there is one.
    :ivar etag: MD5 of the bytes, lower-case hex.
    :ivar size: bytes.
    """

    url: str
    etag: str | None
    size: int | None


class Loaded(NamedTuple):
    """What came of loading an image.

    :ivar reason: what is wrong, as a sentence that quotes no URL.
    :ivar seconds: until its first bytes were there, or until the failure.
    :ivar is_pixel: it is a blank pixel, as hosts send instead of an image.
    """

    problem: Problem | None
    reason: str | None = None
    seconds: float = 0.0
    is_pixel: bool = False

    @property
    def is_served(self) -> bool:
        """True if the image can be used, even if it comes slowly."""
        return self.problem in (None, Problem.SLOW)


@dataclass(frozen=True, slots=True)
class LoadTiming:
    """How long loading an image may take, in seconds.

    :ivar address: for its first bytes, with redirects.
    :ivar content: for all of its bytes.
    :ivar slow: after more than this, its first bytes are slow.
    """

    address: float = 15.0
    content: float = 300.0
    slow: float = 5.0


class ImageLoader:
    """Loads images; threads may share it.

    Traffic is metered, so only the first 512 bytes are requested, unless the content is verified. An image is requested
    once more only if the server closed the connection without an answer: it may have been an old one that was kept.

    The hosts that the service names may have any address: the service is trusted with more than that, and a user's own
    domain may lead into the user's network. Redirects, and URLs with other hosts, lead to public addresses only.

    :param hosts: the hosts that the service names, in lower case.
    :param content: load the whole image, and compare its MD5 with its etag.
    """

    def __init__(
        self,
        hosts: Iterable[str],
        *,
        content: bool = False,
        timing: LoadTiming | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._content = content
        self._timing = timing or LoadTiming()
        self._clock = clock
        self._session = requests.Session()
        self._session.max_redirects = MAX_REDIRECTS
        self._session.headers.update(
            {
                "User-Agent": f"airflow-provider-123pan/{__version__}",
                "Accept": "*/*",
                "Accept-Encoding": "identity",
            }
        )
        if not content:
            self._session.headers["Range"] = f"bytes=0-{HEAD_BYTES - 1}"
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, PublicAdapter(Connector(frozenset(hosts))))

    def __enter__(self) -> ImageLoader:
        """Return the loader itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close all connections."""
        self._session.close()

    def load(self, image: ServedImage) -> Loaded:
        """Load an image; what goes wrong is an answer as well."""
        began = self._clock()
        limit = self._timing.content if self._content else self._timing.address
        try:
            with time_limit(limit):
                response = self._get(image.url, limit)
            with response:
                head = response.raw.read(HEAD_BYTES, decode_content=True)
                seconds = self._clock() - began
                found = _judge(response, head, image) or (self._content and _compare(response, head, image))
        except Pan123InputError:
            found = Problem.UNREACHABLE, "its URL leads to an address that is not public"
        except requests.TooManyRedirects:
            found = Problem.UNREACHABLE, f"its URL redirects more than {MAX_REDIRECTS} times"
        except (requests.RequestException, HTTPError, OSError, ValueError) as error:
            if self._clock() - began >= limit:
                reason = f"its URL did not answer within {limit:g} s"
            else:
                reason = f"its URL gives no answer: {redact_text(words_of(error), image.url)}"
            found = Problem.UNREACHABLE, reason
        if found:
            return Loaded(*found, self._clock() - began)
        if seconds > self._timing.slow:
            return Loaded(Problem.SLOW, f"its first bytes took {seconds:.1f} s", seconds, is_pixel(head))
        return Loaded(None, None, seconds, is_pixel(head))

    def _get(self, url: str, limit: float) -> requests.Response:
        for _ in range(2):
            try:
                return self._session.get(url, stream=True, timeout=(limit, limit))
            except requests.ConnectionError as error:
                failure = error
                if not (error.args and isinstance(error.args[0], ProtocolError)):
                    break
        raise failure


def hosts_named_by(urls: Iterable[str | None]) -> frozenset[str]:
    """Return the hosts of image URLs, in lower case and without ports."""
    return frozenset(host for url in urls if url and (host := host_of(url)))


def host_of(url: str) -> str | None:
    """Return the host of a URL in lower case, or None if it has none."""
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def _judge(response: requests.Response, head: bytes, image: ServedImage) -> tuple[Problem, str] | None:
    """Return what is wrong with an image by its answer's beginning."""
    status, media_type = response.status_code, media_type_in(response.headers.get("Content-Type"))
    code = int(match[1]) if (match := _CODE.match(head)) else None
    if code == TRAFFIC_EXCEEDED:
        return Problem.TRAFFIC_EXCEEDED, f"the account's download traffic is exceeded (code {code})"
    if code == NO_FILE:
        return Problem.GONE, f"its URL answered that the file does not exist (code {code})"
    with_code = f" with code {code}" if code else ""
    if status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
        return Problem.GONE, f"its URL answered {status}{with_code}"
    if not HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return Problem.UNREACHABLE, f"its URL answered {status}{with_code}"
    if not _is_image(media_type, head):
        shown = f"Content-Type {media_type}" if media_type else "no Content-Type"
        return Problem.WRONG_TYPE, f"its URL serves no image ({shown}{with_code})"
    length = _length_of(response)
    if None not in (length, image.size) and length != image.size:
        return Problem.WRONG_CONTENT, f"its URL serves {length} bytes, but {image.size} are stored"
    return None


def _compare(response: requests.Response, head: bytes, image: ServedImage) -> tuple[Problem, str] | None:
    """Read the rest of an image, and return what is wrong with its bytes."""
    digest, size = hashlib.md5(head, usedforsecurity=False), len(head)
    while block := response.raw.read(_BLOCK_BYTES, decode_content=True):
        digest.update(block)
        size += len(block)
        if size > MAX_IMAGE_BYTES:
            return Problem.WRONG_CONTENT, f"its URL serves more than {MAX_IMAGE_BYTES} bytes"
    if image.etag and digest.hexdigest() != image.etag:
        return Problem.WRONG_CONTENT, "the MD5 of the bytes that its URL serves is not the stored etag"
    return None


def _is_image(media_type: str, head: bytes) -> bool:
    """Return whether an answer is an image: by its bytes, and if they are unknown, by its media type."""
    if sniff(head):
        return True
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if not media_type.startswith("image/") or not text or text.startswith(b"{"):
        return False
    return not text.startswith(b"<") or (media_type == "image/svg+xml" and b"<html" not in text)


def _length_of(response: requests.Response) -> int | None:
    """Return the number of bytes of the whole image, if the answer states it."""
    if response.status_code == HTTPStatus.PARTIAL_CONTENT:
        match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
        return int(match[1]) if match else None
    length = response.headers.get("Content-Length", "")
    return int(length) if length.isdecimal() and not response.headers.get("Content-Encoding") else None
