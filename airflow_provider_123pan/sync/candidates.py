"""Chooses the images that are submitted next."""

from __future__ import annotations

import time

from airflow_provider_123pan.sync.format_probes import FormatProbes
from airflow_provider_123pan.sync.image_state import ImageState
from airflow_provider_123pan.sync.in_flight import InFlight
from airflow_provider_123pan.sync.inventory import Inventory
from airflow_provider_123pan.sync.timing import SyncTiming

BLOCK = 100  # submissions that one write to the journal announces
# Images without a format that one choice looks at: those behind them wait for the probes.
_MAX_NOT_READY = 2 * BLOCK


class Candidates:
    """The images of a list that are to be submitted, for one worker.

    :param formats: finds the formats of images that show none.
    """

    def __init__(
        self, inventory: Inventory, in_flight: InFlight, formats: FormatProbes, timing: SyncTiming
    ) -> None:
        self._inventory = inventory
        self._in_flight = in_flight
        self._formats = formats
        self._timing = timing
        self._alone_at = 0.0
        self.wait_alone()

    def wait_alone(self) -> None:
        """Submit no image alone before a listing of what is new can no longer show what has ended by now."""
        self._alone_at = time.monotonic() + self._timing.skew.total_seconds() + 1

    def next_state(self) -> ImageState | None:
        """Return which state is submitted next: the images that failed once come after all others have ended."""
        kinds = (ImageState.MISSING, ImageState.AGAIN)
        return next((state for state in kinds if self._inventory.first(state) is not None), None)

    def choose(self, room: int, *, calling: bool) -> list[int]:
        """Return the numbers of images to submit now.

        :param room: images that may be added to those in flight.
        :param calling: submissions are being sent, or the worker uploads images.
        """
        state = self.next_state()
        if state is None or not room:
            return []
        if state is ImageState.AGAIN and (self._in_flight or calling):
            return []
        chosen: list[int] = []
        not_ready = 0
        number = first = self._inventory.first(state)
        while number is not None and len(chosen) < min(BLOCK, room) and not_ready < _MAX_NOT_READY:
            if not self._formats.is_ready(number):
                not_ready += 1
            elif state is ImageState.MISSING or number not in self._in_flight.alone:
                chosen.append(number)
            number = self._inventory.first(state, number + 1)
        if chosen or first is None or not self._formats.is_ready(first):
            return chosen
        return [first] if time.monotonic() >= self._alone_at else []
