"""All options of the sandbox: one model for the CLI, for `Sandbox(...)` and for `PUT /sandbox/settings`."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, TypeAdapter

FIXED_AT_START = ("host", "port")


def _span(value: Any) -> Any:
    """`2`, `"2"`, `"1,3"` and `[1, 3]` all say between how many seconds something lasts."""
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, (list, tuple)):
        parts = [parts]
    try:
        low, high = float(parts[0]), float(parts[-1])
    except (IndexError, TypeError, ValueError):
        low = high = float("nan")
    if len(parts) > 2 or not 0 <= low <= high < float("inf"):
        raise ValueError("a span of seconds is one number, or two with the smaller one first")
    return low, high


def _accounts(value: Any) -> Any:
    """`"id:secret,id2:secret2"`, as the command line gives it, or a mapping."""
    if isinstance(value, str):
        return {name: secret for name, _, secret in (pair.partition(":") for pair in value.split(","))}
    return value


def _json(value: Any) -> Any:
    """The command line gives a list of answers as JSON text."""
    return TypeAdapter(list[Any]).validate_json(value) if isinstance(value, str) else value


def _empty_is_none(value: Any) -> Any:
    return None if value == "" else value


Span = Annotated[tuple[float, float], BeforeValidator(_span)]
Pattern = Annotated[re.Pattern[str] | None, BeforeValidator(_empty_is_none)]
Rate = Annotated[float | None, Field(gt=0), BeforeValidator(_empty_is_none)]


class ScriptedAnswer(BaseModel):
    """A scripted answer: what the next `times` calls of a matching path get."""

    model_config = ConfigDict(extra="forbid")

    path: re.Pattern[str] = Field(description="regex searched in the path, e.g. '/offline/download$'")
    times: int | None = Field(1, description="for how many calls; null = for ever")
    action: Literal["answer", "process-then-answer", "drop", "process-then-drop", "pass"] = Field(
        "answer",
        description="answer: give this instead of the work; drop: close the connection without an answer; "
        "process-then-...: do the work first; pass: only the delay, then the usual answer",
    )
    status: int = Field(200, ge=200, le=599, description="the HTTP status")
    body: JsonValue = Field("", description="a string is sent raw; anything else as JSON")
    headers: dict[str, str] = Field(default_factory=dict)
    delay: float = Field(0, ge=0, description="seconds before the answer (after the work)")


class Options(BaseModel):
    """The options; each is an argument of the command line with the same name."""

    model_config = ConfigDict(extra="forbid", validate_assignment=False)

    host: str = Field("127.0.0.1", description="address to listen on (fixed at start)")
    port: int = Field(0, ge=0, le=65535, description="port to listen on; 0 = a free one (fixed at start)")
    accounts: Annotated[dict[str, str], BeforeValidator(_accounts)] = Field(
        {"sandbox-client": "sandbox-secret-0123456789"},
        min_length=1,
        description="who may log in, clientID to clientSecret; on the command line id:secret,id2:secret2",
    )
    delay: Span = Field((0.5, 0.5), description="seconds an offline task takes, or a range a,b")
    latency: Span = Field((0, 0), description="seconds added to each API answer, or a range a,b")
    rate: Rate = Field(None, description="calls per second and clientID over which 429 is given (not logins)")
    rate_kind: Literal["bucket", "window"] = Field(
        "bucket", description="token bucket that holds one second's worth, or fixed one-second windows"
    )
    login_rate: Rate = Field(None, description="logins per second and clientID, over which 429 is given")
    token_cap: int = Field(3, ge=1, description="tokens of one clientID that are alive at once")
    token_life: float = Field(30 * 86400, gt=0, description="seconds a token lives")
    active_cap: int | None = Field(None, ge=0, description="offline tasks of one clientID that run at once")
    first_task_id: int = Field(403316, ge=1, lt=2**63, description="the next taskID is at least this")
    fail: Pattern = Field(None, description="regex on url: the task ends in failure")
    fail_reason: str = Field("the source answered 404", description="the reason that `fail` gives")
    review: Pattern = Field(None, description="regex on url: the image is rejected by review (status 101)")
    stuck: Pattern = Field(None, description="regex on url: the task has status 3 for ever")
    hold: Pattern = Field(None, description="regex on url: the task runs until this option no longer matches")
    retrying: Pattern = Field(None, description="regex on url: progress says 3 at least once before the end")
    visible_after: float = Field(
        0, ge=0, description="seconds from progress 2 until the image is in list and detail"
    )
    unknown_task: float = Field(0, ge=0, description="seconds in which a new taskID is answered by an error")
    callback: Literal["normal", "never", "late", "twice", "twice-at-once", "early", "lying", "wrong-file"] = (
        Field(
            "normal",
            description="late: after callback_delay; twice: at the end and after callback_delay; "
            "early: before the submission is answered; "
            "lying: the opposite status; wrong-file: another fileID",
        )
    )
    callback_delay: float = Field(2, ge=0, description="seconds that `late` and `twice` wait")
    reason_spelling: Literal["failReason", "fileReason"] = Field(
        "failReason", description="the callback's key of the reason"
    )
    file_id_as: Literal["string", "number"] = Field(
        "string",
        description="the callback's fileID; a number is an alias that detail, move and delete take as well",
    )
    fetch: bool = Field(
        True, description="download and check the image; without, tiny bytes are made from the url"
    )
    max_bytes: int = Field(100 * 1024 * 1024, ge=1, description="the largest image that is taken")
    same_etag: Literal["rename", "keep"] = Field(
        "rename", description="an equal image in the directory is overwritten: under the new name, or the old"
    )
    same_etag_dates: Literal["refresh", "keep"] = Field(
        "refresh", description="whether an overwritten image gets new dates"
    )
    own_domain: str = Field("", description="base of userSelfURL, e.g. https://img.example.com; empty = none")
    gateway: Pattern = Field(None, description="regex on path: the gateway answers HTTP 502 with HTML")
    gateway_times: int | None = Field(None, ge=0, description="for how many calls; none = for ever")
    gateway_share: float = Field(1, ge=0, le=1, description="with which probability per call")
    answers: Annotated[list[ScriptedAnswer], BeforeValidator(_json)] = Field(
        [], description="scripted answers, the first that matches and is not used up wins; a JSON list"
    )

    def changed(self, changes: dict[str, Any]) -> Options:
        """Return these options with `changes` applied; raise `pydantic.ValidationError` if one is invalid."""
        return Options.model_validate({**dict(self), **changes})

    def take(self, other: Options) -> None:
        """Everybody holds this one object, so a change reaches all of them at once."""
        for name in Options.model_fields:
            setattr(self, name, getattr(other, name))
