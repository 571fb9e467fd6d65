"""The constants of the throttle, each with its reason."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Tuning:
    """The constants of the throttle, chosen in the simulation in ``tests/benchmarks/limiters.py``.

    :ivar growth: factor of a step of the search. A limit of 50 per second is reached in 3 seconds, and exceeded by so
        little that a cut or two suffice.
    :ivar step_seconds: minimum duration of such a step, which also lasts until one of its calls is answered.
    :ivar few: minimum number of answers that prove anything.
    :ivar min_rate: requests per second. A call of 16 processes that share 2 per second must still succeed in time.
    :ivar lowest: lowest factor of a cut. The faster of several processes is refused more often, so cuts even them out.
    :ivar highest: highest factor of a cut. The range keeps processes from being refused in step.
    :ivar climb_seconds: minimum time from a cut back to the refused rate. After 4.5 times as long the rate is about
        fivefold.
    :ivar climb_calls: minimum number of calls in that time, which bounds the share of refusals at low rates.
    :ivar climb_most: maximum of the time for these calls in seconds. A low rate may be one share of a low limit, and
        what another process leaves must be taken soon.
    :ivar climb_periods: minimum of the climb in periods of a quota. No refusal shows before the end of a period that
        the rate is too high, so it must hardly change during one.
    :ivar settle_periods: minimum time to the first cut in periods of a quota. If calls return as slowly as they were
        used up, those at the beginning of a period are refused even at the right rate.
    :ivar react_seconds: minimum time between two cuts. A window of one second refuses until its end.
    :ivar far_seconds: minimum time between two cuts while most calls are refused: more than a round trip.
    :ivar probe_seconds: maximum time between two calls while all are refused. So much of a new period may be lost.
    :ivar long_seconds: refusals for a longer time mean a quota. A window of one second ends sooner.
    :ivar long_refusals: minimum number of these refusals. A process with a small share is often refused by chance.
    :ivar max_period: longest period in seconds that is learned. Longer ones end after the calls have given up.
    :ivar few_refusals: number of refusals that are compared with the good answers between them.
    :ivar rare: minimum number of good answers per refusal in this comparison.
    :ivar probe_calls: calls between two that exceed the limit on concurrent calls: at most 5% are refused because of
        it.
    :ivar probes: number of these calls after which the limit is given up, if less than half of them were refused.
    :ivar convergence: share of the difference to another process by which the rate changes.
    """

    growth: float = 1.75
    step_seconds: float = 0.4
    few: int = 3
    min_rate: float = 0.1
    lowest: float = 0.86
    highest: float = 0.94
    climb_seconds: float = 7.0
    climb_calls: float = 36.0
    climb_most: float = 20.0
    climb_periods: float = 1.25
    settle_periods: float = 0.05
    react_seconds: float = 1.0
    far_seconds: float = 0.2
    probe_seconds: float = 3.0
    long_seconds: float = 2.0
    long_refusals: int = 6
    max_period: float = 60.0
    few_refusals: int = 4
    rare: int = 10
    probe_calls: int = 20
    probes: int = 8
    convergence: float = 0.25


TUNING = Tuning()
