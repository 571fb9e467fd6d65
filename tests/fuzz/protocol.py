"""Answers of the service: every call gives a value of its type or an error, whatever the answer."""

from __future__ import annotations

import itertools
import json
from datetime import datetime
from typing import Any, TypeAlias

from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from airflow_provider_123pan.service.copies import CopyFailures, CopyTask
from airflow_provider_123pan.service.exchange import exchange
from airflow_provider_123pan.service.file_calls import copy_from_drive, get_copy, list_copy_failures
from airflow_provider_123pan.service.flow import NeedToken, Sleep, Slot, drive
from airflow_provider_123pan.service.models import AccessToken, Directory, Image, Listing, OfflineTask
from airflow_provider_123pan.service.protocol import (
    Answer,
    Call,
    Send,
    create_offline_download,
    get_image,
    get_offline_download,
    list_directory,
    login,
    make_directory,
    read,
)
from airflow_provider_123pan.service.throttle import Throttle
from airflow_provider_123pan.service.upload_calls import (
    CreatedUpload,
    UploadResult,
    complete_upload,
    create_upload,
    get_upload_result,
    get_upload_url,
)
from tests.fuzz.properties import run_properties, value_or_error
from tests.fuzz.values import (
    DEEP_JSON,
    LONG_NUMBER,
    any_json,
    changed,
    dumped,
    encoded,
    records,
    scalars,
    texts,
)

EXAMPLES = 5000

#: A call, the type of its value, and the data of a valid answer.
Expected: TypeAlias = tuple[Call[Any], type, dict[str, Any]]

CALLS: tuple[Expected, ...] = (
    (
        login("client", "secret"),
        AccessToken,
        {"accessToken": "a-token", "expiredAt": "2026-12-31T00:00:00+08:00"},
    ),
    (create_offline_download("https://example.com/a.jpg"), OfflineTask, {"taskID": 403316}),
    (get_offline_download(7), OfflineTask, {"status": 2, "process": 100}),
    (list_directory(), Listing, {"fileList": [], "lastFileId": "-1"}),
    (make_directory("photos"), Directory, {"list": [{"dirID": "d1", "filename": "photos"}]}),
    (
        create_upload("a.jpg", "", "e" * 32, 3),
        CreatedUpload,
        {"reuse": False, "fileID": "", "preuploadID": "+/p=", "sliceSize": 104857600},
    ),
    (create_upload("a.jpg", "", "e" * 32, 3), CreatedUpload, {"reuse": True, "fileID": "f1"}),
    (get_upload_url("p", 1), str, {"presignedURL": "https://storage.example.com/slice?X-Amz-Signature=0"}),
    (complete_upload("p"), UploadResult, {"async": True, "completed": True, "fileID": "f1"}),
    (get_upload_result("p"), UploadResult, {"completed": True, "fileID": "f1"}),
    (copy_from_drive(["1"], "d1"), str, {"taskID": "12"}),
    (get_copy("12"), CopyTask, {"status": 2, "failMsg": ""}),
    (
        list_copy_failures("12", 1),
        CopyFailures,
        {"total": 1, "list": [{"fileId": 1, "filename": "a.jpg"}]},
    ),
    (
        get_image("f1"),
        Image,
        {
            "fileId": "f1",
            "filename": "a.jpg",
            "parentFileId": "d1",
            "parentFilename": "photos",
            "etag": "E" * 32,
            "size": 3,
            "status": 2,
            "type": 0,
            "createAt": "2026-01-02 03:04:05",
            "updateAt": 1_770_000_000,
            "downloadURL": "https://vip.example.com/a.jpg",
            "userSelfURL": "",
        },
    ),
)
IMAGE = CALLS[-1][2]
DATES = (
    "Fri, 31 Dec 9999 23:59:59 -1200",
    "Wed, 25 Nov 2026 08:00:00 GMT",
    "Mon, 01 Jan 0001 00:00:00 +1400",
)

codes = st.sampled_from([1, 401, 429, 5113, 20103, 502, "0", "1", 0.0, "4٣", "²"]) | scalars
messages = (
    st.sampled_from(["请求太频繁", "同时下载的任务超出最大限制", "无效的登录信息", "internal error"])
    | any_json
)
contents = (
    st.builds(lambda items, last: {"fileList": items, "lastFileId": last}, st.lists(changed(IMAGE)), scalars)
    | records(IMAGE.keys())
    | any_json
)
statuses = st.sampled_from([302, 400, 401, 403, 404, 429, 500, 502, 504]) | st.integers(100, 599)
headers = st.dictionaries(st.sampled_from(["Date", "Location"]), st.sampled_from(DATES) | texts)
broken_answers = st.builds(
    Answer, st.just(200) | statuses, headers, dumped(any_json).map(encoded) | st.binary(max_size=50)
)


def answers_to(sample: dict[str, Any]) -> SearchStrategy[Answer]:
    """Return answers of which many are nearly those that a call expects."""
    envelopes = st.fixed_dictionaries(
        {"code": st.just(0) | codes, "data": changed(sample) | contents},
        optional={"message": messages, "x-traceID": any_json},
    )
    understood = envelopes.map(json.dumps).map(encoded)
    return st.builds(Answer, st.just(200) | statuses, headers, understood) | broken_answers


def answer(body: str, **headers: str) -> Answer:
    """Return an answer with HTTP status 200."""
    return Answer(200, headers, body.encode())


def envelope(data: Any) -> str:
    """Return the body of an answer with code 0."""
    return json.dumps({"code": 0, "message": "ok", "data": data})


@given(st.sampled_from(CALLS).flatmap(lambda call: st.tuples(st.just(call), answers_to(call[2]))))
@example((CALLS[0], answer(DEEP_JSON)))
@example((CALLS[3], answer(f'{{"code": 0, "data": {DEEP_JSON}}}')))
@example((CALLS[0], answer(f'{{"code": {LONG_NUMBER}}}')))
@example((CALLS[0], answer(f'{{"code": "{LONG_NUMBER}"}}')))
@example((CALLS[1], answer(f'{{"code": 0, "data": {{"taskID": "{LONG_NUMBER}"}}}}')))
@example((CALLS[1], answer(envelope({"taskID": 7}), Date=DATES[0])))
@example((CALLS[2], answer(envelope({"status": 2}), Date=DATES[2])))
@example((CALLS[0], answer(envelope({"accessToken": "a-token", "expiredAt": "9999-12-31T23:59:59-12:00"}))))
def an_answer_is_a_value_or_an_error(given: tuple[Expected, Answer]) -> None:
    (call, kind, _), answer = given
    value_or_error(lambda: read(call, answer), kind)


@given(broken_answers)
@example(answer("", Date=DATES[0]))
@example(answer("", Date=DATES[2]))
def an_answer_has_a_date(answer: Answer) -> None:
    date = value_or_error(lambda: answer.date, datetime)
    assert date is not None
    assert date.utcoffset() is not None


@given(
    st.sampled_from(CALLS).flatmap(
        lambda call: st.tuples(st.just(call), st.lists(answers_to(call[2]), min_size=1, max_size=8))
    )
)
def an_exchange_ends(given: tuple[Expected, list[Answer]]) -> None:
    (call, kind, _), answers = given
    now, replies = [0.0], itertools.chain(answers, itertools.repeat(answers[-1]))

    def perform(step: Any) -> Any:
        match step:
            case NeedToken():
                return "a-token"
            case Sleep(seconds):
                assert seconds >= 0
                now[0] += seconds
            case Send():
                now[0] += 0.01
                assert now[0] < 1000, "the call is repeated for ever"
                return next(replies)
            case Slot():
                pass
            case _:
                raise AssertionError(step)
        return None

    throttle = Throttle(clock=lambda: now[0])
    value_or_error(lambda: drive(exchange(call, throttle, 60, lambda: now[0]), perform), kind)
    assert throttle.reserve() >= 0


def fuzz(examples: int, seed: int) -> str:
    """Check the properties."""
    return run_properties(
        (an_answer_is_a_value_or_an_error, an_answer_has_a_date, an_exchange_ends), examples, seed
    )
