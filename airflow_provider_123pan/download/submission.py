"""A submission: one call that created an offline task, as it travels from the operator to whoever waits."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import unquote, urlsplit

from airflow_provider_123pan.exceptions import Pan123InputError

#: What an image's name may end with (the service's documents, "create an offline migration").
EXTENSIONS = frozenset({"png", "gif", "jpeg", "tiff", "webp", "jpg", "tif", "svg", "bmp"})
ROOTS = frozenset({"", "0", "/"})  # the root's id, and what people take it for


@dataclass(frozen=True, slots=True)
class Request:
    """What shall be fetched, checked before anything is sent."""

    url: str
    file_name: str | None
    directory_id: str | None

    @classmethod
    def of(cls, url: Any, file_name: Any, directory_id: Any) -> Request:
        """Check an operator's arguments; an error names the field and the fix."""
        return cls(
            check_url(url), check_file_name(file_name) or name_of(url), check_directory_id(directory_id)
        )

    def digest(self, account: str) -> str:
        """Equal for equal requests of one account only."""
        parts = (account, self.url, self.file_name, self.directory_id)
        return hashlib.sha256(repr(parts).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Submission:
    """A submission; its fields are the operator's XCom keys.

    :ivar taskID: the service's number; None only where an earlier try was found again without it.
    :ivar file_name: the name that was sent; None where none was.
    :ivar directory_id: as it was given.
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
        return datetime.fromisoformat(self.submitted_at) if self.submitted_at else None

    def xcom(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def parse(cls, value: Any) -> Submission:
        """From the operator's dict, or from a bare taskID."""
        if isinstance(value, Mapping):
            return cls._of_mapping(value)
        if isinstance(value, str) and value.strip().isdecimal():
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return cls(taskID=value)
        if isinstance(value, (tuple, list)) and len(value) == 2 and value[0] in cls.__dataclass_fields__:
            raise Pan123InputError(
                f"submission: got the pair ({value[0]!r}, …): the sensor was expanded over an operator that is "
                "not mapped; pass submission=submit.output, or map the operator as well"
            )
        raise Pan123InputError(
            f"submission: got {_kind(value)}; pass the operator's output (submission=submit.output) or a taskID; "
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
                raise Pan123InputError(f"submission: {name} is {_kind(getattr(found, name))}, not a text")
        try:
            aware = found.moment is None or found.moment.tzinfo is not None
        except (TypeError, ValueError):
            aware = False
        if not aware:
            raise Pan123InputError("submission: submitted_at is not a moment in ISO 8601 with its offset")
        return found


def name_of(url: str) -> str | None:
    """The image's name as its address shows it, or None where it shows none."""
    name = unquote(urlsplit(url).path).rsplit("/", 1)[-1]
    return name if _is_plain(name) and _has_extension(name) else None


def _is_plain(name: str) -> bool:
    return name.isprintable() and not set(name) & {"/", "\\"}


def _has_extension(name: str) -> bool:
    stem, _, extension = name.rpartition(".")
    return bool(stem) and extension.lower() in EXTENSIONS


def check_url(url: Any) -> str:
    if not isinstance(url, str) or not url.strip():
        raise Pan123InputError(f"url: got {_kind(url)}; give the image's address, with http:// or https://")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise Pan123InputError("url: it is not an address: host or port cannot be read") from None
    if parts.scheme not in ("http", "https"):
        raise Pan123InputError(
            f"url: the scheme {parts.scheme!r} is not http or https; 123pan fetches from nowhere else"
        )
    if not host or any(character.isspace() for character in url):
        raise Pan123InputError("url: it has no host or holds white space; percent-encode the address")
    return url


def check_file_name(name: Any) -> str | None:
    if name is None or name == "":
        return None
    if not isinstance(name, str) or not _has_extension(name):
        raise Pan123InputError(
            f"file_name: {name!r} needs a name and an image extension, one of {', '.join(sorted(EXTENSIONS))}"
        )
    if not _is_plain(name):
        raise Pan123InputError(
            f"file_name: {name!r} must be a plain name; the directory goes into directory_id"
        )
    return name


def check_directory_id(directory_id: Any) -> str | None:
    if directory_id is None:
        return None
    if isinstance(directory_id, bool) or not isinstance(directory_id, (str, int)):
        raise Pan123InputError(f"directory_id: got {_kind(directory_id)}; give a directory's id, or None")
    if (text := str(directory_id).strip()) in ROOTS:
        raise Pan123InputError(
            f"directory_id: {text!r} is the root, into which 123pan does not download; give a directory's id, "
            "or None for the directory 来自:离线下载"
        )
    return text


def _kind(value: Any) -> str:
    return repr(value) if value is None or value == "" else f"a {type(value).__name__}"
