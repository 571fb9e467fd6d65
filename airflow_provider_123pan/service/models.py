"""The service's things, parsed once, at the edge. Every ``parse`` raises ValueError with what it saw.

Field names are the provider's own (``fileID``, ``directory_id`` …): the service spells them in several ways.
Source of all shapes: the open platform's documents, sections "offline migration" and "image host".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from enum import IntEnum
from typing import Any

BEIJING = timezone(timedelta(hours=8))
REJECTED_ABOVE = 100  # a file record's status above this: rejected by review


class TaskStatus(IntEnum):
    """The status of an offline task in the progress answer (the callback's enum runs the other way)."""

    RUNNING = 0
    FAILED = 1
    SUCCEEDED = 2
    RETRYING = 3


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A login's answer; ``expires_at`` is the service's word, never a constant. None: good until it is refused."""

    value: str = field(repr=False)
    expires_at: datetime | None

    @classmethod
    def parse(cls, data: Any) -> AccessToken:
        value = _text(data, "accessToken")
        return cls(value, _moment(_text(data, "expiredAt")) if data.get("expiredAt") else None)


@dataclass(frozen=True, slots=True)
class OfflineTask:
    """An offline task.

    :ivar taskID: 64-bit number.
    :ivar process: 0 to 100; falls back to 0 on failure, so only ``status`` decides.
    :ivar seen_at: the service's clock when it answered (``Date`` header; ours where it is missing), UTC.
    """

    taskID: int
    status: TaskStatus
    process: float
    seen_at: datetime

    @classmethod
    def created(cls, data: Any, seen_at: datetime) -> OfflineTask:
        """From the answer to a creation: code 0 means created, not downloaded."""
        return cls(_whole(data, "taskID"), TaskStatus.RUNNING, 0, seen_at)

    @classmethod
    def parse(cls, data: Any, taskID: int, seen_at: datetime) -> OfflineTask:
        status = _whole(data, "status")
        try:
            known = TaskStatus(status)
        except ValueError:
            raise ValueError(f"unknown status {status} of an offline task") from None
        process = data.get("process")
        return cls(taskID, known, process if isinstance(process, (int, float)) else 0, seen_at)


@dataclass(frozen=True, slots=True)
class Image:
    """An image in the image host.

    :ivar fileID: opaque string.
    :ivar etag: MD5 of the bytes, lower-case hex.
    :ivar size: bytes.
    :ivar status: above 100 means rejected by review.
    :ivar changed_at: the later of creation and change; its time zone is presumed to be Beijing's.
    :ivar user_url: the address on the user's own domain, where there is one.
    """

    fileID: str
    file_name: str
    directory_id: str | None
    directory_name: str | None
    etag: str | None
    size: int | None
    status: int
    changed_at: datetime | None
    download_url: str | None
    user_url: str | None

    @property
    def rejected(self) -> bool:
        return self.status > REJECTED_ABOVE

    @classmethod
    def parse(cls, data: Any) -> Image:
        item = _mapping(data)
        etag = item.get("etag")
        dates = [when for key in ("createAt", "updateAt") if (when := _beijing(item.get(key)))]
        return cls(
            fileID=_identifier(item, "fileId"),
            file_name=_text(item, "filename"),
            directory_id=_identifier(item, "parentFileId") if item.get("parentFileId") is not None else None,
            directory_name=item.get("parentFilename") or None,
            etag=etag.lower() if isinstance(etag, str) and etag else None,
            size=_number(item.get("size")),
            status=_number(item.get("status")) or 0,
            changed_at=max(dates, default=None),
            download_url=_address(item.get("downloadURL")),
            user_url=_address(item.get("userSelfURL")),
        )


@dataclass(frozen=True, slots=True)
class Directory:
    """A directory of the image host; the root's id is ``""``."""

    directory_id: str
    name: str

    @classmethod
    def made(cls, data: Any) -> Directory:
        """From the answer to a creation: a list of one."""
        made = _mapping(data).get("list")
        if not isinstance(made, list) or not made:
            raise ValueError(f"list is {_seen(made)}, not a list with the directory")
        return cls(_identifier(_mapping(made[0]), "dirID"), str(made[0].get("filename") or ""))


@dataclass(frozen=True, slots=True)
class Listing:
    """One page of a directory: at most 100 entries, and where the next page begins (None: no more)."""

    images: tuple[Image, ...]
    directories: tuple[Directory, ...]
    last_file_id: str | None

    @classmethod
    def parse(cls, data: Any) -> Listing:
        page = _mapping(data)
        items = page.get("fileList") or []
        if not isinstance(items, list):
            raise ValueError(f"fileList is {_seen(items)}, not a list")
        # What has no name or no id is nobody's image: it must not hide the others.
        named = [item for item in items if isinstance(item, Mapping) and _is_named(item)]
        last = page.get("lastFileId")
        return cls(
            images=tuple(Image.parse(item) for item in named if not _is_directory(item)),
            directories=tuple(
                Directory(_identifier(item, "fileId"), item["filename"])
                for item in named
                if _is_directory(item)
            ),
            last_file_id=None if last is None or str(last) in ("-1", "") else str(last),
        )


def _address(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _is_named(item: Mapping[str, Any]) -> bool:
    name, file_id = item.get("filename"), item.get("fileId")
    return isinstance(name, str) and name != "" and isinstance(file_id, (str, int)) and file_id is not True


def _is_directory(item: Mapping[str, Any]) -> bool:
    return _number(item.get("type")) == 1


def _mapping(data: Any) -> Mapping[str, Any]:
    if not isinstance(data, Mapping):
        raise ValueError(f"data is {_seen(data)}, not an object")
    return data


def _text(data: Any, key: str) -> str:
    value = _mapping(data).get(key)
    if not isinstance(value, str) or not value:
        raise ValueError(f"{key} is {_seen(value)}, not a text")
    return value


def _whole(data: Any, key: str) -> int:
    value = _mapping(data).get(key)
    if (number := _number(value)) is None:
        raise ValueError(f"{key} is {_seen(value)}, not a whole number")
    return number


def _number(value: Any) -> int | None:
    """A whole number, however it is spelled; else None."""
    if isinstance(value, str) and value.isdecimal():
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _identifier(data: Mapping[str, Any], key: str) -> str:
    """Ids are opaque strings, and numbers in some samples."""
    value = data.get(key)
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise ValueError(f"{key} is {_seen(value)}, not an id")
    return str(value)


def _moment(text: str) -> datetime:
    """RFC 3339; where the offset is missing it is Beijing's (seen in copies of the documents)."""
    # fromisoformat of Python 3.10 takes neither "Z" nor any number of fractional digits.
    moment = datetime.fromisoformat(re.sub(r"\.\d+", "", text).replace("Z", "+00:00"))
    return moment if moment.tzinfo else moment.replace(tzinfo=BEIJING)


def _beijing(value: Any) -> datetime | None:
    """Read a date: text with or without an offset, ``/`` as separator, or Unix seconds or milliseconds."""
    try:
        if isinstance(value, str) and not value.isdecimal():
            return _moment(value.strip().replace("/", "-"))
        seconds = float(value)
        return (
            datetime.fromtimestamp(seconds / 1000 if seconds > 1e11 else seconds, BEIJING)
            if seconds > 0
            else None
        )
    except (TypeError, ValueError, OverflowError, OSError):
        return None


def _seen(value: Any) -> str:
    """A short picture of what came instead; never a text's content, which may be a secret."""
    return repr(value) if value is None or isinstance(value, (bool, int, float)) else type(value).__name__
