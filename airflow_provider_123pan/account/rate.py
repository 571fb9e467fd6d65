"""The request rate that a process found, shared with other processes through a Variable."""

from __future__ import annotations

import json
import random
import time
import uuid
from collections.abc import Callable

from airflow_provider_123pan.account.variables import Variables
from airflow_provider_123pan.service.throttle import FIRST_RATE, Throttle

# Seconds between two exchanges: while other processes are active, and at most while none is.
EXCHANGE_SECONDS = (2.0, 8.0)
# The largest share of its time that a process spends on exchanges.
SHARE_OF_TIME = 0.02
# A rate that changed by at least this factor is shared as soon as possible.
RATE_CHANGE = 1.25
# Requests per second; a Variable with a higher rate was not written by this provider.
MAX_RATE = 10_000.0


def variable_of(account: str) -> str:
    """Return the name of the Variable that holds an account's rate."""
    return f"pan123_rate__{account[:16]}"


class SharedRate:
    """An account's request rate: new processes start from it, and slower active processes follow it.

    :param account: hex of a SHA-256 over base URL and client ID.
    :param clock: monotonic seconds.
    :param uniform: returns a random number between its two arguments.
    """

    def __init__(
        self,
        account: str,
        variables: Variables,
        *,
        clock: Callable[[], float] = time.monotonic,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._name = variable_of(account)
        self._variables = variables
        self._clock, self._uniform = clock, uniform
        self._process = uuid.uuid4().hex[:8]
        self._known = 0.0  # the Variable's rate; 0 if there is none
        self._due_at, self._pause = 0.0, EXCHANGE_SECONDS[0]

    def load(self) -> float | None:
        """Read the Variable and return its rate in requests per second, or None if there is none."""
        self._read()
        return self.found

    @property
    def found(self) -> float | None:
        """The rate in requests per second that the Variable held at the last read, or None."""
        return self._known or None

    def due(self, throttle: Throttle) -> bool:
        """Return True if an exchange is worth its two calls now."""
        return self._clock() >= self._due_at and (throttle.rate_bound or self._changed(throttle))

    def exchange(self, throttle: Throttle) -> None:
        """Converge towards a faster process, and publish the rate of this one. Blocks."""
        began, known = self._clock(), self._known
        try:
            # Without other active processes the exchanges become rarer.
            self._pause = min(2 * self._pause, EXCHANGE_SECONDS[1])
            if self._read() not in ("", self._process):
                self._pause = EXCHANGE_SECONDS[0]
                if self._known != known:
                    throttle.converge(self._known)
            if throttle.rate_bound or self._changed(throttle):
                self._known = round(throttle.measured_rate, 2)
                record = json.dumps({"rate": self._known, "process": self._process})
                self._variables.set(
                    self._name, record, "123pan: requests per second, as found last; made by the provider"
                )
        finally:
            now = self._clock()
            self._due_at = now + max(self._pause * self._uniform(0.8, 1.2), (now - began) / SHARE_OF_TIME)

    def _changed(self, throttle: Throttle) -> bool:
        """Return True if the rate differs enough from the Variable's to be published."""
        if not throttle.learned:  # the limit is higher than every rate that was tried
            return throttle.measured_rate >= 2 * max(self._known, FIRST_RATE)
        return not self._known / RATE_CHANGE < throttle.rate < self._known * RATE_CHANGE

    def _read(self) -> str:
        """Read the Variable and return the id of the process that wrote it, or ``""`` if it holds no record."""
        try:
            record = json.loads(self._variables.get(self._name) or "null")
            rate, process = float(record["rate"]), str(record["process"])
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
            rate, process = 0.0, ""
        self._known = rate if 0 < rate <= MAX_RATE else 0.0
        return process
