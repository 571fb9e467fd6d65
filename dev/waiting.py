"""Wait for conditions, not for a fixed time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class Timeout(AssertionError):
    """The condition was not met in time."""


def wait_for(condition: Callable[[], T | None], *, what: str, timeout: float, every: float = 0.3) -> T:
    """Call `condition` until it returns a true value.

    :param what: what the caller waits for, as the error says it.
    :param timeout: seconds after which Timeout is raised.
    :param every: seconds between two calls.
    :returns: the true value.
    """
    deadline = time.monotonic() + timeout
    while True:
        if found := condition():
            return found
        if time.monotonic() > deadline:
            raise Timeout(f"{what}: not within {timeout:.0f} s")
        time.sleep(every)
