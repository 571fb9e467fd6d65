"""The options of the sandbox: one model for the command, for `Sandbox(...)` and for `PUT /sandbox/settings`."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter

from airflow_provider_123pan.sandbox.answers import ScriptedAnswer
from airflow_provider_123pan.sandbox.callback_forms import CallbackForm, StatusForm
from airflow_provider_123pan.sandbox.dates import DateForm, ExpiryForm
from airflow_provider_123pan.sandbox.drive import DriveFile
from airflow_provider_123pan.sandbox.limits import RateKind
from airflow_provider_123pan.sandbox.naming import (
    DEFAULT_DIRECTORY_NAMES,
    MAX_CUT_LENGTH,
    DefaultDirectory,
    Naming,
    Numbering,
)

FIXED_AT_START = ("host", "port")


def _seconds_range(value: Any) -> Any:
    """Return the minimum and maximum of a duration in seconds, given as `2`, `"2"`, `"1,3"` or `[1, 3]`."""
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, (list, tuple)):
        parts = [parts]
    try:
        low, high = float(parts[0]), float(parts[-1])
    except (IndexError, TypeError, ValueError):
        low = high = float("nan")
    if len(parts) > 2 or not 0 <= low <= high < float("inf"):
        raise ValueError("must be a number of seconds, or a range of two numbers with the smaller one first")
    return low, high


def _accounts(value: Any) -> Any:
    """Parse accounts that are given on the command line, as `id:secret,id2:secret2`."""
    if isinstance(value, str):
        return {name: secret for name, _, secret in (pair.partition(":") for pair in value.split(","))}
    return value


def _json(value: Any) -> Any:
    """Parse a list that is given on the command line, as JSON."""
    return TypeAdapter(list[Any]).validate_json(value) if isinstance(value, str) else value


def _empty_is_none(value: Any) -> Any:
    return None if value == "" else value


SecondsRange = Annotated[tuple[float, float], BeforeValidator(_seconds_range)]
Pattern = Annotated[re.Pattern[str] | None, BeforeValidator(_empty_is_none)]
Rate = Annotated[float | None, Field(gt=0), BeforeValidator(_empty_is_none)]


class Options(BaseModel):
    """The options; the command has an argument of the same name for each."""

    model_config = ConfigDict(extra="forbid", validate_assignment=False)

    host: str = Field(
        "127.0.0.1",
        description="address to listen on (fixed at start); loopback only, because the sandbox shows its secrets to "
        "everyone who reaches it; another address also switches off the check of the Host header",
    )
    port: int = Field(0, ge=0, le=65535, description="port to listen on; 0 = a free port (fixed at start)")
    accounts: Annotated[dict[str, str], BeforeValidator(_accounts)] = Field(
        {"sandbox-client": "sandbox-secret-0123456789"},
        min_length=1,
        description="clientSecret of each clientID that may log in; on the command line id:secret,id2:secret2",
    )
    delay: SecondsRange = Field((0.5, 0.5), description="seconds an offline task takes, or a range a,b")
    latency: SecondsRange = Field(
        (0, 0), description="seconds by which each API answer is delayed, or a range a,b"
    )
    rate: Rate = Field(
        None, description="calls per second and clientID, except logins; calls above this get 429"
    )
    rate_kind: RateKind = Field(
        "bucket",
        description="token buckets that hold the calls of one second, or fixed windows of one second or one minute",
    )
    login_rate: Rate = Field(None, description="logins per second and clientID; logins above this get 429")
    token_cap: int = Field(
        3, ge=1, description="number of valid tokens per clientID; a login above this revokes the oldest"
    )
    token_life: float = Field(30 * 86400, gt=0, description="seconds for which a token is valid")
    token_uses: int | None = Field(
        None, ge=1, description="number of calls for which a token is valid; calls above this revoke it"
    )
    expiry: ExpiryForm = Field(
        "beijing",
        description="expiredAt: beijing: 2026-01-02T03:04:05+08:00; utc: the same time with +00:00; "
        "no-offset: Beijing time without an offset; unix: seconds as a number; unreadable: no date at all",
    )
    active_cap: int | None = Field(
        None, ge=0, description="number of offline tasks per clientID that may run at the same time"
    )
    first_task_id: int = Field(403316, ge=1, lt=2**63, description="smallest taskID for new tasks")
    fail: Pattern = Field(None, description="regex on url: the task fails")
    fail_reason: str = Field("the source answered 404", description="reason of the tasks that `fail` matches")
    review: Pattern = Field(None, description="regex on url: the image is rejected by review (status 101)")
    stuck: Pattern = Field(None, description="regex on url: the task keeps status 3 and never ends")
    hold: Pattern = Field(None, description="regex on url: the task runs until this option no longer matches")
    retrying: Pattern = Field(None, description="regex on url: progress reports status 3 once before the end")
    visible_after: float = Field(
        0, ge=0, description="seconds from the end of a task until list and detail show the image"
    )
    unknown_task: float = Field(0, ge=0, description="seconds for which progress does not know a new taskID")
    unknown_task_as: Literal["refused", "running"] = Field(
        "refused",
        description='progress of a taskID that is not known: refused: code 1; running: `{"process": 0, "status": 0}`',
    )
    callback: Literal["normal", "never", "late", "twice", "twice-at-once", "early", "lying", "wrong-file"] = (
        Field(
            "normal",
            description="normal: once, when the task ends; never: no callback; late: callback_delay after the end; "
            "twice: at the end and callback_delay later; twice-at-once: two at the end; "
            "early: before the submission is answered; lying: with the opposite status; "
            "wrong-file: with the fileID of another image",
        )
    )
    callback_delay: float = Field(
        2, ge=0, description="seconds that callbacks of the kinds `late` and `twice` wait"
    )
    callback_form: CallbackForm = Field(
        "json",
        description="how callbacks are sent: json: POST of a JSON object; form: POST of a form; multipart: POST of a "
        "multipart form; query: GET with a query string; put: PUT of a JSON object; list: the object in a list; "
        'wrapped: the object in `{"code": 0, "data": …}`; gbk: the object encoded in GBK',
    )
    status_as: StatusForm = Field(
        "number",
        description="status in a callback: number: 0 or 1; bool: true for success; float: 0.0 or 1.0; "
        "word: success or failed; missing: no status",
    )
    reason_spelling: Literal["failReason", "fileReason"] = Field(
        "failReason", description="key of the reason in a callback"
    )
    file_id_as: Literal["string", "number"] = Field(
        "string",
        description="type of the fileID in a callback; detail, move and delete accept the number too",
    )
    fetch: bool = Field(
        True, description="download and check source images; otherwise each URL gets an invented tiny image"
    )
    max_bytes: int = Field(
        100 * 1024 * 1024, ge=1, description="size of the largest image that is accepted, in bytes"
    )
    default_directory: DefaultDirectory = Field(
        "half-width",
        description="colon in the name of the directory of images submitted without one: "
        + " or ".join(DEFAULT_DIRECTORY_NAMES.values()),
    )
    default_directories: int = Field(
        1,
        ge=1,
        description="number of directories of that name; images submitted without one go to each in turn",
    )
    naming: Naming = Field(
        "kept",
        description="name of a stored image: kept: the wanted name; timestamped: name_20260102030405.jpg; "
        "hashed: the MD5 as name; nfd: accents as separate characters (Unicode NFD); "
        "jpg: jpg instead of jpeg, and tif instead of tiff; "
        f"cut: the end of the stem is cut off, so that the name has at most {MAX_CUT_LENGTH} characters",
    )
    numbering: Numbering = Field(
        "name(1)", description="how a number is added, before the extension, to a name that is taken"
    )
    same_etag: Literal["rename", "keep"] = Field(
        "rename",
        description="name of an image that an equal one in its directory overwrites: the new or the old one",
    )
    same_etag_dates: Literal["refresh", "keep"] = Field(
        "refresh", description="dates of an overwritten image: new or old ones"
    )
    dates: DateForm = Field(
        "beijing",
        description="createAt and updateAt: beijing: 2026-01-02 03:04:05 in Beijing time; utc: the same in UTC; "
        "unix: seconds as a number; slashes: 2026/01/02 03:04:05; empty: an empty string",
    )
    clock_offset: float = Field(
        0, description="seconds that the dates of images stored from now on are ahead; negative = behind"
    )
    image_urls: Literal["everywhere", "detail", "nowhere"] = Field(
        "everywhere", description="which answers contain image URLs: list and detail, detail only, or none"
    )
    own_domain: str = Field(
        "", description="base of userSelfURL, such as https://img.example.com; empty = no userSelfURL"
    )
    slice_size: int = Field(104_857_600, ge=1, description="bytes of each slice of an upload but the last")
    reuse: bool = Field(
        True, description="an announced image whose bytes the account has already is stored without an upload"
    )
    upload_url_life: float = Field(3600, ge=0, description="seconds for which a presigned URL is valid")
    upload_end: Literal["async", "at-once"] = Field(
        "async",
        description="how an upload is completed: async: upload_async_result reports the fileID; "
        "at-once: upload_complete does",
    )
    upload_delay: float = Field(
        0, ge=0, description="seconds from the completion of an upload to the stored image"
    )
    upload_cap: int | None = Field(
        60,
        ge=0,
        description="number of uploads per clientID that may be in flight; one above this bans its calls that write",
    )
    ban_seconds: float = Field(9000, ge=0, description="seconds for which such a ban lasts")
    drive_files: Annotated[list[DriveFile], BeforeValidator(_json)] = Field(
        [],
        description="files of the cloud drive that can be copied, as a JSON list of objects such as "
        '`[{"file_id": "1", "filename": "a.png", "fails": true}]`',
    )
    copy_delay: float = Field(0, ge=0, description="seconds that a copy from the cloud drive takes")
    gateway: Pattern = Field(None, description="regex on path: the gateway answers with HTTP 502 and HTML")
    gateway_times: int | None = Field(
        None, ge=0, description="number of calls that `gateway` fails; none = unlimited"
    )
    gateway_share: float = Field(1, ge=0, le=1, description="probability that `gateway` fails a call")
    answers: Annotated[list[ScriptedAnswer], BeforeValidator(_json)] = Field(
        [],
        description="scripted answers as a JSON list of objects, such as "
        '`[{"path": "/file/detail$", "fault": "verifying"}]`; the first that matches and is not used up applies',
    )

    def changed(self, changes: dict[str, Any]) -> Options:
        """Return new options with some values changed.

        :param changes: New values by the options' names.
        :raises pydantic.ValidationError: A value is invalid.
        """
        return Options.model_validate({**dict(self), **changes})

    def take(self, other: Options) -> None:
        """Take over all values of other options; all parts of the sandbox share this object and see them at once."""
        for name in Options.model_fields:
            setattr(self, name, getattr(other, name))
