"""Each call as a request, each answer as a value or an error; no input or output happens here."""

from __future__ import annotations

import json
import random
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any, Generic, TypeVar

from airflow_provider_123pan.exceptions import (
    Pan123AnswerError,
    Pan123CredentialsError,
    Pan123Error,
    Pan123NoDataError,
    Pan123RateLimitError,
    Pan123RedirectError,
    Pan123ServiceError,
    Pan123TokenError,
    Pan123TooManyTasksError,
    Pan123UnavailableError,
    Pan123VerifyingError,
)
from airflow_provider_123pan.service.flow import Flow, NeedToken, Sleep, Slot
from airflow_provider_123pan.service.models import AccessToken, Directory, Image, Listing, OfflineTask
from airflow_provider_123pan.service.throttle import Throttle
from airflow_provider_123pan.service.timing import RETRY_FOR_SECONDS, TOO_MANY_TASKS_PAUSES

T = TypeVar("T")

BASE_URL = "https://open-api.123pan.com"
PAGE = 100  # entries per listing, the most that the service gives
LOGIN_TIMEOUT = 15.0  # seconds; other processes wait for the one that logs in

RATE_LIMIT_CODES = frozenset({429, 42902, 42903})
RATE_LIMIT_WORDS = ("请求太频繁", "操作频繁", "请稍后", "访问频繁", "请求过快")
VERIFYING = 20103
TOO_MANY_TASKS = "同时下载的任务超出最大限制"
INTERNAL_ERROR = "internal error"
TRAFFIC_EXCEEDED, NO_DEVELOPER = 5113, "无效的登录信息"  # refused to the account, not to the image
#: After these the gateway may have passed the request on before it gave up.
AMBIGUOUS_STATUSES = frozenset({502, 504})


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back over HTTP."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def date(self) -> datetime:
        """The service's clock; ours where its answer has no date."""
        try:
            moment = parsedate_to_datetime(self.headers["Date"])
        except (KeyError, ValueError, TypeError):
            return datetime.now(timezone.utc)
        return moment.astimezone(timezone.utc) if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One call: its request, and how its ``data`` becomes a value."""

    name: str
    method: str
    path: str
    parse: Callable[[Any, Answer], T]
    body: Mapping[str, Any] | None = field(default=None, repr=False)
    params: Mapping[str, str] | None = None
    timeout: float | None = None  # seconds; the endpoint's where it is None


@dataclass(frozen=True, slots=True)
class Send(Generic[T]):
    """Step: make this request and give its :class:`Answer`; raise Pan123UnavailableError without one."""

    call: Call[T]
    token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class MakeCall(Generic[T]):
    """Step: make this call from its start to its end (:func:`exchange`) and give its value."""

    call: Call[T]
    retry_for: float = RETRY_FOR_SECONDS


# -- the calls -----------------------------------------------------------------------------------------------


def login(client_id: str, client_secret: str) -> Call[AccessToken]:
    """``POST /api/v1/access_token``: a new access token; at most three of a client ID are alive."""
    return Call(
        "login",
        "POST",
        "/api/v1/access_token",
        lambda data, _: AccessToken.parse(data),
        body={"clientID": client_id, "clientSecret": client_secret},
        timeout=LOGIN_TIMEOUT,
    )


def create_offline_download(
    url: str,
    file_name: str | None = None,
    directory_id: str | None = None,
    callback_url: str | None = None,
) -> Call[OfflineTask]:
    """``POST /api/v1/oss/offline/download``: the service fetches ``url`` by itself, in the background."""
    optional = {"fileName": file_name, "businessDirID": directory_id, "callBackUrl": callback_url}
    return Call(
        "create_offline_download",
        "POST",
        "/api/v1/oss/offline/download",
        lambda data, answer: OfflineTask.created(data, answer.date),
        body={"url": url, "type": 1} | {key: value for key, value in optional.items() if value is not None},
    )


def get_offline_download(taskID: int) -> Call[OfflineTask]:
    """``GET /api/v1/oss/offline/download/process``: how far an offline task is."""
    return Call(
        "get_offline_download",
        "GET",
        "/api/v1/oss/offline/download/process",
        lambda data, answer: OfflineTask.parse(data, taskID, answer.date),
        params={"taskID": str(taskID)},
    )


def list_directory(
    directory_id: str = "", since: datetime | None = None, last_file_id: str | None = None
) -> Call[Listing]:
    """``POST /api/v1/oss/file/list``: one page of a directory (``""``: the root)."""
    body: dict[str, Any] = {"parentFileId": directory_id, "limit": PAGE, "type": 1}
    if since is not None:
        body |= {"startTime": int(since.timestamp()), "endTime": int(time.time()) + 86_400}
    if last_file_id is not None:
        body["lastFileId"] = last_file_id
    return Call(
        "list_images", "POST", "/api/v1/oss/file/list", lambda data, _: Listing.parse(data or {}), body=body
    )


def make_directory(name: str, parent_id: str = "", *, listed: bool = False) -> Call[Directory]:
    """``POST /upload/v1/oss/file/mkdir``: a new directory; a name may not repeat.

    :param listed: send the name as a list: the documents' table says so, their sample says a string.
    """
    return Call(
        "make_directory",
        "POST",
        "/upload/v1/oss/file/mkdir",
        lambda data, _: Directory.made(data),
        body={"name": [name] if listed else name, "parentID": parent_id, "type": 1},
    )


def get_image(fileID: str) -> Call[Image]:
    """``GET /api/v1/oss/file/detail``: one image."""
    return Call(
        "get_image",
        "GET",
        "/api/v1/oss/file/detail",
        lambda data, _: Image.parse(data),
        params={"fileID": fileID},
    )


# -- the answers ---------------------------------------------------------------------------------------------


def read(call: Call[T], answer: Answer) -> T:
    """What an answer means: its value, or the error that it is. The one place that decides this.

    The body's code comes before the HTTP status; where the body is not JSON, the status stands in.
    """
    if 300 <= answer.status < 400:
        raise Pan123RedirectError(
            f"HTTP {answer.status} redirects to {answer.headers.get('Location', 'an unnamed place')!r}, "
            "which is not followed; set the connection's host to the service's own address",
            call=call.name,
            code=answer.status,
        )
    try:
        envelope = json.loads(answer.body)
        code = envelope["code"]
    except (ValueError, KeyError, TypeError):
        raise _without_envelope(call, answer) from None
    trace_id = envelope.get("x-traceID")
    if (isinstance(code, str) and code.isdecimal()) or (isinstance(code, float) and code.is_integer()):
        code = int(code)
    if isinstance(code, bool) or not isinstance(code, int):
        raise Pan123AnswerError(
            f"the answer's code is {type(code).__name__}, not a number", call=call.name, trace_id=trace_id
        )
    if code != 0:
        message = str(envelope.get("message") or "no message")
        # Code 1 is the service's catch-all: where the status says more, it does.
        telling = answer.status if code == 1 and answer.status in (401, 429, *range(500, 600)) else code
        kind = _kind(call, telling, message)
        raise kind(message + _advice(kind, code, message), call=call.name, code=code, trace_id=trace_id)
    data = envelope.get("data")
    try:
        return call.parse(data, answer)
    except ValueError as error:
        raise (Pan123AnswerError if data else Pan123NoDataError)(
            f"the answer is not understood: {error}", call=call.name, code=code, trace_id=trace_id
        ) from None


def _kind(call: Call[Any], code: int, message: str) -> Callable[..., Pan123Error]:
    if code in RATE_LIMIT_CODES or any(words in message for words in RATE_LIMIT_WORDS):
        return Pan123RateLimitError
    if TOO_MANY_TASKS in message:
        return Pan123TooManyTasksError
    if code == VERIFYING:
        return Pan123VerifyingError
    if 500 <= code < 600:
        return partial(Pan123UnavailableError, ambiguous=code in AMBIGUOUS_STATUSES)
    if call.name == "login" and INTERNAL_ERROR not in message.lower():
        return Pan123CredentialsError
    return Pan123TokenError if code == 401 and call.name != "login" else Pan123ServiceError


def _advice(kind: Callable[..., Pan123Error], code: int, message: str) -> str:
    """What to do, where the service's own words do not say it."""
    if NO_DEVELOPER in message:
        return "; the account needs 123pan's developer package"
    if code == TRAFFIC_EXCEEDED:
        return "; the account's download traffic is used up"
    if kind is Pan123CredentialsError:
        return "; check the connection's login (client ID) and password (client secret)"
    return ""


def _without_envelope(call: Call[Any], answer: Answer) -> Pan123Error:
    status, words = answer.status, _first_words(answer.body)
    if status < 400:
        message = f"HTTP {status} without the service's JSON{words}; if it stays, check the connection's host"
        return Pan123UnavailableError(message, call=call.name, code=status, ambiguous=True)
    message = f"HTTP {status} from the gateway, not from the service{words}; if it stays, check the connection's host"
    if status == 429:
        return Pan123RateLimitError(message, call=call.name, code=status)
    if status == 401 and call.name != "login":
        return Pan123TokenError(message, call=call.name, code=status)
    ambiguous = status == 500 or status in AMBIGUOUS_STATUSES
    return Pan123UnavailableError(message, call=call.name, code=status, ambiguous=ambiguous)


def _first_words(body: bytes) -> str:
    """Quote how a body that is not the service's JSON begins: only that names the cause."""
    text = re.sub(r"<[^>]*>", " ", body[:2000].decode("utf-8", "replace"))
    words = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return f" ({words[:100]})" if words else ""


# -- one call from its start to its end -----------------------------------------------------------------------


def exchange(
    call: Call[T],
    throttle: Throttle,
    retry_for: float = RETRY_FOR_SECONDS,
    clock: Callable[[], float] = time.monotonic,
    *,
    retry_too_many_for: float = RETRY_FOR_SECONDS,
) -> Flow[T]:
    """Send a call at the pace that the service allows, with a token that it takes.

    A refused token is renewed once. A call that is refused for its load (429, too many offline tasks) is queued
    again until ``retry_for`` seconds are over; then its last error is raised. Every other error is raised at once.

    :param crowd_patience: the same for too many offline tasks alone, where the caller knows better when to come back.
    """
    deadline = clock() + retry_for
    too_many_deadline = clock() + min(retry_for, retry_too_many_for)
    token = yield NeedToken()
    renewed = False
    refusals = too_many = 0
    while True:
        yield Slot()
        answer = yield Send(call, token)
        try:
            value = read(call, answer)
        except Pan123RateLimitError:
            throttle.refused()
            pause = throttle.backoff(refusals)
            refusals += 1
            if clock() + pause > deadline:
                raise
        except Pan123TooManyTasksError:
            throttle.accepted()
            pause = random.uniform(0.5, 1) * TOO_MANY_TASKS_PAUSES[min(too_many, 2)]
            too_many += 1
            if clock() + pause > too_many_deadline:
                raise
        except Pan123TokenError:
            throttle.accepted()
            if renewed:
                raise
            renewed, pause = True, 0.0
            token = yield NeedToken(refused=token)
        except Pan123Error:
            throttle.accepted()
            raise
        else:
            throttle.accepted()
            return value
        yield Sleep(pause)
