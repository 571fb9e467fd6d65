"""Copies the bytes of an image to this machine, from wherever they are, and checks them before they are sent on."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Container, Iterable, Iterator, Mapping
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse
from tempfile import SpooledTemporaryFile
from typing import IO, Any
from urllib.parse import urlsplit

from airflow_provider_123pan.exceptions import Pan123InputError, Pan123SourceError
from airflow_provider_123pan.service.image_file import ImageFile
from airflow_provider_123pan.service.redaction import redact_url
from airflow_provider_123pan.source.addresses import Connector, check_private_hosts
from airflow_provider_123pan.source.client import SourceClient, refusal
from airflow_provider_123pan.source.formats import sniff
from airflow_provider_123pan.source.paths import path_of
from airflow_provider_123pan.source.quoting import quoted
from airflow_provider_123pan.source.rules import EXTENSIONS, MAX_IMAGE_BYTES, refused_format

FETCH_SECONDS = 300.0

_CHUNK_BYTES = 256 * 1024
_IN_MEMORY_BYTES = 1024 * 1024  # larger images are in a file on the disk
_READ_AHEAD_BYTES = 4 * 1024 * 1024  # at once from a storage; the client of S3 alone would read 50 MiB
_HEAD_BYTES = 4096  # an SVG may begin with comments
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# What decides how an answer is sent; the worker understands only its own choice.
_OWN_HEADERS = frozenset(
    {"accept-encoding", "connection", "content-length", "host", "range", "transfer-encoding", "upgrade"}
)


def fetch_image(source: object, formats: Container[str] = ()) -> ImageFile:
    """Copy an image to a temporary file.

    :param source: an ``http`` or ``https`` URL, which :func:`fetch_url` downloads; a path, local or any that
        ``ObjectStoragePath`` opens; or a binary file, which is read from its position to its end.
    :param formats: that are taken besides those that 123pan takes.
    :raises Pan123InputError: the source can never be uploaded: it is too large, or in another format.
    :raises Pan123SourceError: the source cannot be read, or is no image.
    """
    if isinstance(source, str) and source.lower().startswith(("http://", "https://")):
        return fetch_url(source, formats=formats)
    if hasattr(source, "read"):
        return _copy(_chunks_of(source), "source", formats)
    if isinstance(source, str) and "://" in source:
        source = path_of("source", source)
    if not (isinstance(source, (str, os.PathLike)) or hasattr(source, "open")) or source == "":
        raise Pan123InputError(f"source: got {quoted(source)}; give a URL, a path or a binary file")
    shown = redact_url(str(source))
    try:
        with _opened(source) as file:
            return _copy(_chunks_of(file), shown, formats)
    except OSError as error:
        raise Pan123SourceError(
            f"source: {shown} cannot be read: {error.strerror or type(error).__name__}"
        ) from error


def fetch_url(
    url: str,
    headers: Mapping[str, str] | None = None,
    private_hosts: object = (),
    seconds: float = FETCH_SECONDS,
    client: SourceClient | None = None,
    formats: Container[str] = (),
) -> ImageFile:
    """Download an image to a temporary file; user and password in the URL are not sent.

    :param headers: sent to the host of the URL, and to no other host after a redirect.
    :param private_hosts: hosts that may have an address that is not public.
    :param seconds: the limit of the whole download, redirects included.
    :param client: sends the requests; None: a new one.
    :param formats: that are taken besides those that 123pan takes.
    :raises Pan123InputError: an argument is wrong, a host has no public address, or the image can never be uploaded.
    :raises Pan123SourceError: the source does not answer with an image in time.
    """
    shown = redact_url(url)
    sent = check_headers(headers or {})
    client = client or SourceClient(Connector(check_private_hosts(private_hosts)))
    with_referer = any(name.lower() == "referer" for name in sent)

    def read(response: HTTPResponse) -> ImageFile:
        return _copy(_body_of(response, with_referer), shown, formats)

    try:
        _ = urlsplit(url).port
    except ValueError:
        raise Pan123InputError("url: it is not a URL: host or port cannot be read") from None
    try:
        return client.exchange("GET", url, client.clock() + seconds, read, private_headers=sent)
    except TimeoutError:
        raise Pan123SourceError(f"{shown}: source did not send the image within {seconds:g} s") from None
    except _RefusedError as error:
        raise Pan123SourceError(f"{shown}: {error}") from None
    except Pan123InputError:
        raise
    except (OSError, HTTPException, ValueError) as error:
        raise Pan123SourceError(
            f"{shown}: source gave the worker no answer: {type(error).__name__}"
        ) from None


def check_headers(headers: Mapping[Any, Any]) -> dict[str, str]:
    """Return headers for a source, checked; no message shows their values.

    :raises Pan123InputError: names the header and the fix.
    """
    for name, value in headers.items():
        if not isinstance(name, str) or not _HEADER_NAME.fullmatch(name):
            raise Pan123InputError(f"headers: {quoted(name)} is not the name of a header")
        if name.lower() in _OWN_HEADERS:
            raise Pan123InputError(f"headers: {name} is set by the worker; leave it out")
        if not isinstance(value, str) or not value.isascii() or not value.isprintable():
            raise Pan123InputError(f"headers: the value of {name} must be a string of printable ASCII")
    return {**headers}


class _RefusedError(Exception):
    """The source answered, but not with an image; the message says how, without the URL."""


def _body_of(response: HTTPResponse, with_referer: bool) -> Iterator[bytes]:
    if response.status != HTTPStatus.OK:
        raise _RefusedError(refusal(response.status, with_referer=with_referer))
    if (encoding := response.getheader("Content-Encoding", "identity").strip().lower()) not in (
        "",
        "identity",
    ):
        raise _RefusedError(
            f"source compressed the image ({encoding!r:.20}), which the worker did not ask for"
        )
    if (response.length or 0) > MAX_IMAGE_BYTES:
        raise _too_large()
    yield from _chunks_of(response)
    if response.length:
        raise _RefusedError(f"source sent {response.length} bytes less than it announced")


def _opened(source: Any) -> IO[bytes]:
    # A path of Airflow's object storage or of pathlib opens itself.
    if hasattr(source, "fs"):
        return source.open("rb", block_size=_READ_AHEAD_BYTES)  # type: ignore[no-any-return]
    file: IO[bytes] = source.open("rb") if hasattr(source, "open") else open(source, "rb")  # noqa: SIM115
    return file


def _chunks_of(file: Any) -> Iterator[bytes]:
    while chunk := file.read(_CHUNK_BYTES):
        if not isinstance(chunk, bytes):
            raise Pan123InputError("source: the file gives text; open it in binary mode")
        yield chunk


def _copy(chunks: Iterable[bytes], shown: str, formats: Container[str]) -> ImageFile:
    """Copy an image, and check that 123pan takes it, or that it is of one of these formats.

    :param shown: what the image is called in errors.
    """
    file = SpooledTemporaryFile(_IN_MEMORY_BYTES)  # noqa: SIM115 - it is returned open
    try:
        size, head, md5 = 0, b"", hashlib.md5(usedforsecurity=False)
        for chunk in chunks:
            size += len(chunk)
            if size > MAX_IMAGE_BYTES:
                raise _too_large()
            if len(head) < _HEAD_BYTES:
                head += chunk[: _HEAD_BYTES - len(head)]
            md5.update(chunk)
            file.write(chunk)
        _check_format(head, shown, formats)
    except BaseException:
        file.close()
        raise
    return ImageFile(file, size, md5.hexdigest())


def _check_format(head: bytes, shown: str, formats: Container[str]) -> None:
    if not head:
        raise Pan123SourceError(f"{shown}: it is empty")
    extension = sniff(head)
    if extension is None:
        raise Pan123SourceError(
            f"{shown}: its bytes are no image that 123pan takes; it takes {', '.join(sorted(EXTENSIONS))}"
        )
    if extension not in EXTENSIONS and extension not in formats:
        raise Pan123InputError(f"{shown}: {refused_format(extension)}")


def _too_large() -> Pan123InputError:
    return Pan123InputError(
        f"source: the image has more than {MAX_IMAGE_BYTES // 2**20} MiB, which 123pan refuses"
    )
