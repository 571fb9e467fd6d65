"""The MD5 of a source's bytes: as its headers state it, or counted from the bytes."""

from __future__ import annotations

import hashlib
import re
from base64 import b64decode
from http import HTTPStatus
from http.client import HTTPResponse
from typing import NamedTuple

from airflow_provider_123pan.source.rules import MAX_IMAGE_BYTES

_CHUNK_BYTES = 256 * 1024
_CONTENT_MD5 = re.compile(r"[A-Za-z0-9+/]{21}[AQgw]==")
# A weak tag begins with W/, and that of an upload in parts ends with a hyphen and a number.
_MD5_AS_ETAG = re.compile(r'"?([0-9A-Fa-f]{32})"?')


class SourceDigest(NamedTuple):
    """The MD5 of a source's bytes.

    :ivar md5: 32 hex digits in lower case.
    :ivar size: the number of bytes, if a header states the MD5: it then proves only an image of this size. None if the
        worker has counted the MD5.
    """

    md5: str
    size: int | None = None


def stated_digest(response: HTTPResponse) -> SourceDigest | None:
    """Return the digest that the headers of an answer state, or None.

    ``Content-MD5`` is the MD5 of the body that is sent (RFC 1864). S3 and services like it give the MD5 as the strong
    ``ETag`` of an object that was uploaded in one part and is not encrypted with a key of KMS or of the customer
    (official). Other tags of 32 digits are something else, so a digest that no image has proves nothing.

    Only a whole answer to GET counts, with its length. The tag of an image that was resized on the way may be that of
    the original, and the answer to HEAD may describe the original altogether, but the length of a body that is sent is
    its own.
    """
    size = response.length
    encoding = response.getheader("Content-Encoding", "identity").strip().lower()
    if response.status != HTTPStatus.OK or encoding != "identity" or not size or size > MAX_IMAGE_BYTES:
        return None
    if _CONTENT_MD5.fullmatch(text := response.getheader("Content-MD5", "").strip()):
        return SourceDigest(b64decode(text).hex(), size)
    if tag := _MD5_AS_ETAG.fullmatch(response.getheader("ETag", "").strip()):
        return SourceDigest(tag[1].lower(), size)
    return None


def counted_digest(response: HTTPResponse) -> SourceDigest | None:
    """Read an answer, and return the digest of its bytes; None if they are no whole image."""
    if response.status != HTTPStatus.OK:
        return None
    size, md5 = 0, hashlib.md5(usedforsecurity=False)
    while chunk := response.read(_CHUNK_BYTES):
        md5.update(chunk)
        size += len(chunk)
        if size > MAX_IMAGE_BYTES:
            return None
    return None if response.length or not size else SourceDigest(md5.hexdigest())
