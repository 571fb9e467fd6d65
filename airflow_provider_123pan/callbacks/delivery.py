"""A delivery: what the service said about one submission when it called back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from airflow_provider_123pan.callbacks.body import read_fields
from airflow_provider_123pan.service.redaction import redact_quoted_urls, redact_text

_MAX_REASON_LENGTH = 500
_MAX_FILE_ID_LENGTH = 128
_MAX_URL_LENGTH = 4096
_LAST_WORD = re.compile(r"[!-~]+\Z")


class DeliveryStatus(IntEnum):
    """A callback's status; the progress answer's enum runs the other way (``service.models.TaskStatus``)."""

    SUCCEEDED = 0
    FAILED = 1
    WOKEN = 2  # not in the callback: its status is missing or not understood, so that it only wakes the wait


_STATUS = {
    **dict.fromkeys(("0", "0.0", "success", "succeeded", "ok", "成功"), DeliveryStatus.SUCCEEDED),
    **dict.fromkeys(("1", "1.0", "fail", "failed", "failure", "error", "失败"), DeliveryStatus.FAILED),
}


@dataclass(frozen=True, slots=True)
class Delivery:
    """The content of a callback.

    The service does not sign callbacks, so a delivery proves nothing: it ends a pause, and progress decides.

    :ivar reason: the reason of a failure, as the caller claims it: printable, at most 500 characters, and without the
        secrets of URLs that it quotes; ``""`` if there is none.
    :ivar fileID: the id of the image, as the caller claims it.
    :ivar url: the source URL, as the caller claims it.
    """

    callback_id: str
    status: DeliveryStatus
    reason: str = ""
    fileID: str | None = None
    url: str | None = None

    @classmethod
    def parse(cls, callback_id: str, body: bytes, content_type: str = "", query: str = "") -> Delivery:
        """Parse a callback. What is not understood still wakes the wait, because only the service knows the URL.

        :param content_type: the header of that name.
        :param query: the query string.
        """
        fields = read_fields(body, content_type, query)
        url = _url(fields.get("url"))
        reason = _printable(fields.get("failReason") or fields.get("fileReason"))
        return cls(
            callback_id,
            _status(fields.get("status")),
            _cut(_redacted(reason, url)),
            _file_id(fields.get("fileID", fields.get("fileId"))),
            url,
        )

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Delivery:
        """Read a dict of :meth:`as_dict`.

        :raises ValueError: the dict lacks a field.
        """
        callback_id, status = data.get("callback_id"), data.get("status")
        if (
            not isinstance(callback_id, str)
            or not isinstance(status, int)
            or status not in (*DeliveryStatus,)
        ):
            raise ValueError("callback_id or status is missing")
        reason, file_id, url = (data.get(name) for name in ("reason", "fileID", "url"))
        return cls(
            callback_id, DeliveryStatus(status), _cut(_printable(reason)), _file_id(file_id), _url(url)
        )

    def as_dict(self) -> dict[str, Any]:
        """Return all fields, as JSON allows them."""
        return {"callback_id": self.callback_id, **self.content}

    @property
    def content(self) -> dict[str, Any]:
        """All fields but the callback_id."""
        return {"status": int(self.status), "reason": self.reason, "fileID": self.fileID, "url": self.url}


def _status(value: Any) -> DeliveryStatus:
    known = isinstance(value, (int, float, str)) and not isinstance(value, bool)
    return _STATUS.get(str(value).strip().lower(), DeliveryStatus.WOKEN) if known else DeliveryStatus.WOKEN


def _printable(value: Any) -> str:
    if not isinstance(value, str):
        return ""
    return "".join(character for character in " ".join(value.split()) if character.isprintable())


def _redacted(reason: str, url: str | None) -> str:
    """Redact the source URL, if the callback names it, and all other URLs that the reason quotes."""
    if reason and url:
        reason = redact_text(reason, url)
    return redact_quoted_urls(reason)


def _cut(reason: str) -> str:
    """Cut a reason that is too long, before the word that the limit would divide.

    The submission knows secrets that this delivery does not name, and cannot recognize half of one.
    """
    if len(reason) <= _MAX_REASON_LENGTH:
        return reason
    cut = reason[:_MAX_REASON_LENGTH]
    if _LAST_WORD.match(reason[_MAX_REASON_LENGTH]):
        cut = _LAST_WORD.sub("", cut)
    return cut.rstrip() or "***"


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
