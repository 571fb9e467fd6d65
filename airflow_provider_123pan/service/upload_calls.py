"""The calls of an upload, and what they answer (official: "image host", "upload")."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from airflow_provider_123pan.service.fields import flag_of, id_of, mapping_of, shown, text_of, whole_of
from airflow_provider_123pan.service.protocol import Call

# What stands for "no file yet" where a fileID belongs (observed).
_NO_ID = ("", "0")


@dataclass(frozen=True, slots=True)
class CreatedUpload:
    """What the service answers to the announcement of an image.

    :ivar fileID: the stored image, if the service has its bytes already; else None.
    :ivar preuploadID: names the upload in all further calls; empty if there is a ``fileID``.
    :ivar slice_size: bytes of each slice but the last.
    """

    fileID: str | None
    preuploadID: str = field(default="", repr=False)
    slice_size: int = 0

    @classmethod
    def parse(cls, data: Any) -> CreatedUpload:
        """Parse the answer to a creation."""
        if flag_of(data, "reuse"):
            if (file_id := _file_id(data)) is None:
                raise ValueError("reuse is true, but there is no fileID")
            return cls(file_id)
        if (slice_size := whole_of(data, "sliceSize")) < 1:
            raise ValueError(f"sliceSize is {slice_size}")
        return cls(None, text_of(data, "preuploadID"), slice_size)


@dataclass(frozen=True, slots=True)
class UploadResult:
    """Whether an upload is over.

    :ivar fileID: the stored image; None: not yet.
    """

    fileID: str | None

    @classmethod
    def completed(cls, data: Any) -> UploadResult:
        """Parse the answer to a completion, which may go on in the background."""
        over = not flag_of(data, "async") or data.get("completed") is True
        return cls(_file_id(data) if over else None)

    @classmethod
    def parse(cls, data: Any) -> UploadResult:
        """Parse the answer about a completion in the background."""
        return cls(_file_id(data) if flag_of(data, "completed") else None)


def create_upload(file_name: str, directory_id: str, etag: str, size: int) -> Call[CreatedUpload]:
    """Return ``POST /upload/v1/oss/file/create``: announces an image.

    :param directory_id: ``""`` for the root.
    :param etag: MD5 of the bytes, lower-case hex.
    :param size: bytes.
    """
    return Call(
        "create_upload",
        "POST",
        "/upload/v1/oss/file/create",
        lambda data, _: CreatedUpload.parse(data),
        body={"parentFileID": directory_id, "filename": file_name, "etag": etag, "size": size, "type": 1},
    )


def get_upload_url(preuploadID: str, slice_number: int) -> Call[str]:
    """Return ``POST /upload/v1/oss/file/get_upload_url``: where a slice goes, for a short time.

    :param slice_number: from 1.
    """
    return Call(
        "get_upload_url",
        "POST",
        "/upload/v1/oss/file/get_upload_url",
        lambda data, _: _presigned_url(data),
        body={"preuploadID": preuploadID, "sliceNo": slice_number},
        reads=True,
    )


def complete_upload(preuploadID: str) -> Call[UploadResult]:
    """Return ``POST /upload/v1/oss/file/upload_complete``: ends an upload whose slices have all been sent."""
    return Call(
        "complete_upload",
        "POST",
        "/upload/v1/oss/file/upload_complete",
        lambda data, _: UploadResult.completed(data),
        body={"preuploadID": preuploadID},
    )


def get_upload_result(preuploadID: str) -> Call[UploadResult]:
    """Return ``POST /upload/v1/oss/file/upload_async_result``: whether a completion in the background is over."""
    return Call(
        "get_upload_result",
        "POST",
        "/upload/v1/oss/file/upload_async_result",
        lambda data, _: UploadResult.parse(data),
        body={"preuploadID": preuploadID},
        reads=True,
    )


def _file_id(data: Any) -> str | None:
    record = mapping_of(data)
    if record.get("fileID") is None or (file_id := id_of(record, "fileID")) in _NO_ID:
        return None
    return file_id


def _presigned_url(data: Any) -> str:
    """Return the URL for a slice; its query is a secret, so no error quotes it."""
    url = text_of(data, "presignedURL")
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable or not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError(f"presignedURL is {shown(url)}, but not an http or https URL")
    return url
