"""End a program on a signal, with its clean-up."""

from __future__ import annotations

import signal
from types import FrameType


class Ended(BaseException):
    """A signal ended the program.

    :ivar code: the exit code.
    """

    def __init__(self, number: int) -> None:
        """Derive the exit code from the number of the signal."""
        self.code = 128 + number


def end_on(*signals: signal.Signals) -> None:
    """Raise Ended at the first of these signals, and ignore later ones during the clean-up."""

    def handle(number: int, frame: FrameType | None) -> None:
        for later in signals:
            signal.signal(later, signal.SIG_IGN)
        raise Ended(number)

    for handled in signals:
        signal.signal(handled, handle)
