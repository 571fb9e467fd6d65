"""What a task gets when it resumes: one of three kinds of events, and what it deferred with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from typing import Any

from airflow_provider_123pan.download.wait import Outcome
from airflow_provider_123pan.exceptions import (
    Pan123AccessTokenError,
    Pan123AnswerError,
    Pan123CredentialsError,
    Pan123Error,
    Pan123InputError,
    Pan123InvisibleError,
    Pan123RedirectError,
    Pan123ResumeError,
    Pan123ServiceError,
    Pan123UnknownTaskError,
    Pan123WaitError,
    Pan123WaitTimeoutError,
)
from airflow_provider_123pan.service.error_codes import help_code_of
from airflow_provider_123pan.service.redaction import redact_url

_NUMBERS = frozenset({"taskID", "size"})
_FIELDS = {field.name for field in fields(Outcome)}

# How the messages of errors that end a wait are recognized: an event does not name the class.
_WORDS: tuple[tuple[str, type[Pan123Error]], ...] = (
    ("does not know taskID", Pan123UnknownTaskError),
    ("no image in its directory is certainly", Pan123InvisibleError),
    ("gives no URL for its image", Pan123InvisibleError),
    ("refuses the connection's access_token", Pan123AccessTokenError),
    ("which is not followed", Pan123RedirectError),
    ("the answer is not understood", Pan123AnswerError),
)

# Seconds after the deadline of a wait, when Airflow may end a deferral that no trigger ended.
DEFERRAL_GRACE_SECONDS = 300.0
# Seconds that the check before a deferral may take.
FIRST_CHECK_SECONDS = 5.0


def to_event(end: Outcome | Pan123Error | None) -> dict[str, Any]:
    """Return the event for the end of a wait; None stands for its timeout.

    The source URL in it is redacted, because Airflow logs events.
    """
    if end is None:
        return {"status": "timeout"}
    if isinstance(end, Outcome):
        outcome = asdict(end)
        outcome["url"] = None if end.url is None else redact_url(end.url)
        return {"status": "ended", "outcome": outcome}
    facts = {"call": end.call, "code": end.code, "trace_id": end.trace_id}
    return {"status": "error", "retryable": end.retryable, "message": end.message, "facts": facts}


def from_event(event: Any, url: str | None = None) -> Outcome:
    """Return the outcome in an event.

    :param url: the source URL, if the task knows it.
    :raises Pan123WaitTimeoutError: the wait reached its time limit.
    :raises Pan123WaitError: an error ended the wait in the triggerer.
    :raises Pan123AnswerError: the event is not one of ours.
    """
    match event:
        case {"status": "ended", "outcome": Mapping() as outcome}:
            if outcome.keys() == _FIELDS and all(
                value is None or isinstance(value, int if name in _NUMBERS else str)
                for name, value in outcome.items()
            ):
                return replace(Outcome(**outcome), url=url or outcome["url"])
        case {"status": "timeout"}:
            raise Pan123WaitTimeoutError("the submission has not ended within the timeout")
        case {
            "status": "error",
            "retryable": bool(retryable),
            "message": str(message),
            "facts": {"call": call, "code": code, "trace_id": trace_id},
        }:
            error = Pan123WaitError(message, call=call, code=code, trace_id=trace_id)
            error.retryable = retryable
            error.help_code = _help_code(error)
            raise error
    raise Pan123AnswerError(f"the trigger sent an event that is not understood: {event!r:.200}")


def require_kept(kept: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Return what a task deferred with, for an operator that cannot resume without it.

    ``DAG.test()`` of Airflow 3.3.2 resumes a task with the event alone. A sync begins again then, as a retry does.

    :param kept: the argument of ``execute_complete``; None if Airflow lost it.
    :raises Pan123ResumeError: Airflow lost it.
    """
    if kept is None:
        raise Pan123ResumeError(
            'Airflow resumed the task without the arguments that it deferred with, which is a defect of "airflow dags '
            'test" and DAG.test() in Airflow 3.3.2; pass deferrable=False there, or run the DAG with a scheduler and a '
            "triggerer"
        )
    return kept


def _help_code(error: Pan123WaitError) -> str:
    """Return the help code that an error had in the triggerer."""
    for words, kind in _WORDS:
        if words in error.message:
            return kind.help_code
    if found := help_code_of(error.code, error.message):
        return found
    if error.call == "login":
        return Pan123CredentialsError.help_code
    if error.code is not None:
        return Pan123ServiceError.help_code
    return error.help_code if error.retryable else Pan123InputError.help_code
