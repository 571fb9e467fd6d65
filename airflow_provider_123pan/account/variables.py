"""Airflow's Variables, reached from any process of Airflow."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from airflow.models.variable import Variable as ModelVariable
    from airflow.sdk import Variable as SdkVariable

log = logging.getLogger(__name__)

T = TypeVar("T")


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


def read_json(variables: Variables, name: str, kind: type[T], is_right: Callable[[T], bool]) -> T | None:
    """Return what a Variable holds as JSON; None if it cannot be read, and so must not be overwritten.

    :param kind: the type of what it holds; an empty one is returned for a Variable that does not exist, or has another
        shape.
    :param is_right: whether a value of this type has the right shape.
    """
    try:
        text = variables.get(name)
    except Exception as error:  # Airflow's Variables raise errors of many kinds
        log.warning("The Variable %s cannot be read: %s", name, type(error).__name__)
        return None
    try:
        found: Any = json.loads(text) if text else kind()
    except (ValueError, RecursionError):
        found = None
    if isinstance(found, kind) and is_right(found):
        return found
    log.warning("The Variable %s has a wrong shape, and is ignored", name)
    return kind()


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
