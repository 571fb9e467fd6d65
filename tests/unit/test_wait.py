"""Every end of a wait, in virtual time, against a scripted service."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_123pan import exceptions
from airflow_provider_123pan.download.events import from_event, to_event
from airflow_provider_123pan.download.submission import Submission
from airflow_provider_123pan.download.timing import WaitTiming
from airflow_provider_123pan.download.wait import Outcome, check_once, poke_intervals
from airflow_provider_123pan.download.wait_strategy import WorkerWait
from airflow_provider_123pan.service.flow import drive
from airflow_provider_123pan.service.models import Image
from tests.support import Service, image, submission


def test_success_gives_the_image() -> None:
    found = Service(lambda _: 2).wait()
    assert found == Outcome(
        7,
        "https://example.com/a.jpg",
        "f1",
        "a.jpg",
        "dir",
        "https://vip/f1.jpg",
        None,
        "e" * 32,
        3,
        "name",
    )
    assert found is not None
    assert list(found.xcom()) == [
        "taskID",
        "url",
        "fileID",
        "file_name",
        "directory_id",
        "download_url",
        "user_url",
        "etag",
        "size",
        "matched_by",
    ]


def test_running_and_retrying_are_waited_for() -> None:
    service = Service(lambda t: 0 if t < 100 else 3 if t < 200 else 2)
    assert service.wait() is not None
    assert 200 <= service.elapsed < 220


def test_failure() -> None:
    found = Service(lambda t: 0 if t < 20 else 1).wait()
    assert found is not None
    assert found.reason


def test_status_3_for_ever_ends_at_the_deadline() -> None:
    service = Service(lambda _: 3)
    assert service.wait(timeout=1234) is None
    assert service.elapsed == 1234


def test_a_forgotten_task_is_looked_up_once_before_the_timeout() -> None:
    found = Service(lambda _: 0).wait(timeout=1234)
    assert found is not None
    assert found.fileID == "f1"


def test_the_last_look_is_at_the_deadline() -> None:
    assert Service(lambda t: 2 if t >= 95 else 0).wait(timeout=95) is not None


@pytest.mark.parametrize(
    "error",
    [
        exceptions.Pan123RateLimitError("429"),
        exceptions.Pan123TokenError("401"),
        exceptions.Pan123UnavailableError("502"),
        exceptions.Pan123TooManyTasksError("many"),
    ],
)
def test_transient_errors_never_end_a_wait(error: Exception) -> None:
    service = Service(lambda t: error if t < 1800 else 2)
    assert service.wait() is not None
    service = Service(lambda _: error)
    assert service.wait() is None
    assert service.elapsed == 3600


@pytest.mark.parametrize(
    "error",
    [exceptions.Pan123AnswerError("unknown status 9"), exceptions.Pan123CredentialsError("wrong secret")],
)
def test_other_errors_end_a_wait_unless_silent(error: Exception) -> None:
    with pytest.raises(type(error)):
        Service(lambda _: error).wait()
    assert Service(lambda t: error if t < 300 else 2).wait(silent=True) is not None


def test_an_unknown_taskid_is_not_yet_within_a_minute() -> None:
    service = Service(lambda t: exceptions.Pan123ServiceError("no such task") if t < 55 else 2)
    assert service.wait() is not None


def test_an_unknown_taskid_is_asked_twice() -> None:
    service = Service(
        lambda t: exceptions.Pan123ServiceError("no such task") if 100 <= t < 129 else 2 if t > 100 else 0
    )
    assert service.wait() is not None


def test_a_taskid_unknown_for_good_is_an_error_that_no_retry_mends() -> None:
    service = Service(
        lambda _: exceptions.Pan123ServiceError("no such task", code=1, trace_id="t"), lambda _: []
    )
    with pytest.raises(exceptions.Pan123UnknownTaskError, match="no such task.*x-traceID t") as caught:
        service.wait()
    assert not caught.value.retryable
    assert 85 <= service.elapsed <= 105


def test_a_taskid_unknown_for_good_whose_image_is_there() -> None:
    found = Service(lambda _: exceptions.Pan123ServiceError("no such task")).wait()
    assert found is not None
    assert found.fileID == "f1"


STRAY = [
    exceptions.Pan123ServiceError("internal error", code=1, call="list_images"),
    exceptions.Pan123ServiceError("file does not exist", code=5066, call="list_images"),
    exceptions.Pan123AnswerError("the answer is not understood", call="list_images"),
    exceptions.Pan123RedirectError("which is not followed", call="list_images"),
]


@pytest.mark.parametrize("error", STRAY)
def test_an_error_while_the_image_is_looked_up_ends_no_wait(error: Exception) -> None:
    errors = iter([error])

    def images(elapsed: float) -> list[Image]:
        if elapsed >= 3 and (stray := next(errors, None)):
            raise stray
        return [image()] if elapsed > 10 else []

    found = Service(lambda _: 2, images).wait()
    assert found is not None
    assert found.fileID == "f1"


def test_an_error_that_stays_while_the_image_is_looked_up_ends_the_wait() -> None:
    def images(_: float) -> list[Image]:
        raise STRAY[1]

    service = Service(lambda _: 2, images)
    with pytest.raises(exceptions.Pan123ServiceError, match="file does not exist"):
        service.wait()
    assert 300 <= service.elapsed <= 310
    with pytest.raises(exceptions.Pan123CredentialsError):
        Service(lambda _: 2, _raising(exceptions.Pan123CredentialsError("wrong secret"))).wait()


def _raising(error: Exception, until: float = 1e9) -> Callable[[float], list[Image]]:
    def images(elapsed: float) -> list[Image]:
        if elapsed < until:
            raise error
        return [image()]

    return images


def test_an_error_while_the_image_of_an_unknown_taskid_is_looked_up_is_repeated() -> None:
    unknown = exceptions.Pan123ServiceError("no such task")
    found = Service(lambda _: unknown, _raising(STRAY[0], until=95)).wait()
    assert found is not None
    with pytest.raises(exceptions.Pan123ServiceError, match="internal error"):
        Service(lambda _: unknown, _raising(STRAY[0])).wait()


def test_an_error_of_the_last_look_leaves_the_timeout() -> None:
    assert Service(lambda _: 0, _raising(STRAY[0])).wait(timeout=100) is None


SIGNED = "https://s.example/cat.jpg?X-Amz-Signature=c0ffee5ecret"


@pytest.mark.parametrize("quoted", [SIGNED, "c0ffee5ecret"])
def test_no_error_and_no_warning_of_a_wait_quotes_the_signature(
    quoted: str, caplog: pytest.LogCaptureFixture
) -> None:
    service = Service(lambda _: exceptions.Pan123ServiceError(f"no task for {quoted}"), lambda _: [])
    with pytest.raises(exceptions.Pan123UnknownTaskError, match="no task for") as caught:
        service.wait(submission(url=SIGNED))
    assert "The wait continues" in caplog.text
    assert "c0ffee" not in f"{caught.value} {caught.value.__cause__!r} {caplog.text}"


def test_a_bare_taskid_unknown() -> None:
    service = Service(lambda _: exceptions.Pan123ServiceError("no such task"))
    with pytest.raises(exceptions.Pan123UnknownTaskError):
        service.wait(Submission(taskID=7))
    assert service.elapsed == 30


def test_a_bare_taskid_gives_what_is_known() -> None:
    assert Service(lambda _: 2).wait(Submission(taskID=7)) == Outcome(7, None)


def test_intervals_grow_up_to_the_limit() -> None:
    growing = poke_intervals(5, True, 30)
    assert [next(growing) for _ in range(5)] == [5, 10, 20, 30, 30]
    assert next(poke_intervals(5, False, None)) == 5


def test_one_look_is_one_question() -> None:
    service = Service(lambda _: 0)
    assert (
        drive(
            check_once(submission(), service.now + 100, WorkerWait(None, None, WaitTiming()), service.clock),
            service.perform,
        )
        is None
    )
    assert service.asked == ["get_offline_download"]


def test_events_carry_every_end() -> None:
    ended = Outcome(7, "u", "f")
    assert from_event(to_event(ended)) == ended
    with pytest.raises(exceptions.Pan123WaitTimeoutError):
        from_event(to_event(None))
    for retryable in (exceptions.Pan123ServiceError, exceptions.Pan123CredentialsError):
        with pytest.raises(exceptions.Pan123Error, match="get_image: m") as caught:
            from_event(to_event(retryable("m", call="get_image")))
        assert caught.value.retryable is retryable.retryable
        assert (caught.value.call, caught.value.message) == ("get_image", "m")


@pytest.mark.parametrize(
    "event",
    [None, {}, {"status": "success"}, {"status": "ended"}, {"status": "ended", "outcome": {"x": 1}}, "x"],
)
def test_an_event_that_is_not_ours_fails_loudly(event: Any) -> None:
    with pytest.raises(exceptions.Pan123AnswerError, match="not understood"):
        from_event(event)
