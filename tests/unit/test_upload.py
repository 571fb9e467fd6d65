"""The flow of an upload: its steps, what it repeats, and what it proves, in virtual time."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_123pan.exceptions import (
    Pan123AnswerError,
    Pan123Error,
    Pan123NoDataError,
    Pan123RateLimitError,
    Pan123ServiceError,
    Pan123TokenError,
    Pan123UnavailableError,
    Pan123UploadError,
    Pan123VerifyingError,
    Pan123WaitTimeoutError,
)
from airflow_provider_123pan.service.flow import Sleep, drive
from airflow_provider_123pan.service.image_file import ImageFile
from airflow_provider_123pan.service.models import Image
from airflow_provider_123pan.service.protocol import MakeCall
from airflow_provider_123pan.service.storage import PutSlice
from airflow_provider_123pan.service.upload import MAX_SLICES, UploadTiming, upload
from airflow_provider_123pan.service.upload_calls import CreatedUpload, UploadResult
from tests.support import image as stored_image

CONTENT = b"0123456789"
ETAG = hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()
ID = "yk6baz03t0l000d7w3=="
PRE = "+/pre=="
URL = "https://storage.example/slice?X-Amz-Signature=0123456789abcdef"
STEPS = ("create_upload", "get_upload_url", "put", "complete_upload", "get_upload_result", "get_image")
CALLS = tuple(step for step in STEPS if step != "put")
TIMING = UploadTiming()


def stored(**changes: Any) -> Image:
    return stored_image(file_id=ID, **{"etag": ETAG, "size": len(CONTENT)} | changes)


def unavailable(*, ambiguous: bool = True) -> Pan123Error:
    return Pan123UnavailableError("HTTP 502", ambiguous=ambiguous)


class Service:
    """Answers the steps of an upload in virtual time.

    :ivar script: for a step, what happens instead of the usual answer, one after another; the last one stays if it
        is a function.
    :ivar done: the steps that were taken, with what identifies them.
    """

    def __init__(self, **script: list[Any] | Callable[[], Any]) -> None:
        self.now = 1000.0
        self.script = script
        self.done: list[tuple[str, Any]] = []
        self.sleeps: list[float] = []
        self.usual: dict[str, Any] = {
            "create_upload": CreatedUpload(None, PRE, 100),
            "get_upload_url": URL,
            "complete_upload": UploadResult(None),
            "get_upload_result": UploadResult(ID),
            "get_image": stored(),
            "put": None,
        }

    def perform(self, step: Any) -> Any:
        if isinstance(step, Sleep):
            self.now += step.seconds
            self.sleeps.append(step.seconds)
            return None
        what: Any
        if isinstance(step, PutSlice):
            name, what = "put", (step.url, b"".join(step.image.chunks(step.offset, step.length)))
            assert len(what[1]) == step.length  # which is announced as Content-Length
        else:
            assert isinstance(step, MakeCall)
            name, what = step.call.name, {**(step.call.body or {}), **(step.call.params or {})}
        self.done.append((name, what))
        scripted = self.script.get(name)
        answer = scripted() if callable(scripted) else scripted.pop(0) if scripted else self.usual[name]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def upload(self, file_name: str = "a.png", directory_id: str = "dir") -> Image:
        with ImageFile(io.BytesIO(CONTENT), len(CONTENT), ETAG) as image:
            return drive(upload(image, file_name, directory_id, TIMING, lambda: self.now), self.perform)

    def names(self) -> list[str]:
        return [name for name, _ in self.done]


def times(answer: Any, count: int) -> list[Any]:
    return [answer] * count


# -- the usual way --


def test_the_steps_follow_each_other_with_the_first_preupload_id() -> None:
    service = Service()
    assert service.upload() == stored()
    assert service.done == [
        (
            "create_upload",
            {"parentFileID": "dir", "filename": "a.png", "etag": ETAG, "size": len(CONTENT), "type": 1},
        ),
        ("get_upload_url", {"preuploadID": PRE, "sliceNo": 1}),
        ("put", (URL, CONTENT)),
        ("complete_upload", {"preuploadID": PRE}),
        ("get_upload_result", {"preuploadID": PRE}),
        ("get_image", {"fileID": ID}),
    ]


def test_known_bytes_are_not_sent() -> None:
    service = Service(create_upload=[CreatedUpload(ID)])
    assert service.upload() == stored()
    assert service.names() == ["create_upload", "get_image"]


@pytest.mark.parametrize(
    ("size", "slices"),
    [(3, [b"012", b"345", b"678", b"9"]), (5, [b"01234", b"56789"]), (10, [CONTENT]), (99, [CONTENT])],
)
def test_the_slice_size_is_obeyed(size: int, slices: list[bytes]) -> None:
    service = Service(create_upload=[CreatedUpload(None, PRE, size)])
    service.upload()
    assert [what[1] for name, what in service.done if name == "put"] == slices
    numbers = [what["sliceNo"] for name, what in service.done if name == "get_upload_url"]
    assert numbers == [*range(1, len(slices) + 1)]


def test_a_completion_at_once_needs_no_poll() -> None:
    service = Service(complete_upload=[UploadResult(ID)])
    service.upload()
    assert "get_upload_result" not in service.names()
    assert service.sleeps == []


def test_absurdly_many_slices_are_an_error() -> None:
    service = Service(create_upload=[CreatedUpload(None, PRE, 1)])
    with (
        ImageFile(io.BytesIO(), MAX_SLICES + 1, ETAG) as image,
        pytest.raises(Pan123AnswerError, match="sliceSize is 1"),
    ):
        drive(upload(image, "a.png", "", TIMING, lambda: 0.0), service.perform)
    assert service.names() == ["create_upload"]


# -- repetitions --


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("count", [1, 3])
def test_every_step_is_repeated_without_an_answer(step: str, count: int) -> None:
    service = Service(**{step: times(unavailable(), count)})
    assert service.upload() == stored()
    assert service.names().count(step) == count + 1
    assert service.names().count("create_upload") == 1 + count * (step == "create_upload")


@pytest.mark.parametrize("step", STEPS)
def test_repetitions_end(step: str) -> None:
    service = Service(**{step: times(unavailable(), 99)})
    with pytest.raises(Pan123UnavailableError):
        service.upload()
    assert service.names().count(step) == 1 + len(TIMING.pauses)


@pytest.mark.parametrize("step", CALLS)
@pytest.mark.parametrize("kind", [Pan123TokenError, Pan123RateLimitError, Pan123ServiceError])
def test_what_the_exchange_gave_up_is_not_repeated(step: str, kind: type[Pan123Error]) -> None:
    service = Service(**{step: [kind("no", code=1)]})
    with pytest.raises(kind):
        service.upload()
    assert service.names().count(step) == 1


@pytest.mark.parametrize("step", CALLS)
def test_a_file_in_verification_is_asked_for_each_second(step: str) -> None:
    service = Service(**{step: times(Pan123VerifyingError("20103"), 5)})
    assert service.upload() == stored()
    assert service.sleeps.count(TIMING.verifying) >= 5
    assert min(service.sleeps) >= 1


@pytest.mark.parametrize("step", CALLS)
def test_a_verification_without_end_is_an_error(step: str) -> None:
    service = Service(**{step: lambda: Pan123VerifyingError("20103")})
    with pytest.raises(Pan123VerifyingError):
        service.upload()
    assert sum(service.sleeps) <= TIMING.confirmed + 1


def test_each_attempt_at_a_slice_has_a_new_url() -> None:
    urls = [f"{URL}{number}" for number in range(3)]
    refused = Pan123UploadError("HTTP 403 (AccessDenied)", code=403)
    service = Service(get_upload_url=urls[:], put=[refused, unavailable()])
    assert service.upload() == stored()
    assert [what[0] for name, what in service.done if name == "put"] == urls


def test_a_slice_that_is_always_refused_is_an_error() -> None:
    service = Service(put=lambda: Pan123UploadError("HTTP 403", code=403))
    with pytest.raises(Pan123UploadError, match="HTTP 403"):
        service.upload()
    assert "complete_upload" not in service.names()


def test_a_later_slice_does_not_repeat_earlier_ones() -> None:
    service = Service(create_upload=[CreatedUpload(None, PRE, 5)], put=[None, unavailable()])
    service.upload()
    assert [what[1] for name, what in service.done if name == "put"] == [b"01234", b"56789", b"56789"]


# -- the completion --


def test_a_doubtful_completion_is_decided_by_its_result() -> None:
    refused = Pan123ServiceError("preuploadID does not exist", code=1)
    service = Service(complete_upload=[unavailable(), refused])
    assert service.upload() == stored()
    assert service.names()[-4:] == ["complete_upload", "complete_upload", "get_upload_result", "get_image"]


def test_a_completion_that_did_not_arrive_is_refused_as_it_is() -> None:
    refused = Pan123ServiceError("etag is wrong", code=1)
    service = Service(complete_upload=[unavailable(ambiguous=False), refused])
    with pytest.raises(Pan123ServiceError, match="etag is wrong"):
        service.upload()
    assert "get_upload_result" not in service.names()


def test_a_completion_that_is_not_understood_is_decided_by_its_result() -> None:
    service = Service(complete_upload=[Pan123NoDataError("data is None")])
    assert service.upload() == stored()


def test_the_result_is_polled_at_most_each_second_and_ever_more_rarely() -> None:
    service = Service(get_upload_result=[*times(UploadResult(None), 6), UploadResult(ID)])
    service.upload()
    assert service.sleeps[0] >= 1
    assert service.sleeps == sorted(service.sleeps)
    assert max(service.sleeps) == TIMING.last_poll


def test_a_result_that_never_comes_is_an_error() -> None:
    service = Service(get_upload_result=lambda: UploadResult(None))
    with pytest.raises(
        Pan123WaitTimeoutError, match="did not complete the upload within 300 s; upload again"
    ):
        service.upload()
    assert sum(service.sleeps) <= TIMING.confirmed


# -- the proof --


@pytest.mark.parametrize("change", [{"etag": "f" * 32}, {"size": 11}, {"size": None}])
@pytest.mark.parametrize("reused", [False, True])
def test_another_image_is_never_a_success(change: dict[str, Any], reused: bool) -> None:
    service = Service(get_image=[stored(**change)])
    if reused:
        service.script["create_upload"] = [CreatedUpload(ID)]
    with pytest.raises(Pan123UploadError, match="stored something else"):
        service.upload()


def test_an_image_that_does_not_show_yet_is_waited_for() -> None:
    absent = Pan123ServiceError("file does not exist", code=5066)
    service = Service(
        get_image=[absent, absent, stored(etag=None, size=0), stored(download_url=None), stored()]
    )
    assert service.upload() == stored()
    assert min(service.sleeps) >= 1


def test_a_url_on_the_own_domain_is_enough() -> None:
    own = stored(download_url=None, user_url="https://img.example/a.png")
    assert Service(get_image=[own]).upload() == own


@pytest.mark.parametrize("lack", [{}, {"download_url": None}, {"etag": None, "download_url": None}])
def test_a_rejected_image_is_not_waited_for(lack: dict[str, Any]) -> None:
    rejected = stored(status=104, **lack)
    service = Service(get_image=[rejected])
    assert service.upload() == rejected
    assert service.names().count("get_image") == 1


def test_an_image_that_never_shows_is_an_error() -> None:
    service = Service(get_image=lambda: Pan123ServiceError("file does not exist", code=5066))
    with pytest.raises(Pan123ServiceError, match="5066"):
        service.upload()
    assert sum(service.sleeps) <= TIMING.confirmed + 1


@pytest.mark.parametrize("lack", [{"download_url": None}, {"etag": None}])
def test_an_image_without_url_or_etag_is_an_error(lack: dict[str, Any]) -> None:
    service = Service(get_image=lambda: stored(**lack))
    with pytest.raises(Pan123WaitTimeoutError, match=f"{ID}.*still lack the etag or a URL"):
        service.upload()
