"""How a wait's end travels from the trigger to the task: three kinds of event, checked on arrival."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from airflow_provider_123pan.outcome import Outcome, Pan123WaitTimeoutError
from airflow_provider_123pan.service.errors import Pan123AnswerError, Pan123Error, Pan123ServiceError

#: Seconds after its own deadline at which Airflow may end a deferral that no trigger ended.
BACKSTOP = 300.0


def event_of(end: Outcome | Pan123Error | None) -> dict[str, Any]:
    """The event for a wait's end; None is the time-out."""
    if end is None:
        return {"status": "timeout"}
    if isinstance(end, Outcome):
        return {"status": "ended", "outcome": asdict(end)}
    return {"status": "error", "retryable": end.retryable, "message": str(end)}


def outcome_of(event: Any) -> Outcome:
    """The outcome in an event; raises Pan123WaitTimeoutError, or the error that the trigger met."""
    match event:
        case {"status": "ended", "outcome": Mapping() as fields}:
            try:
                return Outcome(**fields)
            except TypeError:
                pass
        case {"status": "timeout"}:
            raise Pan123WaitTimeoutError("the submission has not ended within the timeout")
        case {"status": "error", "retryable": bool(retryable), "message": str(message)}:
            error = Pan123ServiceError(message)
            error.retryable = retryable
            raise error
    raise Pan123AnswerError(f"the trigger sent an event that is not understood: {event!r:.200}")
