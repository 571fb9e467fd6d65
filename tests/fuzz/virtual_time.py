"""A clock for simulations, in place of the clocks of the ``time`` module."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

START = 1_780_000_000.0  # Unix seconds


class VirtualTime:
    """Time that passes only in :meth:`sleep`.

    :ivar now: Unix seconds by the service's clock.
    :ivar skew: seconds by which our clock is ahead.
    :ivar on_sleep: called before each sleep.
    """

    def __init__(self) -> None:
        self.reset(0.0)

    def reset(self, skew: float) -> None:
        """Begin again."""
        self.now = START
        self.skew = skew
        self.on_sleep: Callable[[], None] = lambda: None

    def time(self) -> float:
        """Return our clock's Unix seconds."""
        return self.now + self.skew

    def monotonic(self) -> float:
        """Return seconds since the start."""
        return self.now - START

    def sleep(self, seconds: Any) -> None:
        """Let time pass."""
        self.on_sleep()
        self.now += max(0.0, seconds)

    def install(self) -> None:
        """Replace the clocks of this process; only before the package is imported, which keeps references to them."""
        time.time, time.monotonic, time.sleep = self.time, self.monotonic, self.sleep


VIRTUAL = VirtualTime()
