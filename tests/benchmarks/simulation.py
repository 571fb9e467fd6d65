"""Virtual time, a service with a rate limit, and processes that call it as the clients do."""

from __future__ import annotations

import heapq
import itertools
import math
import random
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Any

from airflow_provider_123pan.account.rate import SharedRate
from airflow_provider_123pan.service.throttle import Throttle
from tests.benchmarks.limiter_kinds import Limiter


class MemoryVariables(dict[str, str]):
    """Airflow's Variables."""

    def set(self, name: str, value: str, description: str) -> None:
        """Overwrite a Variable."""
        self[name] = value


class Simulation:
    """Virtual time, and the service."""

    def __init__(self, limiter: Limiter, seed: int) -> None:
        self.limiter, self.random = limiter, random.Random(seed)
        self.now, self._order = 0.0, itertools.count()
        self._events: list[tuple[float, int, Callable[[], Any]]] = []
        self.variables = MemoryVariables()
        limiter.begin(self.random)

    def clock(self) -> float:
        """Return the virtual time in seconds."""
        return self.now

    def after(self, seconds: float, event: Callable[[], Any]) -> None:
        """Schedule an event."""
        heapq.heappush(self._events, (self.now + seconds, next(self._order), event))

    def run(self, until: float) -> None:
        """Let the events up to a time happen."""
        while self._events and self._events[0][0] <= until:
            self.now, _, event = heapq.heappop(self._events)
            event()


def ours(**options: Any) -> Throttle:
    """Return this package's throttle."""
    return Throttle(**options)


class Process:
    """A process that makes calls; one of them waits for its slot and the others queue, as in the clients.

    :param callers: number of concurrent calls.
    :param throttle: makes the throttle; only the package's own shares its rate.
    :param calls: number of calls in total.
    :param options: arguments of the throttle.
    :ivar slowest: the longest time in seconds that a call took.
    """

    def __init__(
        self,
        simulation: Simulation,
        callers: int,
        throttle: Callable[..., Any] = ours,
        calls: float = math.inf,
        **options: Any,
    ) -> None:
        self.simulation, self.calls = simulation, calls
        clock, uniform = simulation.clock, simulation.random.uniform
        self.rate = SharedRate("a" * 64, simulation.variables, clock=clock, uniform=uniform)
        if stored := self.rate.load():
            options.setdefault("start", stored)
        self.throttle = throttle(clock=clock, uniform=uniform, **options)
        self.shares = isinstance(self.throttle, Throttle)
        self.queue: deque[tuple[int, float]] = deque()  # calls: the number of refusals, and the start
        self.waiting = False
        self.good = self.refused = 0
        self.slowest = 0.0
        self.done: Callable[[], Any] = lambda: None
        for _ in range(callers):
            self.next_call()

    def next_call(self) -> None:
        """Begin a call, or report the end of the process."""
        if self.calls:
            self.calls -= 1
            if self.shares and self.rate.due(self.throttle):  # as the hook does
                self.rate.exchange(self.throttle)
            self.enqueue(0, self.simulation.now)
        else:
            self.done()

    def enqueue(self, refusals: int, began: float) -> None:
        """Queue a call for a slot."""
        self.queue.append((refusals, began))
        if not self.waiting:
            self.wait()

    def wait(self) -> None:
        """Wait for the slot of the first call in the queue."""
        self.waiting = bool(self.queue)
        if self.waiting:
            self.simulation.after(self.throttle.reserve(), partial(self.send, *self.queue.popleft()))

    def send(self, refusals: int, began: float) -> None:
        """Send a request."""
        if self.throttle.full:
            self.queue.append((refusals, began))
            self.wait()
            return
        seconds = self.simulation.random.uniform(*self.simulation.limiter.request_seconds)
        block = ExitStack()
        sent = block.enter_context(self.throttle.sending())
        call = partial(self.answer, block, sent, refusals, began)
        self.simulation.after(seconds, partial(self.arrive, call))
        self.wait()

    def arrive(self, answer: Callable[[bool], None]) -> None:
        """Let the service decide on a request."""
        granted = self.simulation.limiter.grants(self.simulation.now)
        seconds = self.simulation.random.uniform(*self.simulation.limiter.answer_seconds)
        self.simulation.after(seconds, partial(answer, granted))

    def answer(self, block: ExitStack, sent: Any, refusals: int, began: float, granted: bool) -> None:
        """Receive an answer."""
        block.close()
        if granted:
            self.simulation.limiter.ended()
            self.good += 1
            self.slowest = max(self.slowest, self.simulation.now - began)
            self.throttle.accepted(sent)
            self.next_call()
        else:
            self.refused += 1
            self.throttle.refused(sent)
            self.simulation.after(self.throttle.backoff(refusals), partial(self.enqueue, refusals + 1, began))
