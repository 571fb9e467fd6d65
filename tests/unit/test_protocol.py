"""The meaning of answers, and calls from start to end."""

from __future__ import annotations

import json
import pickle
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import pytest

from airflow_provider_123pan import exceptions
from airflow_provider_123pan.service import protocol
from airflow_provider_123pan.service.endpoint import words_of
from airflow_provider_123pan.service.exchange import exchange
from airflow_provider_123pan.service.flow import NeedToken, Sleep, Slot, drive
from airflow_provider_123pan.service.models import BEIJING, TaskStatus
from airflow_provider_123pan.service.protocol import Answer, Send, read
from airflow_provider_123pan.service.throttle import Throttle

PROGRESS = protocol.get_offline_download(7)
CREATE = protocol.create_offline_download("https://example.com/a.jpg")
LOGIN = protocol.login("id", "secret")


def answer(body: Any, status: int = 200, **headers: str) -> Answer:
    """Return an HTTP response with bytes, or with JSON."""
    return Answer(status, headers, body if isinstance(body, bytes) else json.dumps(body).encode())


def envelope(data: Any = None, code: Any = 0, message: str = "ok") -> dict[str, Any]:
    """Return the service's JSON."""
    return {"code": code, "message": message, "data": data, "x-traceID": "trace-1"}


@pytest.mark.parametrize(
    ("call", "given", "kind", "words"),
    [
        (
            PROGRESS,
            answer(envelope(code=401, message="token is expired")),
            exceptions.Pan123TokenError,
            "expired",
        ),
        (
            PROGRESS,
            answer(envelope(code=429, message="请求太频繁")),
            exceptions.Pan123RateLimitError,
            "请求太频繁",
        ),
        (PROGRESS, answer(envelope(code=42902)), exceptions.Pan123RateLimitError, "42902"),
        (PROGRESS, answer(envelope(code=1, message="操作频繁")), exceptions.Pan123RateLimitError, "操作频繁"),
        (
            CREATE,
            answer(envelope(code=1, message="同时下载的任务超出最大限制")),
            exceptions.Pan123TooManyTasksError,
            "同时下载",
        ),
        (
            PROGRESS,
            answer(envelope(code=1, message="boom")),
            exceptions.Pan123ServiceError,
            "boom (code 1, x-traceID",
        ),
        (PROGRESS, answer(envelope(code=5066)), exceptions.Pan123ServiceError, "5066"),
        (
            PROGRESS,
            answer(b"<html>bad</html>", 502),
            exceptions.Pan123UnavailableError,
            "HTTP 502 from the gateway",
        ),
        (PROGRESS, answer(b"", 503), exceptions.Pan123UnavailableError, "503"),
        (PROGRESS, answer(b"slow down", 429), exceptions.Pan123RateLimitError, "429"),
        (PROGRESS, answer(b"no", 401), exceptions.Pan123TokenError, "401"),
        (PROGRESS, answer(b"no", 404), exceptions.Pan123UnavailableError, "404"),
        (LOGIN, answer(b"no", 403), exceptions.Pan123UnavailableError, "403"),
        (
            PROGRESS,
            answer(envelope(code=1, message="internal"), 500),
            exceptions.Pan123UnavailableError,
            "internal",
        ),
        (PROGRESS, answer(envelope(code=1, message="slow"), 429), exceptions.Pan123RateLimitError, "slow"),
        (PROGRESS, answer(envelope(code=5066), 500), exceptions.Pan123ServiceError, "5066"),
        (PROGRESS, answer(b"<html>hi</html>"), exceptions.Pan123UnavailableError, "(hi)"),
        (PROGRESS, answer([1, 2]), exceptions.Pan123UnavailableError, "host"),
        (PROGRESS, answer(b""), exceptions.Pan123UnavailableError, "host"),
        (
            PROGRESS,
            answer(b"123pan-global-slb forbidden client ip", 403),
            exceptions.Pan123UnavailableError,
            "forbidden client ip",
        ),
        (PROGRESS, answer(envelope(code=20103)), exceptions.Pan123VerifyingError, "20103"),
        (PROGRESS, answer(envelope(code=20103, message="请稍后")), exceptions.Pan123VerifyingError, "20103"),
        (
            CREATE,
            answer(envelope(code=2, message="同时下载的任务超出最大限制，请稍后再试")),
            exceptions.Pan123TooManyTasksError,
            "同时下载",
        ),
        (PROGRESS, answer(envelope(code=401, message="请稍后")), exceptions.Pan123TokenError, "401"),
        (PROGRESS, answer(envelope(code=5066, message="请稍后")), exceptions.Pan123ServiceError, "5066"),
        (PROGRESS, answer(envelope(code=5113, message="请稍后")), exceptions.Pan123ServiceError, "5113"),
        (LOGIN, answer(envelope(code=401, message="请稍后")), exceptions.Pan123RateLimitError, "401"),
        (PROGRESS, answer({"code": "zero"}), exceptions.Pan123AnswerError, "not a number"),
        (PROGRESS, answer(envelope(None)), exceptions.Pan123NoDataError, "data is None"),
        (PROGRESS, answer(envelope({})), exceptions.Pan123NoDataError, "status is None"),
        (
            PROGRESS,
            answer(envelope({"process": 3, "status": 9})),
            exceptions.Pan123AnswerError,
            "unknown status 9",
        ),
        (PROGRESS, answer(envelope({"process": 3})), exceptions.Pan123AnswerError, "status is None"),
        (CREATE, answer(envelope(None)), exceptions.Pan123NoDataError, "create_offline_download"),
        (CREATE, answer(envelope({"taskID": "x"})), exceptions.Pan123AnswerError, "taskID is str"),
        (PROGRESS, answer(b"", 302, Location="https://evil"), exceptions.Pan123RedirectError, "https://evil"),
        (
            LOGIN,
            answer(envelope(code=1, message="无效的登录信息")),
            exceptions.Pan123CredentialsError,
            "无效",
        ),
        (LOGIN, answer(envelope(code=401, message="wrong")), exceptions.Pan123CredentialsError, "wrong"),
        (
            LOGIN,
            answer(envelope(code=1, message="ClientID or ClientSecret is invalid")),
            exceptions.Pan123CredentialsError,
            "check the connection's login",
        ),
        (LOGIN, answer(envelope(code=1, message="密钥错误")), exceptions.Pan123CredentialsError, "密钥"),
        (
            LOGIN,
            answer(envelope(code=401, message="tokens number has exceeded the limit")),
            exceptions.Pan123TokenError,
            "pan123-token-limit",
        ),
        (
            LOGIN,
            answer(envelope(code=1, message="tokens number has exceeded the limit")),
            exceptions.Pan123TokenError,
            "pan123-token-limit",
        ),
        *(
            (LOGIN, answer(envelope(code=1, message=words)), exceptions.Pan123UnavailableError, words)
            for words in (
                *("internal error", "internal error: auth rpc timeout", "服务器内部错误", "系统错误"),
                "forbidden client ip",
            )
        ),
        *(
            (LOGIN, answer(envelope(code=code, message=words)), exceptions.Pan123CredentialsError, words)
            for code in (1, 400, 401)
            for words in ("应用不存在", "参数错误", "app not found", "client secret错误,请稍后再试")
        ),
        (
            LOGIN,
            answer(envelope(code=400, message="internal error")),
            exceptions.Pan123UnavailableError,
            "400",
        ),
        (LOGIN, answer(envelope(code=429, message="wait")), exceptions.Pan123RateLimitError, "wait"),
    ],
)
def test_each_answer_becomes_its_error(call: Any, given: Answer, kind: type[Exception], words: str) -> None:
    with pytest.raises(kind) as caught:
        read(call, given)
    assert type(caught.value) is kind
    assert words in str(caught.value)
    assert call.name in str(caught.value)


@pytest.mark.parametrize(
    ("status", "ambiguous"), [(200, True), (500, True), (502, True), (503, False), (504, True)]
)
def test_which_gateway_errors_are_ambiguous(status: int, ambiguous: bool) -> None:
    with pytest.raises(exceptions.Pan123UnavailableError) as caught:
        read(CREATE, answer(b"", status))
    assert caught.value.ambiguous is ambiguous


def test_the_code_decides_before_the_http_status() -> None:
    assert read(PROGRESS, answer(envelope({"process": 1.5, "status": 0}), 500)).status is TaskStatus.RUNNING


def test_a_creation_is_dated_by_the_service() -> None:
    task = read(CREATE, answer(envelope({"taskID": 2**53 + 1}), Date="Mon, 23 Nov 2026 08:00:00 GMT"))
    assert task.taskID == 2**53 + 1
    assert task.seen_at.isoformat() == task.submitted_at.isoformat() == "2026-11-23T08:00:00+00:00"


def test_an_image_may_be_as_old_as_the_call_that_created_its_task() -> None:
    slow = Answer(
        200, {"Date": "Mon, 23 Nov 2026 08:00:00 GMT"}, json.dumps(envelope({"taskID": 7})).encode(), 3.5
    )
    task = read(CREATE, slow)
    assert task.submitted_at.isoformat() == "2026-11-23T07:59:56.500000+00:00"
    assert task.seen_at.isoformat() == "2026-11-23T08:00:00+00:00"


SIGNATURE = "c0ffee5ecret&0123"
SIGNED = f"https://user:pass-word@s.example/cat.jpg?w=80&X-Amz-Signature={quote(SIGNATURE)}"
SIGNED_CREATE = protocol.create_offline_download(
    SIGNED, None, None, "https://a.example/pan123/callbacks/t0ken"
)


@pytest.mark.parametrize("call", [SIGNED_CREATE, PROGRESS], ids=["create", "progress"])
@pytest.mark.parametrize(
    "given",
    [
        answer(envelope(code=2, message=f"解析失败: {SIGNED}")),
        answer(envelope(code=1, message=f"fetch {SIGNED} refused")),
        answer(f"<html>{SIGNED}</html>".encode(), 502),
        answer(f"<html>{'x' * 60} {SIGNED}</html>".encode()),
        answer(b"", 302, Location=SIGNED),
    ],
    ids=["code 2", "code 1", "gateway", "cut", "redirect"],
)
def test_no_error_quotes_the_secrets_of_a_url(call: Any, given: Answer) -> None:
    with pytest.raises(exceptions.Pan123Error) as caught:
        read(call, given)
    shown = f"{caught.value} {caught.value!r} {caught.value.args}"
    assert "s.example" in shown
    assert not [secret for secret in ("c0ffee", "pass-word") if secret in shown]


@pytest.mark.parametrize(
    "words", [f"bad signature {SIGNATURE}", "bad user:pass-word", "no answer from t0ken"]
)
def test_no_error_quotes_a_part_of_what_a_creation_sent(words: str) -> None:
    for given in (answer(envelope(code=1, message=words)), answer(words.encode(), 502)):
        with pytest.raises(exceptions.Pan123Error, match=r"(bad|from) .*\*\*\*") as caught:
            read(SIGNED_CREATE, given)
        assert words.split()[-1] not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["2025-03-23T15:48:37+08:00", "2025-03-23T15:48:37", "2025-03-23T07:48:37.12Z"]
)
def test_the_expiry_of_a_token_is_read_in_all_its_spellings(text: str) -> None:
    token = read(LOGIN, answer(envelope({"accessToken": "jwt", "expiredAt": text})))
    assert token.expires_at is not None
    assert token.expires_at.astimezone(BEIJING).isoformat() == "2025-03-23T15:48:37+08:00"
    assert "jwt" not in repr(token)


def test_an_empty_directory_is_an_empty_listing() -> None:
    page = read(protocol.list_directory(), answer(envelope({"lastFileId": "-1", "fileList": None})))
    assert (page.images, page.directories, page.last_file_id) == ((), (), None)


RECORD = {"fileId": 7, "filename": "a.jpg", "type": 0}


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({}, {"fileID": "7", "directory_id": None, "status": 0, "size": None, "rejected": False}),
        ({"status": "101", "size": "5"}, {"status": 101, "size": 5, "rejected": True}),
        ({"parentFileId": 3, "etag": "ABC"}, {"directory_id": "3", "etag": "abc"}),
    ],
)
def test_records_with_missing_or_odd_fields_are_read(
    record: dict[str, Any], expected: dict[str, Any]
) -> None:
    unusable = [{"fileId": "x", "filename": ""}, {"filename": "b.jpg"}]
    page = read(
        protocol.list_directory(),
        answer(envelope({"lastFileId": -1, "fileList": [*unusable, RECORD | record]})),
    )
    [found] = page.images
    assert {name: getattr(found, name) for name in expected} == expected
    assert page.last_file_id is None


def test_the_type_of_a_directory_may_be_a_string() -> None:
    records = [{"fileId": "d", "filename": "来自:离线下载", "type": "1"}]
    page = read(protocol.list_directory(), answer(envelope({"fileList": records})))
    assert [directory.directory_id for directory in page.directories] == ["d"]


def test_errors_survive_pickling() -> None:
    error = exceptions.Pan123UnavailableError("m", ambiguous=True, call="login", code=502, trace_id="t")
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.ambiguous, again.code) == (str(error), True, 502)


def test_secrets_are_in_no_repr() -> None:
    assert "secret" not in repr(LOGIN)
    assert "jwt" not in repr(Send(PROGRESS, "jwt")) + repr(NeedToken("jwt"))


class Exchange:
    """A client that performs the steps of an exchange in virtual time.

    :param answers: the service's answers, of which the last one is repeated.
    :ivar tokens: the refused tokens for which another one was requested.
    :ivar sent: the tokens of all requests.
    """

    def __init__(self, *answers: Answer | Exception) -> None:
        self.answers = list(answers)
        self.now = 0.0
        self.tokens: list[str | None] = []
        self.sent: list[str | None] = []

    def perform(self, step: Any) -> Any:
        """Perform one step."""
        match step:
            case Sleep(seconds):
                self.now += seconds
                return None
            case Slot():
                self.now += self.throttle.reserve()
                return None
            case NeedToken(refused):
                self.tokens.append(refused)
                return f"token-{len(self.tokens)}"
            case Send(_, token):
                self.sent.append(token)
                reply = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
                if isinstance(reply, Exception):
                    raise reply
                return reply
        raise AssertionError(step)

    def exchange(self, call: Any = PROGRESS, retry_for: float = 600.0) -> Any:
        """Make a call and return its value."""

        def clock() -> float:
            return self.now

        self.throttle = Throttle(clock=clock)
        return drive(exchange(call, self.throttle, retry_for, clock), self.perform)


GOOD = answer(envelope({"process": 100, "status": 2}))
REFUSED = answer(envelope(code=401, message="tokens number has exceeded the limit"))
BUSY = answer(envelope(code=429, message="请求太频繁"))
TOO_MANY = answer(envelope(code=1, message="同时下载的任务超出最大限制"))


def test_a_refused_token_is_renewed_once() -> None:
    exchange_run = Exchange(REFUSED, GOOD)
    assert exchange_run.exchange().status is TaskStatus.SUCCEEDED
    assert (exchange_run.tokens, exchange_run.sent) == ([None, "token-1"], ["token-1", "token-2"])


def test_a_stored_token_that_is_refused_as_well_is_renewed() -> None:
    exchange_run = Exchange(REFUSED, REFUSED, GOOD)
    assert exchange_run.exchange().status is TaskStatus.SUCCEEDED
    assert exchange_run.tokens == [None, "token-1", "token-2"]


def test_a_token_refused_three_times_is_an_error() -> None:
    exchange_run = Exchange(REFUSED)
    with pytest.raises(exceptions.Pan123TokenError):
        exchange_run.exchange()
    assert len(exchange_run.sent) == 3


@pytest.mark.parametrize("refusal", [BUSY, TOO_MANY])
def test_a_call_refused_for_load_is_repeated(refusal: Answer) -> None:
    exchange_run = Exchange(*[refusal] * 12, GOOD)
    assert exchange_run.exchange(retry_for=6000).status is TaskStatus.SUCCEEDED
    assert len(exchange_run.sent) == 13


@pytest.mark.parametrize(
    ("refusal", "kind"),
    [(BUSY, exceptions.Pan123RateLimitError), (TOO_MANY, exceptions.Pan123TooManyTasksError)],
)
def test_repetitions_end_after_a_time_rather_than_a_count(refusal: Answer, kind: type[Exception]) -> None:
    exchange_run = Exchange(refusal)
    with pytest.raises(kind):
        exchange_run.exchange(retry_for=600)
    assert 500 < exchange_run.now <= 610  # the last attempt may have waited for its slot


@pytest.mark.parametrize(
    "failure",
    [answer(envelope(code=1, message="bad")), answer(b"", 502), exceptions.Pan123UnavailableError("x")],
)
def test_other_errors_are_raised_immediately(failure: Any) -> None:
    exchange_run = Exchange(failure)
    with pytest.raises(exceptions.Pan123Error):
        exchange_run.exchange()
    assert len(exchange_run.sent) == 1


REDIRECT = answer(b"", 302, Location="https://example.com/")


def test_a_read_that_is_redirected_for_a_moment_is_repeated() -> None:
    exchange_run = Exchange(REDIRECT, REDIRECT, GOOD)
    assert exchange_run.exchange().status is TaskStatus.SUCCEEDED


@pytest.mark.parametrize(("call", "calls"), [(PROGRESS, 4), (CREATE, 1)])
def test_a_redirect_that_persists_is_an_error_and_a_creation_is_not_repeated(call: Any, calls: int) -> None:
    exchange_run = Exchange(REDIRECT)
    with pytest.raises(exceptions.Pan123RedirectError) as caught:
        exchange_run.exchange(call)
    assert len(exchange_run.sent) == calls
    assert caught.value.retryable is (calls == 1)  # one redirect does not show that the host is wrong


def test_a_redirected_creation_may_have_arrived_and_a_redirected_login_sent_none() -> None:
    calls: list[tuple[Any, bool]] = [(CREATE, True), (LOGIN, False)]
    for call, arrived in calls:
        with pytest.raises(exceptions.Pan123RedirectError) as caught:
            read(call, REDIRECT)
        assert exceptions.may_have_arrived(caught.value) is arrived


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError("HTTPConnection(host='h', port=9): Failed to connect"), "Failed to connect"),
        (OSError("_OwnConnectionPool(host='h', port=9): Failed to connect"), "Failed to connect"),
        (OSError(SimpleNamespace(reason="Connection refused")), "Connection refused"),
        (OSError("timed out"), "timed out"),
        (OSError(), "OSError"),
    ],
)
def test_the_words_of_a_network_error(error: OSError, words: str) -> None:
    assert words_of(error) == words
