"""Airflow's Variables, reached from any process of Airflow."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from airflow.models.variable import Variable as ModelVariable
    from airflow.sdk import Variable as SdkVariable


class Variables(Protocol):
    """Reads and writes Variables; both methods block."""

    def get(self, name: str) -> str | None:
        """Return a Variable's value, or None if it does not exist."""

    def set(self, name: str, value: str, description: str) -> None:
        """Create or overwrite a Variable."""


class AirflowVariables:
    """Airflow's Variables."""

    def get(self, name: str) -> str | None:
        """Return a Variable's value, or None if it does not exist."""
        value: str | None = _variable().get(name, None)
        return value

    def set(self, name: str, value: str, description: str) -> None:
        """Create or overwrite a Variable."""
        _variable().set(name, value, description=description)


def _variable() -> type[SdkVariable] | type[ModelVariable]:
    """Return the class that can write Variables in this process.

    The SDK's class writes through the supervisor of a task or trigger. Where there is no supervisor, as in the API
    server's connection test, only the model can write.
    """
    if hasattr(sys.modules.get("airflow.sdk.execution_time.task_runner"), "SUPERVISOR_COMMS"):
        from airflow.sdk import Variable
    else:
        from airflow.models.variable import Variable
    return Variable
