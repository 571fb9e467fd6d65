"""A submission: one call that created an offline task, as it travels from the operator to the wait for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from airflow_provider_123pan.download.request import kind_of
from airflow_provider_123pan.exceptions import Pan123InputError

_MAX_DIGITS = 20  # a taskID has 64 bits
_HEX_DIGITS = frozenset("0123456789abcdef")


@dataclass(frozen=True, slots=True)
class Submission:
    """A submission; its fields are the operator's XCom keys.

    :ivar taskID: the service's number of the offline task; None only if an earlier try was recognized by its image.
    :ivar url: the source URL.
    :ivar file_name: the name that was sent; None if only the taskID is known.
    :ivar directory_id: as the operator got it.
    :ivar callback_id: None without a callback.
    :ivar submitted_at: by the service's clock, ISO 8601, UTC.
    """

    taskID: int | None
    url: str | None = None
    file_name: str | None = None
    directory_id: str | None = None
    callback_id: str | None = None
    submitted_at: str | None = None

    @property
    def moment(self) -> datetime | None:
        """When it was submitted."""
        return datetime.fromisoformat(self.submitted_at) if self.submitted_at else None

    @property
    def redacted_url(self) -> str:
        """The source URL for logs and errors, without what signs it."""
        from airflow_provider_123pan.service.redaction import redact_url  # not needed by a DAG file

        return redact_url(self.url) if self.url else f"the image of taskID {self.taskID}"

    def redact(self, text: str) -> str:
        """Redact the source URL in a message that quotes it, wholly or in part."""
        from airflow_provider_123pan.service.redaction import redact_text

        return redact_text(text, self.url) if self.url else text

    def xcom(self) -> dict[str, Any]:
        """Return the operator's XCom."""
        return asdict(self)

    @classmethod
    def parse(cls, value: Any) -> Submission:
        """Read what the operator returned, or a bare taskID."""
        if isinstance(value, Mapping):
            return cls._of_mapping(value)
        if isinstance(value, str) and len(value) <= _MAX_DIGITS and value.strip().isdecimal():
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return cls(taskID=value)
        pair = isinstance(value, (tuple, list)) and len(value) == 2 and isinstance(value[0], str)
        if pair and value[0] in cls.__dataclass_fields__:
            raise Pan123InputError(
                f"submission: got the pair ({value[0]!r}, …): the sensor was expanded over an operator that is "
                "not mapped; pass submission=submit.output, or map the operator as well"
            )
        raise Pan123InputError(
            f"submission: got {kind_of(value)}; pass the operator's output (submission=submit.output) or a taskID; "
            "for several, map the sensor (.expand(submission=submit.output))"
        )

    @classmethod
    def _of_mapping(cls, value: Mapping[str, Any]) -> Submission:
        if "taskID" not in value:
            raise Pan123InputError(
                "submission: the dict has no taskID; pass the output of Pan123OfflineDownloadOperator"
            )
        found = cls(**{name: value.get(name) for name in cls.__dataclass_fields__})
        if found.taskID is not None:
            found = replace(found, taskID=cls.parse(found.taskID).taskID)
        elif found.file_name is None and found.callback_id is None:
            raise Pan123InputError("submission: taskID and file_name are None, so nothing can be looked for")
        texts = ("url", "file_name", "directory_id", "callback_id", "submitted_at")
        for name in texts:
            if not isinstance(getattr(found, name), (str, type(None))):
                raise Pan123InputError(f"submission: {name} is {kind_of(getattr(found, name))}, not a text")
        if found.callback_id is not None and (
            len(found.callback_id) != 32 or not _HEX_DIGITS.issuperset(found.callback_id)
        ):
            raise Pan123InputError("submission: callback_id is not 32 lower-case hex digits")
        try:
            aware = found.moment is None or found.moment.tzinfo is not None
        except (TypeError, ValueError):
            aware = False
        if not aware:
            raise Pan123InputError("submission: submitted_at is not a moment in ISO 8601 with its offset")
        return found
