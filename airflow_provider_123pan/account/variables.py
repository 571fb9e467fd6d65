"""Airflow's Variables, from wherever the code runs."""

from __future__ import annotations

import sys
from typing import Any, Protocol


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
