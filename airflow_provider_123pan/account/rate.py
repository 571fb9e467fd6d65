"""The request rate that a process found, kept in a Variable for the others."""

from __future__ import annotations

import json
import math
import random
import time
import uuid
from collections.abc import Callable

from airflow_provider_123pan.account.variables import Variables
from airflow_provider_123pan.service.throttle import FIRST_RATE, Throttle

EXCHANGE_SECONDS = (
    2.0,
    8.0,
)  # seconds between two exchanges: with other active processes, and without


SHARE_OF_TIME = 0.02  # that exchanges may take


RATE_CHANGE = 1.25  # a rate that changed by at least this factor is shared at once


class SharedRate:
    """The request rate that a process found: the next one's start, and what others at the same time follow."""

    def __init__(
        self,
        account: str,
        variables: Variables,
        *,
        clock: Callable[[], float] = time.monotonic,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._name = f"pan123_rate__{account[:16]}"
        self._variables = variables
        self._clock, self._uniform = clock, uniform
        self._process = uuid.uuid4().hex[:8]
        self._known = 0.0  # what the Variable says; 0: nothing
        self._due_at, self._pause = 0.0, EXCHANGE_SECONDS[0]

    def load(self) -> float | None:
        """Requests a second, or None where none was found yet."""
        self._read()
        return self.found

    @property
    def found(self) -> float | None:
        """What was found when it was read last: requests a second, or None."""
        return self._known or None

    def due(self, throttle: Throttle) -> bool:
        """Whether an exchange may be worth its two calls."""
        return self._clock() >= self._due_at and (throttle.rate_bound or self._changed(throttle))

    def exchange(self, throttle: Throttle) -> None:
        """Follow who is faster, and tell how fast this process is."""
        began, known = self._clock(), self._known
        try:
            # Who is alone tells seldom.
            self._pause = min(2 * self._pause, EXCHANGE_SECONDS[1])
            if self._read() not in ("", self._process):
                self._pause = EXCHANGE_SECONDS[0]
                if self._known != known:
                    throttle.converge(self._known)
            if throttle.rate_bound or self._changed(throttle):
                self._known = round(throttle.measured_rate, 2)
                record = json.dumps({"rate": self._known, "process": self._process})
                self._variables.set(
                    self._name, record, "123pan: requests a second last found; made by the provider"
                )
        finally:
            now = self._clock()
            # However slow Variables are, they take little of the time.
            self._due_at = now + max(self._pause * self._uniform(0.8, 1.2), (now - began) / SHARE_OF_TIME)

    def _changed(self, throttle: Throttle) -> bool:
        """Whether the next process should know. Without a 429 the limit is above all that was tried."""
        if not throttle.learned:
            return throttle.measured_rate >= 2 * max(self._known, FIRST_RATE)
        return not self._known / RATE_CHANGE < throttle.rate < self._known * RATE_CHANGE

    def _read(self) -> str:
        """Take what the Variable says; who wrote it, ``""`` where nobody signed."""
        try:
            record = json.loads(self._variables.get(self._name) or "0")
            rate, process = (
                (record, "") if isinstance(record, (int, float)) else (record["rate"], record["process"])
            )
            self._known = float(rate) if 0 < rate < math.inf else 0.0
        except (ValueError, KeyError, TypeError):
            self._known, process = 0.0, ""
        return str(process)
