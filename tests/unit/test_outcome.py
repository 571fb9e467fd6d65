"""Every end of a wait, in virtual time, against a scripted service."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_provider_123pan import outcome as subject
from airflow_provider_123pan.finding import CLOCK_SKEW, choose
from airflow_provider_123pan.hints import WorkerHints
from airflow_provider_123pan.outcome import Outcome, intervals, look, wait
from airflow_provider_123pan.service import errors
from airflow_provider_123pan.service.flow import Sleep, drive
from airflow_provider_123pan.service.models import BEIJING, Directory, Image, Listing, OfflineTask, TaskStatus
from airflow_provider_123pan.service.protocol import Ask
from airflow_provider_123pan.submission import Submission
from airflow_provider_123pan.waiting import event_of, outcome_of

START = datetime(2026, 11, 23, 8, tzinfo=timezone.utc)


def image(
    name: str = "a.jpg", *, age: float = -1, status: int = 2, file_id: str = "f1", **more: Any
) -> Image:
    """An image that was changed ``age`` seconds before the submission."""
    fields: dict[str, Any] = {
        "directory_id": "dir",
        "directory_name": "来自:离线下载",
        "etag": "e" * 32,
        "size": 3,
        "changed_at": (START - timedelta(seconds=age)).astimezone(BEIJING),
        "download_url": f"https://vip/{file_id}.jpg",
        "user_url": None,
    }
    return Image(fileID=file_id, file_name=name, status=status, **(fields | more))


def submission(**more: Any) -> Submission:
    fields: dict[str, Any] = {
        "taskID": 7,
        "url": "https://example.com/a.jpg",
        "file_name": "a.jpg",
        "submitted_at": START.isoformat(),
    }
    return Submission(**(fields | more))


class Service:
    """Answers a flow's questions in virtual time; ``status`` and ``images`` may depend on the time."""

    def __init__(
        self, status: Callable[[float], Any], images: Callable[[float], list[Image]] = lambda _: [image()]
    ) -> None:
        self.now = START.timestamp()
        self._status, self._images = status, images
        self.asked: list[str] = []

    @property
    def elapsed(self) -> float:
        return self.now - START.timestamp()

    def perform(self, step: Any) -> Any:
        if isinstance(step, Sleep):
            self.now += step.seconds
            return None
        assert isinstance(step, Ask)
        self.asked.append(step.call.name)
        if step.call.name == "get_offline_download":
            status = self._status(self.elapsed)
            if isinstance(status, Exception):
                raise status
            return OfflineTask(7, TaskStatus(status), 50, START)
        if step.call.name == "get_image":
            return next(found for found in self._images(self.elapsed) if found.download_url is None)
        body = step.call.body or {}
        if body["parentFileId"] == "":
            return Listing((), (Directory("x", "else"), Directory("dir", "来自:离线下载")), None)
        since = body.get("startTime", 0)
        images = [
            found
            for found in self._images(self.elapsed)
            if found.changed_at is None or found.changed_at.timestamp() >= since
        ]
        return Listing(tuple(images), (), None)

    def wait(self, what: Submission | None = None, timeout: float = 3600, **more: Any) -> Outcome | None:
        flow = wait(
            what or submission(),
            START.timestamp() + timeout,
            intervals(10, False, None),
            WorkerHints(),
            clock=self.clock,
            **more,
        )
        return drive(flow, self.perform)

    def clock(self) -> float:
        return self.now


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


def test_the_last_look_is_at_the_deadline() -> None:
    assert Service(lambda t: 2 if t >= 95 else 0).wait(timeout=95) is not None


@pytest.mark.parametrize(
    "error",
    [
        errors.Pan123RateLimitError("429"),
        errors.Pan123TokenError("401"),
        errors.Pan123UnavailableError("502"),
        errors.Pan123TooManyTasksError("many"),
    ],
)
def test_transient_errors_never_end_a_wait(error: Exception) -> None:
    service = Service(lambda t: error if t < 1800 else 2)
    assert service.wait() is not None
    service = Service(lambda _: error)
    assert service.wait() is None
    assert service.elapsed == 3600


@pytest.mark.parametrize(
    "error", [errors.Pan123AnswerError("unknown status 9"), errors.Pan123CredentialsError("wrong secret")]
)
def test_other_errors_end_a_wait_unless_silent(error: Exception) -> None:
    with pytest.raises(type(error)):
        Service(lambda _: error).wait()
    assert Service(lambda t: error if t < 300 else 2).wait(silent=True) is not None


def test_an_unknown_taskid_is_not_yet_within_a_minute() -> None:
    service = Service(lambda t: errors.Pan123ServiceError("no such task") if t < 55 else 2)
    assert service.wait() is not None


def test_an_unknown_taskid_is_asked_twice() -> None:
    service = Service(
        lambda t: errors.Pan123ServiceError("no such task") if 100 <= t < 129 else 2 if t > 100 else 0
    )
    assert service.wait() is not None


def test_a_taskid_unknown_for_good_is_an_error_that_no_retry_mends() -> None:
    service = Service(lambda _: errors.Pan123ServiceError("no such task", code=1, trace_id="t"), lambda _: [])
    with pytest.raises(subject.Pan123UnknownTaskError, match="no such task.*x-traceID t") as caught:
        service.wait()
    assert not caught.value.retryable
    assert 85 <= service.elapsed <= 105


def test_a_taskid_unknown_for_good_whose_image_is_there() -> None:
    found = Service(lambda _: errors.Pan123ServiceError("no such task")).wait()
    assert found is not None
    assert found.fileID == "f1"


def test_a_bare_taskid_unknown() -> None:
    service = Service(lambda _: errors.Pan123ServiceError("no such task"))
    with pytest.raises(subject.Pan123UnknownTaskError):
        service.wait(Submission(taskID=7))
    assert service.elapsed == 30


def test_a_bare_taskid_gives_what_is_known() -> None:
    assert Service(lambda _: 2).wait(Submission(taskID=7)) == Outcome(7, None)


def test_an_earlier_try_found_again_without_its_taskid() -> None:
    service = Service(lambda _: AssertionError())
    found = service.wait(submission(taskID=None))
    assert found is not None
    assert found.fileID == "f1"


def test_a_file_visible_late() -> None:
    service = Service(lambda _: 2, lambda t: [image()] if t > 100 else [])
    assert service.wait() is not None
    assert 100 < service.elapsed < 200


def test_a_file_that_never_shows_up_is_a_retryable_error() -> None:
    service = Service(lambda _: 2, lambda _: [])
    with pytest.raises(subject.Pan123InvisibleError, match=r"a\.jpg") as caught:
        service.wait()
    assert caught.value.retryable
    assert 200 < service.elapsed <= 300


def test_a_file_that_never_shows_up_does_not_move_the_deadline() -> None:
    service = Service(lambda _: 2, lambda _: [])
    assert service.wait(timeout=50) is None
    assert service.elapsed <= 50


def test_a_listing_that_fails_is_no_end() -> None:
    failures = iter([errors.Pan123UnavailableError("502")] * 3)
    service = Service(lambda _: 2)
    perform = service.perform

    def flaky(step: Any) -> Any:
        if isinstance(step, Ask) and step.call.name == "list_images" and (error := next(failures, None)):
            raise error
        return perform(step)

    service.perform = flaky  # type: ignore[method-assign]
    assert service.wait() is not None


def test_review_rejection_is_a_failure() -> None:
    found = Service(lambda _: 2, lambda _: [image(status=101)]).wait()
    assert found is not None
    assert "review (status 101)" in (found.reason or "")


def test_a_listing_without_addresses_is_completed_by_the_detail() -> None:
    class Detailed(Service):
        def perform(self, step: Any) -> Any:
            if isinstance(step, Ask) and step.call.name == "get_image":
                return image()
            return super().perform(step)

    found = Detailed(lambda _: 2, lambda _: [image(download_url=None)]).wait()
    assert found is not None
    assert found.download_url == "https://vip/f1.jpg"


def test_a_given_directory_is_not_looked_up() -> None:
    service = Service(lambda _: 2)
    assert service.wait(submission(directory_id="dir")) is not None
    assert service.asked == ["get_offline_download", "list_images"]


def test_the_sole_older_file_is_taken_only_after_the_new_one_had_its_time() -> None:
    service = Service(lambda _: 2, lambda _: [image(age=86_400)])
    assert service.wait() is not None
    assert service.elapsed >= subject.SETTLED_AFTER


SINCE = START - CLOCK_SKEW


@pytest.mark.parametrize(
    ("images", "settled", "expected"),
    [
        ([image(age=0, file_id="new"), image(age=9999, file_id="old")], False, "new"),
        ([image(age=-5, file_id="newer"), image(age=0, file_id="new")], False, "newer"),
        ([image("b.jpg")], True, None),
        ([image(age=9999, file_id="old")], False, None),
        ([image(age=9999, file_id="old")], True, "old"),
        ([image(age=9999, file_id="old"), image(age=8888, file_id="old2")], True, None),
        ([image(age=9999, file_id="old"), image("a(1).jpg", file_id="renamed")], True, "renamed"),
        ([image(age=9999, file_id="old"), image("a(1).jpg", file_id="renamed")], False, None),
        ([image(age=9999, file_id="old"), image("a(1).jpg", age=8888)], True, None),
        ([image("a(1).jpg", file_id="renamed"), image(file_id="same")], True, "same"),
        ([image("a(1).jpg", age=9999)], True, None),
        ([image("a.png")], True, None),
        ([image("a(1).png")], True, None),
        ([image("xa.jpg")], True, None),
        ([image(changed_at=None, file_id="undated")], True, "undated"),
        ([image(changed_at=None)], False, None),
    ],
)
def test_which_image_is_meant(images: list[Image], settled: bool, expected: str | None) -> None:
    found = choose(images, submission(), SINCE, renamed=settled, older=settled)
    assert (found.fileID if found else None) == expected


def test_names_are_no_patterns() -> None:
    images = [image("axb.jpg"), image("axb(1).jpg")]
    assert choose(images, submission(file_name="a.b.jpg"), SINCE, renamed=True, older=True) is None


def test_intervals_grow_up_to_the_limit() -> None:
    growing = intervals(5, True, 30)
    assert [next(growing) for _ in range(5)] == [5, 10, 20, 30, 30]
    assert next(intervals(5, False, None)) == 5


def test_one_look_is_one_question() -> None:
    service = Service(lambda _: 0)
    assert drive(look(submission(), service.now + 100, WorkerHints(), service.clock), service.perform) is None
    assert service.asked == ["get_offline_download"]


def test_events_carry_every_end() -> None:
    ended = Outcome(7, "u", "f")
    assert outcome_of(event_of(ended)) == ended
    with pytest.raises(subject.Pan123WaitTimeoutError):
        outcome_of(event_of(None))
    for retryable in (errors.Pan123ServiceError, errors.Pan123CredentialsError):
        with pytest.raises(errors.Pan123Error, match="get_image: m") as caught:
            outcome_of(event_of(retryable("m", call="get_image")))
        assert caught.value.retryable is retryable.retryable
        assert (caught.value.call, caught.value.message) == ("get_image", "m")


@pytest.mark.parametrize(
    "event",
    [None, {}, {"status": "success"}, {"status": "ended"}, {"status": "ended", "outcome": {"x": 1}}, "x"],
)
def test_an_event_that_is_not_ours_fails_loudly(event: Any) -> None:
    with pytest.raises(errors.Pan123AnswerError, match="not understood"):
        outcome_of(event)
