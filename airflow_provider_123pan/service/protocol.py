"""Every call as a request and every answer as a value or an error, without any input or output."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any, Generic, TypeAlias, TypeVar

from airflow_provider_123pan.exceptions import (
    Pan123AnswerError,
    Pan123Error,
    Pan123NoDataError,
    Pan123RateLimitError,
    Pan123RedirectError,
    Pan123TokenError,
    Pan123UnavailableError,
)
from airflow_provider_123pan.service.body import parse_json
from airflow_provider_123pan.service.error_codes import AMBIGUOUS_STATUSES, help_code_of
from airflow_provider_123pan.service.fields import whole_number
from airflow_provider_123pan.service.flow import Await, Blocking, NeedToken, Sleep, Slot
from airflow_provider_123pan.service.models import (
    PLAUSIBLE_YEARS,
    AccessToken,
    Directory,
    Image,
    Listing,
    OfflineTask,
)
from airflow_provider_123pan.service.redaction import redact_quoted_urls, redact_text, redact_url
from airflow_provider_123pan.service.refusals import advice_for, error_kind
from airflow_provider_123pan.service.timing import RETRY_FOR_SECONDS

T = TypeVar("T")

BASE_URL = "https://open-api.123pan.com"
#: Entries on one page of a directory, the service's maximum (official).
PAGE = 100
#: Shorter than other time-outs, because other processes wait for the one that logs in.
LOGIN_TIMEOUT_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP response.

    :ivar seconds: from the start of its request, connection included, to the first byte of the answer.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float = 0.0

    @property
    def date(self) -> datetime:
        """The time of the answer in UTC: by the service's clock, or by this host's without a usable ``Date`` header."""
        try:
            date = parsedate_to_datetime(self.headers["Date"])
            date = date.astimezone(timezone.utc) if date.tzinfo else date.replace(tzinfo=timezone.utc)
        except (KeyError, ValueError, TypeError, OverflowError):
            return datetime.now(timezone.utc)
        return date if date.year in PLAUSIBLE_YEARS else datetime.now(timezone.utc)


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """A call of the service.

    :ivar name: the provider's name of the call, which begins its error messages.
    :ivar path: path below the base URL.
    :ivar parse: converts the answer's ``data`` to a value; raises ValueError if it cannot.
    :ivar body: the request's JSON.
    :ivar params: the request's query parameters.
    :ivar timeout: seconds; None: the endpoint's timeout.
    :ivar reads: it changes nothing, so that it may be repeated.
    """

    name: str
    method: str
    path: str
    parse: Callable[[Any, Answer], T]
    body: Mapping[str, Any] | None = field(default=None, repr=False)
    params: Mapping[str, str] | None = None
    timeout: float | None = None
    reads: bool = False


@dataclass(frozen=True, slots=True)
class Send(Generic[T]):
    """Step: send a request and return its :class:`Answer`; without one, raise Pan123UnavailableError."""

    call: Call[T]
    token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class MakeCall(Generic[T]):
    """Step: make a call by :func:`~airflow_provider_123pan.service.exchange.exchange` and return its value."""

    call: Call[T]
    retry_for: float = RETRY_FOR_SECONDS


#: Every step that a client can perform.
Step: TypeAlias = Send[Any] | MakeCall[Any] | Sleep | Slot | NeedToken | Blocking[Any] | Await[Any]


# -- the calls -----------------------------------------------------------------------------------------------


def login(client_id: str, client_secret: str) -> Call[AccessToken]:
    """Return ``POST /api/v1/access_token``: a new access token; it may revoke the client ID's oldest one."""
    return Call(
        "login",
        "POST",
        "/api/v1/access_token",
        lambda data, answer: AccessToken.issued(data, answer.date),
        body={"clientID": client_id, "clientSecret": client_secret},
        timeout=LOGIN_TIMEOUT_SECONDS,
    )


def create_offline_download(
    url: str,
    file_name: str | None = None,
    directory_id: str | None = None,
    callback_url: str | None = None,
) -> Call[OfflineTask]:
    """Return ``POST /api/v1/oss/offline/download``: a new offline task, which downloads ``url`` in the background."""
    optional = {"fileName": file_name, "businessDirID": directory_id, "callBackUrl": callback_url}
    return Call(
        "create_offline_download",
        "POST",
        "/api/v1/oss/offline/download",
        lambda data, answer: OfflineTask.created(data, answer.date, answer.seconds),
        body={"url": url, "type": 1} | {key: value for key, value in optional.items() if value is not None},
    )


def get_offline_download(taskID: int) -> Call[OfflineTask]:
    """Return ``GET /api/v1/oss/offline/download/process``: the progress of an offline task."""
    return Call(
        "get_offline_download",
        "GET",
        "/api/v1/oss/offline/download/process",
        lambda data, answer: OfflineTask.parse(data, taskID, answer.date),
        params={"taskID": str(taskID)},
        reads=True,
    )


def list_directory(
    directory_id: str = "", since: datetime | None = None, last_file_id: str | None = None
) -> Call[Listing]:
    """Return ``POST /api/v1/oss/file/list``: one page of a directory.

    :param directory_id: ``""`` for the root.
    :param since: leave out everything older.
    :param last_file_id: where the page begins; None for the first page.
    """
    body: dict[str, Any] = {"parentFileId": directory_id, "limit": PAGE, "type": 1}
    if since is not None:
        body |= {"startTime": int(since.timestamp()), "endTime": int(time.time()) + 86_400}
    if last_file_id is not None:
        body["lastFileId"] = last_file_id
    return Call(
        "list_images",
        "POST",
        "/api/v1/oss/file/list",
        lambda data, _: Listing.parse(data or {}),
        body=body,
        reads=True,
    )


def make_directory(name: str, parent_id: str = "", *, listed: bool = False) -> Call[Directory]:
    """Return ``POST /upload/v1/oss/file/mkdir``: a new directory, whose name must not exist yet.

    :param parent_id: ``""`` for the root.
    :param listed: send the name as a list, as the table of the official page says; its sample shows a string.
    """
    return Call(
        "make_directory",
        "POST",
        "/upload/v1/oss/file/mkdir",
        lambda data, _: Directory.made(data),
        body={"name": [name] if listed else name, "parentID": parent_id, "type": 1},
    )


def get_image(fileID: str) -> Call[Image]:
    """Return ``GET /api/v1/oss/file/detail``: one image."""
    return Call(
        "get_image",
        "GET",
        "/api/v1/oss/file/detail",
        lambda data, _: Image.parse(data),
        params={"fileID": fileID},
        reads=True,
    )


# -- the answers ---------------------------------------------------------------------------------------------


def read(call: Call[T], answer: Answer) -> T:
    """Return an answer's value, or raise its error.

    The code in the body takes precedence over the HTTP status, which decides only if the body is not the service's
    JSON. The error quotes no secret of a URL that the answer quotes.

    :raises Pan123Error: the subclass that fits the code, the message or the status.
    """
    if 300 <= answer.status < 400:
        raise Pan123RedirectError(
            f"HTTP {answer.status} redirects to {redact_url(answer.headers.get('Location', 'an unnamed URL'))!r:.200}, "
            "which is not followed; set the connection's host to the URL of the open platform",
            call=call.name,
            code=answer.status,
        )
    try:
        envelope = parse_json(answer.body)
        code = envelope["code"]
    except (ValueError, KeyError, TypeError):
        raise _explained(_without_envelope(call, answer)) from None
    trace_id, message = (_text(envelope.get(name)) for name in ("x-traceID", "message"))
    if (code := whole_number(code)) is None:
        raise Pan123AnswerError("the answer's code is not a number", call=call.name, trace_id=trace_id)
    if code != 0:
        message = message or "no message"
        # Code 1 is used for almost everything (observed): a specific HTTP status takes precedence.
        specific = answer.status if code == 1 and answer.status in (401, 429, *range(500, 600)) else code
        kind = error_kind(specific, message, login=call.name == "login")
        shown = _redacted(call, message) + advice_for(kind, code, message)
        raise _explained(kind(shown, call=call.name, code=code, trace_id=trace_id))
    data = envelope.get("data")
    try:
        return call.parse(data, answer)
    except ValueError as error:
        raise (Pan123AnswerError if data else Pan123NoDataError)(
            f"the answer is not understood: {_redacted(call, str(error))}",
            call=call.name,
            code=code,
            trace_id=trace_id,
        ) from None


def _redacted(call: Call[Any], text: str) -> str:
    """Redact the URLs that an answer quotes, and any part of the secrets that the call sent."""
    sent = call.body or {}
    if source_url := sent.get("url"):
        text = redact_text(text, source_url)
    if callback_url := sent.get("callBackUrl"):
        text = text.replace(callback_url.rpartition("/")[2], "***")
    return redact_quoted_urls(text)


def _explained(error: Pan123Error) -> Pan123Error:
    error.help_code = help_code_of(error.code, error.message) or error.help_code
    return error


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _without_envelope(call: Call[Any], answer: Answer) -> Pan123Error:
    status, words = answer.status, _first_words(call, answer.body)
    if status < 400:
        message = f"HTTP {status} without the service's JSON{words}; if it stays, check the connection's host"
        return Pan123UnavailableError(message, call=call.name, code=status, ambiguous=True)
    message = (
        f"HTTP {status} from the gateway, not the service{words}; if it stays, check the connection's host"
    )
    if status == 429:
        return Pan123RateLimitError(message, call=call.name, code=status)
    if status == 401 and call.name != "login":
        return Pan123TokenError(message, call=call.name, code=status)
    ambiguous = status == 500 or status in AMBIGUOUS_STATUSES
    return Pan123UnavailableError(message, call=call.name, code=status, ambiguous=ambiguous)


def _first_words(call: Call[Any], body: bytes) -> str:
    """Quote the beginning of a body that is not the service's JSON, since only that shows the cause."""
    text = _redacted(call, re.sub(r"<[^>]*>", " ", body[:2000].decode("utf-8", "replace")))
    words = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return f" ({words[:100]})" if words else ""
