"""Wait for a condition, never for a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class Timeout(AssertionError):
    """What was waited for did not come."""


def wait_for(look: Callable[[], T | None], *, what: str, timeout: float, every: float = 0.3) -> T:
    """Call `look` until it returns something true, and return that."""
    deadline = time.monotonic() + timeout
    while True:
        if found := look():
            return found
        if time.monotonic() > deadline:
            raise Timeout(f"{what}: not within {timeout:.0f} s")
        time.sleep(every)
