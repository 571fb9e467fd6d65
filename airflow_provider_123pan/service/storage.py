"""The storage behind the service, which takes the slices of an upload at presigned URLs.

A presigned URL is a secret for as long as it is valid: anyone who has it can write to the storage. Neither errors nor
logs show more of it than its host.
"""

from __future__ import annotations

import contextlib
import logging
import re
import time
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import HTTPError

from airflow_provider_123pan.exceptions import Pan123UnavailableError, Pan123UploadError
from airflow_provider_123pan.service.endpoint import Endpoint, words_of
from airflow_provider_123pan.service.image_file import ImageFile
from airflow_provider_123pan.service.session import make_session, settings_for
from airflow_provider_123pan.service.time_limit import time_limit

CALL = "upload_slice"
CONNECT_SECONDS = 15.0
_MAX_ANSWER_BYTES = 4096
# Storages name the cause of a refusal in XML; the rest of it may quote the URL's signature.
_CAUSE = re.compile(rb"<Code>([A-Za-z]{1,40})</Code>")


@dataclass(frozen=True, slots=True)
class PutSlice:
    """Step: send a slice to the storage.

    :ivar url: the presigned URL.
    :ivar offset: where the slice begins in the image, in bytes.
    :ivar length: bytes.
    :ivar seconds: the limit of the whole request.
    """

    url: str = field(repr=False)
    image: ImageFile
    offset: int
    length: int
    seconds: float


class Storage:
    """Sends slices; threads may share it.

    :param endpoint: whose proxy and certificates are used.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._session = make_session(endpoint)
        logging.getLogger("urllib3.connectionpool").addFilter(_may_be_logged)

    def put(self, step: PutSlice) -> None:
        """Send a slice.

        :raises Pan123UnavailableError: there is no answer, or one that blames the storage.
        :raises Pan123UploadError: the storage refuses the slice, or redirects.
        """
        request = requests.Request(
            "PUT",
            step.url,
            data=_Body(step),
            headers={"Content-Type": "application/octet-stream", "Accept-Encoding": "identity"},
        )
        host = urlsplit(step.url).hostname
        try:
            prepared = self._session.prepare_request(request)
            prepared.url = step.url  # as it was signed, which requests might spell differently
            settings = settings_for(self._session, step.url)
            # The time to connect also limits the sending of each chunk.
            connect_seconds = min(CONNECT_SECONDS, step.seconds)
            with (
                _unlogged(),
                time_limit(step.seconds),
                self._session.send(
                    prepared, timeout=(connect_seconds, step.seconds), allow_redirects=False, **settings
                ) as answer,
            ):
                status = answer.status_code
                body = answer.raw.read(_MAX_ANSWER_BYTES, decode_content=False)
        except (requests.RequestException, HTTPError, OSError) as error:
            # Errors that are ValueErrors too quote the URL.
            words = type(error).__name__ if isinstance(error, ValueError) else words_of(error)
            raise Pan123UnavailableError(
                f"no answer from the storage {host}: {words}; check that workers can reach it, by the connection's "
                "proxy if it has one",
                call=CALL,
                ambiguous=True,
            ) from None
        if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
            return
        cause = f" ({found[1].decode()})" if (found := _CAUSE.search(body)) else ""
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise Pan123UnavailableError(
                f"the storage {host} answered HTTP {status}{cause}", call=CALL, code=status, ambiguous=True
            )
        action = (
            "redirected the slice, which is not followed"
            if status < HTTPStatus.BAD_REQUEST
            else "refused the slice"
        )
        raise Pan123UploadError(f"the storage {host} {action}: HTTP {status}{cause}", call=CALL, code=status)

    def close(self) -> None:
        """Close all connections."""
        self._session.close()


class _Body:
    """The bytes of a slice, with the length that requests announces; they stop at the end of the time."""

    def __init__(self, step: PutSlice) -> None:
        self._step = step
        self._deadline = time.monotonic() + step.seconds

    def __len__(self) -> int:
        return self._step.length

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._step.image.chunks(self._step.offset, self._step.length):
            if time.monotonic() > self._deadline:
                raise TimeoutError(f"the slice was not sent within {self._step.seconds:g} seconds")
            yield chunk


# True while this thread sends a slice: urllib3 logs URLs at DEBUG.
_sending: ContextVar[bool] = ContextVar("pan123_sending", default=False)


@contextlib.contextmanager
def _unlogged() -> Iterator[None]:
    token = _sending.set(True)
    try:
        yield
    finally:
        _sending.reset(token)


def _may_be_logged(record: logging.LogRecord) -> bool:
    return not _sending.get()
