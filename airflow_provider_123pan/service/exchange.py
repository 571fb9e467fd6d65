"""A call from start to end: its token, its slot, and its repetitions."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

from airflow_provider_123pan.exceptions import (
    Pan123Error,
    Pan123RateLimitError,
    Pan123RedirectError,
    Pan123TokenError,
    Pan123TooManyTasksError,
)
from airflow_provider_123pan.service.flow import Flow, NeedToken, Sleep, Slot
from airflow_provider_123pan.service.protocol import Call, Send, read
from airflow_provider_123pan.service.throttle import Throttle
from airflow_provider_123pan.service.timing import REDIRECT_PAUSES, RETRY_FOR_SECONDS, TOO_MANY_TASKS_PAUSES

T = TypeVar("T")

MAX_RENEWALS = 2  # of the token, in one call


def exchange(
    call: Call[T],
    throttle: Throttle,
    retry_for: float = RETRY_FOR_SECONDS,
    clock: Callable[[], float] = time.monotonic,
    *,
    retry_too_many_for: float = RETRY_FOR_SECONDS,
) -> Flow[T]:
    """Make a call at the account's rate and with a valid token, and return its value.

    A refused token is replaced twice, because the stored one may be refused as well as that of this process. A call
    that the service refuses because of its load (429, or too many offline tasks) is repeated for some time; then its
    last error is raised. So is a read that is redirected, a few times: a gateway may do that for a moment. Every other
    error is raised immediately.

    :param retry_for: seconds for which a refused call is repeated.
    :param clock: monotonic seconds.
    :param retry_too_many_for: seconds for which a call refused for too many offline tasks is repeated; at most
        ``retry_for``.
    :raises Pan123Error: see :func:`~airflow_provider_123pan.service.protocol.read`.
    """
    deadline = clock() + retry_for
    too_many_deadline = clock() + min(retry_for, retry_too_many_for)
    token = yield NeedToken()
    refusals = too_many = redirects = renewals = 0
    while True:
        yield Slot()
        while throttle.full:
            yield Slot()
        with throttle.sending() as sent:
            answer = yield Send(call, token)
        try:
            value = read(call, answer)
        except Pan123RateLimitError:
            throttle.refused(sent)
            pause = throttle.backoff(refusals)
            refusals += 1
            if clock() + pause > deadline:
                raise
        except Pan123TooManyTasksError:
            throttle.accepted(sent)
            pause = random.uniform(0.5, 1) * TOO_MANY_TASKS_PAUSES[min(too_many, 2)]
            too_many += 1
            if clock() + pause > too_many_deadline:
                raise
        except Pan123TokenError:
            throttle.accepted(sent)
            if renewals == MAX_RENEWALS:
                raise
            renewals += 1
            pause = 0.0
            token = yield NeedToken(refused=token)
        except Pan123RedirectError as error:
            throttle.accepted(sent)
            redirects += 1
            if not call.reads:
                error.retryable = True
                raise
            if redirects > len(REDIRECT_PAUSES):
                raise
            pause = REDIRECT_PAUSES[redirects - 1]
        except Pan123Error:
            throttle.accepted(sent)
            raise
        else:
            throttle.accepted(sent)
            return value
        yield Sleep(pause)
