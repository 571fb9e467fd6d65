"""The service's records, parsed from its answers.

Every ``parse`` raises ValueError if a field is missing or has the wrong type. The fields here have the provider's
names (``fileID``, ``directory_id`` …), because the service spells them in several ways. The shapes are official: see
the sections "offline migration" and "image host" of the open platform's documentation.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from enum import IntEnum
from typing import Any

from airflow_provider_123pan.service.fields import (
    id_of,
    mapping_of,
    optional_text,
    shown,
    text_of,
    whole_number,
    whole_of,
)

BEIJING = timezone(timedelta(hours=8))
# An image whose status is higher was rejected by review (official).
REJECTED_ABOVE = 100
#: How long a token is used whose expiry cannot be read; the shortest documented life is 30 days (official).
ASSUMED_LIFE = timedelta(days=1)
#: Dates of images and answers outside these years are mistakes, and arithmetic with them may overflow.
PLAUSIBLE_YEARS = range(1971, 2100)
# Visible ASCII: an HTTP header takes nothing else as a token.
_TOKEN = re.compile(r"[!-~]+")


class TaskStatus(IntEnum):
    """The status of an offline task as progress reports it; callbacks use a different enumeration (official)."""

    RUNNING = 0
    FAILED = 1
    SUCCEEDED = 2
    RETRYING = 3


@dataclass(frozen=True, slots=True)
class AccessToken:
    """An access token.

    :ivar expires_at: the expiry that the service stated; None: usable until the service refuses it.
    """

    value: str = field(repr=False)
    expires_at: datetime | None

    @classmethod
    def issued(cls, data: Any, issued_at: datetime) -> AccessToken:
        """Parse the answer to a login; an expiry that cannot be read counts as a life of :data:`ASSUMED_LIFE`.

        :param issued_at: time of the answer, by the service's clock.
        """
        token, stated = _token(data), data.get("expiredAt")
        return cls(token, (_optional_datetime(stated) or issued_at + ASSUMED_LIFE) if stated else None)

    @classmethod
    def parse(cls, data: Any) -> AccessToken:
        """Parse a stored token."""
        token, stated = _token(data), data.get("expiredAt")
        expires_at = _optional_datetime(stated) if stated else None
        if stated and expires_at is None:
            raise ValueError("expiredAt is not a date")
        return cls(token, expires_at)


@dataclass(frozen=True, slots=True)
class OfflineTask:
    """An offline task.

    :ivar taskID: 64-bit number.
    :ivar process: percentage, 0 to 100; it may return to 0 after a failure, so only ``status`` decides.
    :ivar seen_at: time of the answer in UTC, by the service's clock (:attr:`Answer.date`).
    :ivar call_seconds: duration of the call that created it; 0 in an answer about progress.
    """

    taskID: int
    status: TaskStatus
    process: float
    seen_at: datetime
    call_seconds: float = 0.0

    @classmethod
    def created(cls, data: Any, seen_at: datetime, call_seconds: float = 0.0) -> OfflineTask:
        """Parse the answer to a creation; the download may have begun while the service prepared it."""
        return cls(whole_of(data, "taskID"), TaskStatus.RUNNING, 0, seen_at, call_seconds)

    @property
    def submitted_at(self) -> datetime:
        """When its creation was sent, by the service's clock: its image cannot be older."""
        return self.seen_at - timedelta(seconds=self.call_seconds)

    @classmethod
    def parse(cls, data: Any, taskID: int, seen_at: datetime) -> OfflineTask:
        """Parse an answer about progress."""
        status = whole_of(data, "status")
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
    :ivar status: a number above 100 means that review rejected the image.
    :ivar changed_at: time of the creation or of the last change, whichever is later; in Beijing time (assumed). What
        counts as a change is undocumented.
    :ivar download_url: the image's URL.
    :ivar user_url: the image's URL on the user's own domain, or None.
    :ivar traffic: bytes that were served of it (``totalTraffic``), or None.
    :ivar is_directory: the id is that of a directory.
    :ivar created_at: time of the creation, or None if it is not given.
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
    traffic: int | None = None
    is_directory: bool = False
    created_at: datetime | None = None

    @property
    def appeared_at(self) -> datetime | None:
        """Time of the creation, or of the last change if that is all there is."""
        return self.created_at or self.changed_at

    @property
    def rejected(self) -> bool:
        """True if review rejected the image."""
        return self.status > REJECTED_ABOVE

    def completed_by(self, detail: Image) -> Image:
        """Return this record with what another one of the same image adds to it.

        A listing may lack any field. A rejection in one of the two records counts.
        """
        return replace(
            self,
            etag=self.etag or detail.etag,
            size=detail.size if self.size is None else self.size,
            status=max(self.status, detail.status),
            download_url=detail.download_url or self.download_url,
            user_url=detail.user_url or self.user_url,
        )

    @classmethod
    def parse(cls, data: Any) -> Image:
        """Parse the record of an image."""
        item = mapping_of(data)
        etag = item.get("etag")
        created_at, updated_at = (_plausible_date(item.get(key)) for key in ("createAt", "updateAt"))
        return cls(
            fileID=id_of(item, "fileId"),
            file_name=text_of(item, "filename"),
            directory_id=id_of(item, "parentFileId") if item.get("parentFileId") is not None else None,
            directory_name=optional_text(item.get("parentFilename")),
            etag=etag.lower() if isinstance(etag, str) and etag else None,
            size=whole_number(item.get("size")),
            status=whole_number(item.get("status")) or 0,
            changed_at=max((date for date in (created_at, updated_at) if date), default=None),
            download_url=optional_text(item.get("downloadURL")),
            user_url=optional_text(item.get("userSelfURL")),
            traffic=whole_number(item.get("totalTraffic")),
            is_directory=_is_directory(item),
            created_at=created_at,
        )


@dataclass(frozen=True, slots=True)
class Directory:
    """A directory of the image host.

    :ivar directory_id: ``""`` for the root.
    """

    directory_id: str
    name: str

    @classmethod
    def made(cls, data: Any) -> Directory:
        """Parse the answer to a creation, a list with one directory."""
        made = mapping_of(data).get("list")
        if not isinstance(made, list) or not made:
            raise ValueError(f"list is {shown(made)}, not a list with the directory")
        return cls(id_of(mapping_of(made[0]), "dirID"), str(made[0].get("filename") or ""))


@dataclass(frozen=True, slots=True)
class Listing:
    """One page of a directory, with at most 100 entries.

    :ivar last_file_id: where the next page begins; None: this is the last page.
    """

    images: tuple[Image, ...]
    directories: tuple[Directory, ...]
    last_file_id: str | None

    @classmethod
    def parse(cls, data: Any) -> Listing:
        """Parse a page, without the entries that have no name or no id."""
        page = mapping_of(data)
        items = page.get("fileList") or []
        if not isinstance(items, list):
            raise ValueError(f"fileList is {shown(items)}, not a list")
        named = [item for item in items if isinstance(item, Mapping) and _is_named(item)]
        last = page.get("lastFileId")
        return cls(
            images=tuple(Image.parse(item) for item in named if not _is_directory(item)),
            directories=tuple(
                Directory(id_of(item, "fileId"), item["filename"]) for item in named if _is_directory(item)
            ),
            last_file_id=None if last is None or str(last) in ("-1", "") else str(last),
        )


def is_token(value: str) -> bool:
    """Return True if an HTTP header takes this string as an access token."""
    return bool(_TOKEN.fullmatch(value))


def _token(data: Any) -> str:
    value = text_of(data, "accessToken")
    if not is_token(value):
        raise ValueError("accessToken holds characters that no HTTP header takes")
    return value


def _is_named(item: Mapping[str, Any]) -> bool:
    name, file_id = item.get("filename"), item.get("fileId")
    return isinstance(name, str) and name != "" and isinstance(file_id, (str, int)) and file_id is not True


def _is_directory(item: Mapping[str, Any]) -> bool:
    return whole_number(item.get("type")) == 1


def _datetime(text: str) -> datetime:
    """Parse RFC 3339; without an offset, as in some copies of the documentation, the time is Beijing's (assumed)."""
    # In Python 3.10, fromisoformat() accepts neither "Z" nor an arbitrary number of fractional digits.
    date = datetime.fromisoformat(re.sub(r"\.\d+", "", text).replace("Z", "+00:00"))
    return date if date.tzinfo else date.replace(tzinfo=BEIJING)


def _plausible_date(value: Any) -> datetime | None:
    """Read the date of an image; None if there is none, or one that no image can have."""
    date = _optional_datetime(value)
    return date if date and date.year in PLAUSIBLE_YEARS else None


def _optional_datetime(value: Any) -> datetime | None:
    """Read a date: a string with or without an offset, ``/`` as separator, or Unix seconds or milliseconds."""
    try:
        if isinstance(value, str) and not value.isdecimal():
            return _datetime(value.strip().replace("/", "-"))
        number = float(value)
        return datetime.fromtimestamp(number / 1000 if number > 1e11 else number, BEIJING)
    except (TypeError, ValueError, OverflowError, OSError):
        return None
