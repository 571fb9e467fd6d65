"""The token source, the throttle and the shared rate of an account."""

from __future__ import annotations

import os
import threading

from airflow.sdk.log import mask_secret

from airflow_provider_123pan.account.connection import ConnectionSettings
from airflow_provider_123pan.account.fixed_token import FixedToken
from airflow_provider_123pan.account.rate import SharedRate
from airflow_provider_123pan.account.token import LoginTiming, SharedToken
from airflow_provider_123pan.account.variables import AirflowVariables, Variables
from airflow_provider_123pan.service.flow import TokenSource
from airflow_provider_123pan.service.throttle import FIRST_RATE, Throttle

#: The timing of all logins of this process; tests replace it.
login_timing = LoginTiming()

_throttles: dict[tuple[str, float | None], Throttle] = {}
_throttles_lock = threading.Lock()
# A thread of the parent process may hold the lock of one of them while a child is forked.
os.register_at_fork(after_in_child=_throttles.clear)


def account_variables() -> Variables:
    """Return Airflow's Variables, which all tasks of an account share."""
    return AirflowVariables()


def account_of(
    settings: ConnectionSettings, first_rate: float = FIRST_RATE
) -> tuple[TokenSource, Throttle, SharedRate]:
    """Return an account's token source, its only throttle in this process, and its shared rate.

    Blocks, because it reads a Variable.

    :param first_rate: requests per second to begin with if no process has found a rate.
    """
    variables = account_variables()
    tokens: TokenSource
    if settings.access_token:
        mask_secret(settings.access_token)
        tokens = FixedToken(settings.access_token)
    else:
        tokens = SharedToken(
            settings.account,
            settings.client_id,
            settings.client_secret,
            variables,
            mask_secret,
            timing=login_timing,
        )
    rate = SharedRate(settings.account, variables)
    key, start = (settings.account, settings.requests_per_second), rate.load() or first_rate
    with _throttles_lock:
        if key not in _throttles:
            _throttles[key] = Throttle(start=start, ceiling=settings.requests_per_second)
        return tokens, _throttles[key], rate
