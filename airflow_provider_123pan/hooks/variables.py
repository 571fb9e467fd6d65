"""Airflow's Variables, from wherever the code runs, and the rate that is kept in one."""

from __future__ import annotations

import math
import sys
import time
from typing import Any, Protocol

from airflow_provider_123pan.service.throttle import FIRST_RATE, Throttle

RATE_PERIOD = 10.0  # seconds between two writes of one process at least
RATE_CHANGE = 1.25  # the factor from which on a changed rate is worth a write


class Variables(Protocol):
    """Airflow's Variables; both functions block."""

    def get(self, name: str) -> str | None: ...

    def set(self, name: str, value: str, description: str) -> None: ...


class AirflowVariables:
    """Reads and writes Variables; both block."""

    def get(self, name: str) -> str | None:
        value: str | None = _variable().get(name, None)
        return value

    def set(self, name: str, value: str, description: str) -> None:
        _variable().set(name, value, description=description)


def _variable() -> Any:
    """The SDK's Variable, which writes through the supervisor of a task or trigger; elsewhere (the API server's
    connection test) there is none, and the model is the one that writes."""
    if hasattr(sys.modules.get("airflow.sdk.execution_time.task_runner"), "SUPERVISOR_COMMS"):
        from airflow.sdk import Variable
    else:
        from airflow.models.variable import Variable
    return Variable


class SharedRate:
    """The request rate that a process found, kept as the next one's start."""

    def __init__(self, account: str, variables: Variables) -> None:
        self._name = f"pan123_rate__{account[:16]}"
        self._variables = variables
        self._known = 0.0  # what the Variable says; 0: nothing
        self._written_at = 0.0

    def load(self) -> float | None:
        """Requests a second, or None where none was found yet."""
        try:
            stored = float(self._variables.get(self._name) or "nan")
        except ValueError:
            stored = math.nan
        self._known = stored if 0 < stored < math.inf else 0.0
        return self._known or None

    @property
    def found(self) -> bool:
        """Whether an earlier process found a rate."""
        return self._known > 0

    def due(self, throttle: Throttle) -> bool:
        """Whether the throttle knows something that is worth a write."""
        if not throttle.learned:  # the limit is above all that was tried: told once per doubling
            return throttle.proven >= 2 * max(self._known, FIRST_RATE)
        if time.monotonic() - self._written_at < RATE_PERIOD:
            return False
        return not self._known / RATE_CHANGE < throttle.rate < self._known * RATE_CHANGE

    def save(self, throttle: Throttle) -> None:
        self._known, self._written_at = throttle.proven, time.monotonic()
        self._variables.set(
            self._name, f"{self._known:.3g}", "123pan: requests a second last found; made by the provider"
        )
