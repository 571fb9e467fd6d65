"""Answers that break a careless reader: each one ends in a value or in a Pan123Error, and no secret is quoted."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

import pytest

from airflow_provider_123pan import exceptions
from airflow_provider_123pan.service import protocol
from airflow_provider_123pan.service.models import ASSUMED_LIFE, AccessToken, Image
from airflow_provider_123pan.service.protocol import Answer, read

PROGRESS = protocol.get_offline_download(7)
CREATE = protocol.create_offline_download("https://example.com/a.jpg")
LOGIN = protocol.login("id", "secret")
LIST = protocol.list_directory()
NOW = "Mon, 23 Nov 2026 08:00:00 GMT"

DEEP = b"[" * 5000 + b"]" * 5000
DIGITS = b"9" * 5000


def in_envelope(data: Any) -> bytes:
    """Return the service's JSON; lone surrogates stay escaped."""
    return json.dumps({"code": 0, "message": "ok", "data": data}).encode()


@pytest.mark.parametrize("call", [PROGRESS, CREATE, LOGIN, LIST], ids=lambda call: call.name)
@pytest.mark.parametrize(
    "body",
    [
        DEEP,
        b'{"code": 0, "data": %s}' % DEEP,
        b'{"code": 1, "message": %s}' % (b"[" * 300 + b"]" * 300),
        b'{"code": %s}' % DIGITS,
        b'{"code": "%s"}' % DIGITS,
        b'{"code": %s}' % DIGITS[:4000],
        b'{"code": 1e300}',
        b'{"code": 1e999}',
        b'{"code": NaN}',
        b'{"code": 0, "data": {"taskID": %s, "status": %s, "fileList": 1}}' % (DIGITS[:4000], DIGITS[:4000]),
        b'{"code": 0, "data": {"taskID": "%s", "status": "%s", "fileList": "x"}}' % (DIGITS, DIGITS),
        b'{"code": 0, "data": {"taskID": 1e300, "status": 1e300, "fileList": 1e999}}',
    ],
    ids=range(12),
)
def test_a_malformed_answer_is_a_short_error(call: Any, body: bytes) -> None:
    with pytest.raises(exceptions.Pan123Error) as caught:
        read(call, Answer(200, {"Date": NOW}, body))
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    "size", [DIGITS.decode(), int(DIGITS[:4000]), 1e300, float("inf"), float("nan"), -(2**80), "²"]
)
def test_an_image_with_an_impossible_number_is_still_listed(size: Any) -> None:
    record = {"fileId": "f", "filename": "a.jpg", "size": size, "createAt": size, "parentFilename": {}}
    [image] = read(LIST, Answer(200, {}, in_envelope({"fileList": [record]}))).images
    assert (image.size, image.changed_at, image.directory_name) == (None, None, None)


@pytest.mark.parametrize(
    "date",
    [
        "Fri, 31 Dec 9999 23:59:59 -2300",
        "Fri, 31 Dec 9999 23:59:59 GMT",
        "Thu, 01 Jan 1970 00:00:00 GMT",
        "Mon, 23 Nov 20260 08:00:00 GMT",
        "soon",
        "",
    ],
)
def test_an_answer_with_an_impossible_date_is_dated_by_this_host(date: str) -> None:
    before = datetime.now(timezone.utc)
    seen_at = read(CREATE, Answer(200, {"Date": date}, in_envelope({"taskID": 7}))).seen_at
    assert before <= seen_at <= datetime.now(timezone.utc)


@pytest.mark.parametrize("date", ["9999-12-31T23:59:59-23:00", "0001-01-01T00:00:00+23:00", 1e300, -1])
def test_an_image_with_an_impossible_date_is_undated(date: Any) -> None:
    assert Image.parse({"fileId": "f", "filename": "a.jpg", "createAt": date}).changed_at is None


@pytest.mark.parametrize(
    "token", ["to\nken", "to\rken", "to\0ken", "tökén", "令牌", "to ken", "token ", "\ud800"]
)
def test_a_token_that_no_header_takes_is_refused_without_quoting_it(token: str) -> None:
    with pytest.raises(exceptions.Pan123AnswerError) as caught:
        read(LOGIN, Answer(200, {}, in_envelope({"accessToken": token})))
    assert "no HTTP header takes" in str(caught.value)
    assert not {token.strip(), repr(token)} & {*str(caught.value).split("'"), *str(caught.value).split()}
    with pytest.raises(ValueError, match="no HTTP header takes"):
        AccessToken.parse({"accessToken": token})


ISSUED = datetime(2026, 11, 23, 8, tzinfo=timezone.utc)
UNTIL = datetime(2026, 12, 23, 8, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        (UNTIL.timestamp(), UNTIL),
        (int(UNTIL.timestamp() * 1000), UNTIL),
        (str(int(UNTIL.timestamp())), UNTIL),
        ("2026/12/23 16:00:00", UNTIL),
        (None, None),
        ("", None),
        (0, None),
        *((odd, ISSUED + ASSUMED_LIFE) for odd in ("soon", [1], "2026-13-01T00:00:00", 1e300, "9" * 5000)),
    ],
)
def test_the_expiry_of_a_token_may_be_a_number_and_an_unreadable_one_is_assumed(
    stated: Any, expected: datetime | None
) -> None:
    data = {"accessToken": "jwt", "expiredAt": stated}
    token = read(LOGIN, Answer(200, {"Date": NOW}, in_envelope(data)))
    assert (token.value, token.expires_at) == ("jwt", expected)


def test_strings_of_the_service_can_be_stored() -> None:
    name = "a\0b\x1b[31mc\x7fd\x85e\ud83df.jpg"
    record = {"fileId": "f", "filename": name, "userSelfURL": "https://x\0/", "parentFileId": "\udc00"}
    [image] = read(LIST, Answer(200, {}, in_envelope({"fileList": [record]}))).images
    assert image.file_name == "a\ufffdb\ufffd[31mc\ufffdd\ufffde\ufffdf.jpg"
    assert (image.user_url, image.directory_id) == ("https://x\ufffd/", "\ufffd")
    answer = json.dumps({"code": 1, "message": "bad\0 \ud800 原因\n", "x-traceID": "t\0"}).encode()
    with pytest.raises(exceptions.Pan123ServiceError) as caught:
        read(PROGRESS, Answer(200, {}, answer))
    assert caught.value.message == "bad\ufffd \ufffd 原因\n"
    assert caught.value.trace_id == "t\ufffd"
    raw = '{"code": 1, "message": "\ud800"}'.encode("utf-8", "surrogatepass")
    with pytest.raises(exceptions.Pan123ServiceError, match="\ufffd"):
        read(PROGRESS, Answer(200, {}, raw))
