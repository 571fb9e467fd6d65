"""Decides which errors fail a task without a retry."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_123pan.exceptions import Pan123Error, Pan123InputError


@contextlib.contextmanager
def failing_without_retry() -> Iterator[None]:
    """Let an error that no retry can help fail the task at once."""
    try:
        yield
    except Pan123Error as error:
        if error.retryable:
            raise
        # The message of an input error says everything; a traceback would only hide it.
        raise AirflowFailException(str(error)) from None if isinstance(error, Pan123InputError) else error
