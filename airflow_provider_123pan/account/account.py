"""One account's tokens, throttle and shared rate."""

from __future__ import annotations

import os
import threading

from airflow.sdk.log import mask_secret

from airflow_provider_123pan.account.connection import ConnectionSettings
from airflow_provider_123pan.account.rate import SharedRate
from airflow_provider_123pan.account.token import FixedToken, SharedToken
from airflow_provider_123pan.account.variables import AirflowVariables
from airflow_provider_123pan.service.flow import TokenSource
from airflow_provider_123pan.service.throttle import FIRST_RATE, Throttle

_throttles: dict[tuple[str, float | None], Throttle] = {}


_throttles_lock = threading.Lock()
os.register_at_fork(after_in_child=_throttles.clear)  # a thread of the parent may hold one's locks


def account_of(
    settings: ConnectionSettings, first_rate: float = FIRST_RATE
) -> tuple[TokenSource, Throttle, SharedRate]:
    """An account's tokens, the process's one throttle for it, and the rate kept for others; reads a Variable, so it
    blocks.

    :param first_rate: requests a second to begin with, where nobody has found any yet.
    """
    variables = AirflowVariables()
    tokens: TokenSource
    if settings.access_token:
        mask_secret(settings.access_token)
        tokens = FixedToken(settings.access_token)
    else:
        tokens = SharedToken(
            settings.account, settings.client_id, settings.client_secret, variables, mask_secret
        )
    rate = SharedRate(settings.account, variables)
    key, start = (settings.account, settings.requests_per_second), rate.load() or first_rate
    with _throttles_lock:
        if key not in _throttles:
            _throttles[key] = Throttle(start=start, ceiling=settings.requests_per_second)
        return tokens, _throttles[key], rate
