"""What an answer about progress means: the table of cases."""

from __future__ import annotations

import pytest

from airflow_provider_123pan import exceptions
from airflow_provider_123pan.callbacks.delivery import Delivery, DeliveryStatus
from airflow_provider_123pan.download.timing import WaitTiming
from airflow_provider_123pan.download.verdict import (
    NO_REASON,
    Facts,
    Failed,
    Running,
    Succeeded,
    Unknown,
    Verdict,
    failure_reasons,
    judge,
)
from airflow_provider_123pan.service.models import TaskStatus

NOW = 1000.0
SERVICE = exceptions.Pan123ServiceError("internal error", code=1)
NO_DATA = exceptions.Pan123NoDataError("data is None")
ODD = exceptions.Pan123AnswerError("unknown status 8")
REDIRECT = exceptions.Pan123RedirectError("HTTP 302")
OLD, YOUNG = Facts(submitted_at=NOW - 60), Facts(submitted_at=NOW - 59)
REFUSED = Facts(submitted_at=0.0, refused_at=NOW - 30)
REFUSED_JUST_NOW = Facts(submitted_at=0.0, refused_at=NOW - 29)
AWAITED = Facts(expects_delivery=True)
AWAITED_LONG = Facts(expects_delivery=True, failed_at=NOW - 3)
REASONS = Facts(reasons=("first", "last"), expects_delivery=True)


@pytest.mark.parametrize(
    ("answer", "facts", "expected"),
    [
        (TaskStatus.SUCCEEDED, Facts(), Succeeded()),
        (TaskStatus.SUCCEEDED, REASONS, Succeeded()),
        (TaskStatus.RUNNING, Facts(), Running(Facts())),
        (TaskStatus.RUNNING, REASONS, Running(REASONS)),
        (TaskStatus.RETRYING, REFUSED, Running(Facts(submitted_at=0.0))),
        (TaskStatus.FAILED, Facts(), Failed(NO_REASON)),
        (TaskStatus.FAILED, REASONS, Failed("last")),
        (TaskStatus.FAILED, AWAITED, Running(Facts(expects_delivery=True, failed_at=NOW), NOW + 3)),
        (TaskStatus.FAILED, AWAITED_LONG, Failed(NO_REASON)),
        (SERVICE, YOUNG, Running(YOUNG)),
        (NO_DATA, YOUNG, Running(YOUNG)),
        (SERVICE, OLD, Running(Facts(submitted_at=NOW - 60, refused_at=NOW), NOW + 30)),
        (SERVICE, Facts(), Running(Facts(refused_at=NOW), NOW + 30)),
        (NO_DATA, REFUSED_JUST_NOW, Running(REFUSED_JUST_NOW, NOW + 1)),
        (SERVICE, REFUSED, Unknown(SERVICE)),
        (REDIRECT, YOUNG, Running(Facts(submitted_at=NOW - 59, refused_at=NOW), NOW + 30)),
        (REDIRECT, REFUSED, Unknown(REDIRECT)),
        (ODD, YOUNG, Unknown(ODD)),
        (ODD, Facts(one_of_many=True), Running(Facts(one_of_many=True, refused_at=NOW), NOW + 30)),
    ],
)
def test_each_answer_has_one_meaning(
    answer: TaskStatus | exceptions.Pan123Error, facts: Facts, expected: Verdict
) -> None:
    assert judge(answer, facts, NOW, WaitTiming()) == expected


@pytest.mark.parametrize(
    "error",
    [
        exceptions.Pan123RateLimitError("429"),
        exceptions.Pan123UnavailableError("502"),
        exceptions.Pan123TokenError("401"),
        exceptions.Pan123VerifyingError("20103"),
        exceptions.Pan123LoginLimitError("three logins"),
    ],
)
def test_an_error_that_says_nothing_about_the_task_means_running(error: exceptions.Pan123Error) -> None:
    assert judge(error, REFUSED, NOW, WaitTiming()) == Running(REFUSED)


@pytest.mark.parametrize(
    "error", [exceptions.Pan123InputError("host"), exceptions.Pan123CredentialsError("wrong secret")]
)
def test_an_error_of_the_account_or_the_connection_is_raised(error: exceptions.Pan123Error) -> None:
    with pytest.raises(type(error)):
        judge(error, OLD, NOW, WaitTiming())


def test_only_a_failure_has_a_reason() -> None:
    succeeded = Delivery("0" * 32, DeliveryStatus.SUCCEEDED, reason="odd")
    failed = Delivery("0" * 32, DeliveryStatus.FAILED, reason="HTTP 404")
    unnamed = Delivery("0" * 32, DeliveryStatus.FAILED)
    assert failure_reasons([succeeded, failed, unnamed]) == ("the callback reports: HTTP 404",)
