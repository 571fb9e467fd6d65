"""A delivery: what the service said about one submission when it called back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

_MAX_REASON_LENGTH = 500
_MAX_FILE_ID_LENGTH = 128
_MAX_URL_LENGTH = 4096


class DeliveryStatus(IntEnum):
    """A callback's status; the progress answer's enum runs the other way (``service.models.TaskStatus``)."""

    SUCCEEDED = 0
    FAILED = 1


_STATUS = {str(int(status)): status for status in DeliveryStatus}


@dataclass(frozen=True, slots=True)
class Delivery:
    """The content of a callback.

    The service does not sign callbacks, so a delivery proves nothing: it ends a pause, and progress decides.

    :ivar reason: the reason of a failure: printable, at most 500 characters, ``""`` if there is none.
    :ivar fileID: the id of the image, as the caller claims it.
    :ivar url: the source URL, as the caller claims it.
    """

    callback_id: str
    status: DeliveryStatus
    reason: str = ""
    fileID: str | None = None
    url: str | None = None

    @classmethod
    def parse(cls, callback_id: str, body: bytes) -> Delivery:
        """Parse the body of the service's POST. Everything but the status may be missing or malformed.

        :raises ValueError: the body is not a delivery.
        """
        try:
            data = json.loads(body)
        except RecursionError:
            raise ValueError("nested too deeply") from None
        if not isinstance(data, Mapping):
            raise ValueError("not an object")
        return cls._read(callback_id, data, data.get("failReason") or data.get("fileReason"))

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Delivery:
        """Read a dict of :meth:`as_dict`.

        :raises ValueError: the dict lacks a field.
        """
        callback_id = data.get("callback_id")
        if not isinstance(callback_id, str):
            raise ValueError("no callback_id")
        return cls._read(callback_id, data, data.get("reason"))

    def as_dict(self) -> dict[str, Any]:
        """Return all fields, as JSON allows them."""
        return {"callback_id": self.callback_id, **self.content}

    @property
    def content(self) -> dict[str, Any]:
        """All fields but the callback_id."""
        return {"status": int(self.status), "reason": self.reason, "fileID": self.fileID, "url": self.url}

    @classmethod
    def _read(cls, callback_id: str, data: Mapping[str, Any], reason: Any) -> Delivery:
        status = _STATUS.get(str(data.get("status")))
        if status is None:
            raise ValueError("unknown status")
        return cls(callback_id, status, _reason(reason), _file_id(data.get("fileID")), _url(data.get("url")))


def _reason(value: Any) -> str:
    if not isinstance(value, str):
        return ""
    text = " ".join(value.split())
    return "".join(character for character in text if character.isprintable())[:_MAX_REASON_LENGTH]


def _file_id(value: Any) -> str | None:
    """Return a fileID as a string, or None.

    The service sends numbers and strings; 0 and ``""`` mean none (observed).
    """
    if isinstance(value, bool) or not isinstance(value, (int, str)) or value in (0, "", "0"):
        return None
    text = str(value)
    return text if len(text) <= _MAX_FILE_ID_LENGTH and text.isprintable() else None


def _url(value: Any) -> str | None:
    return value if isinstance(value, str) and len(value) <= _MAX_URL_LENGTH and value.isprintable() else None
