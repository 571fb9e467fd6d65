"""Measure how much of an unknown limit is used, and how many calls are refused, for every kind of limit.

    python -m tests.benchmarks.limiters                 # a round is a seed

Everything happens in virtual time, so the result depends on the seeds alone. Beside the throttle of this package run
botocore's adaptive mode, AIMD, and a fixed rate that happens to be right. A cell shows "used % / refused %", as
medians over the seeds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from statistics import median
from typing import Any

from tests.benchmarks import limiter_plot
from tests.benchmarks.limiter_kinds import (
    Bucket,
    Changing,
    Concurrent,
    FixedWindow,
    Limiter,
    SlidingWindow,
    SlowBucket,
    Spacing,
    Stray,
    Together,
)
from tests.benchmarks.limiter_peers import AIMD, AdaptiveMode, FixedRate
from tests.benchmarks.report import Arguments, Figure, Table, finish, progress
from tests.benchmarks.simulation import Process, Simulation, ours


@dataclass(frozen=True)
class Scenario:
    """A limiter, and the processes that share it.

    :ivar limiter: makes the limiter of one run.
    :ivar seconds: duration in virtual time.
    :ivar after: the first second that counts.
    :ivar processes: number of processes; all but the first start at a random time in the first ``late`` seconds.
    """

    limiter: partial[Limiter]
    seconds: float = 300.0
    after: float = 0.0
    processes: int = 1
    late: float = 20.0
    callers: int = 16


@dataclass(frozen=True)
class Result:
    """One run.

    :ivar used: the share of the permitted calls that was made.
    :ivar refused: the share of the requests that was refused.
    :ivar least: the smallest process's share of its fair share.
    """

    used: float
    refused: float
    least: float = 1.0


def run(scenario: Scenario, seed: int, throttle: Any = ours) -> Result:
    """Run a scenario once."""
    simulation = Simulation(scenario.limiter(), seed)
    running: list[Process] = []

    def start() -> None:
        running.append(Process(simulation, scenario.callers, throttle))

    for number in range(scenario.processes):
        simulation.after(simulation.random.uniform(0, scenario.late) if number else 0.0, start)
    simulation.run(until=scenario.after)
    before = [(process.good, process.refused) for process in running]
    before += [(0, 0)] * (scenario.processes - len(running))
    simulation.run(until=scenario.seconds)
    good = [process.good - earlier for process, (earlier, _) in zip(running, before, strict=True)]
    refused = sum(process.refused - earlier for process, (_, earlier) in zip(running, before, strict=True))
    permitted = simulation.limiter.permits(scenario.after, scenario.seconds)
    fair = sum(good) / len(good)
    return Result(sum(good) / permitted, refused / max(sum(good) + refused, 1), min(good) / max(fair, 1))


def medians(scenario: Scenario, seeds: range, throttle: Any = ours) -> Result:
    """Return the medians over some seeds."""
    results = [run(scenario, seed, throttle) for seed in seeds]
    return Result(
        median(result.used for result in results),
        median(result.refused for result in results),
        median(result.least for result in results),
    )


def quota(count: int, period: float) -> Scenario:
    """Return the scenario of a quota window."""
    return Scenario(partial(FixedWindow, count, period), seconds=max(300.0, 10 * period))


SCENARIOS: dict[str, Scenario] = {
    **{f"token bucket, {rate}/s": Scenario(partial(Bucket, rate)) for rate in (2, 10, 50)},
    **{f"one-second window, {rate}/s": Scenario(partial(FixedWindow, rate, 1)) for rate in (2, 10, 50)},
    **{f"sliding second, {rate}/s": Scenario(partial(SlidingWindow, rate, 1)) for rate in (2, 10, 50)},
    **{
        f"sliding second that counts refused calls, {rate}/s": Scenario(
            partial(SlidingWindow, rate, 1, counts_refused=True)
        )
        for rate in (2, 10, 50)
    },
    "even spacing, 10/s": Scenario(partial(Spacing, 10)),
    "even spacing with a burst of 3, 10/s": Scenario(partial(Spacing, 10, burst=3)),
    "100 per 10 s": quota(100, 10),
    "600 per minute": quota(600, 60),
    "120 per minute": quota(120, 60),
    "600 per sliding minute": Scenario(partial(SlidingWindow, 600, 60), seconds=600),
    "20 per second and 300 per minute": Scenario(
        partial(lambda: Together(FixedWindow(20, 1), FixedWindow(300, 60))), seconds=600
    ),
    "3 at the same time": Scenario(partial(Concurrent, 3)),
    "answers after 1 to 3 s, 10/s": Scenario(partial(SlowBucket, 10), callers=64),
    "answers after 1 to 3 s, 50/s": Scenario(partial(SlowBucket, 50), callers=160),
    "429 on the first call, then 10/s": Scenario(
        partial(lambda: Stray(Bucket(10), first=1)), seconds=140, after=20
    ),
    "1 % stray 429, 10/s": Scenario(partial(lambda: Stray(Bucket(10), share=0.01))),
}

# The limit changes at second 120.
CHANGES: dict[str, Scenario] = {
    **{
        f"{name} {before} to {after}/s, {what}": Scenario(
            partial(
                lambda kind, before, after: Changing(120, kind(before), kind(after)), kind, before, after
            ),
            seconds=120 + end,
            after=120 + begin,
        )
        for name, kind in (("bucket", Bucket), ("window", FixedWindow))
        for before, after in ((10, 50), (5, 50), (50, 10), (50, 5))
        for what, begin, end in (
            (("30 to 60 s later", 30, 60),)
            if after > before
            else (("first 20 s", 0, 20), ("20 to 120 s later", 20, 120))
        )
    }
}

SHARED: dict[str, Scenario] = {
    f"{processes} processes, {name}": replace(
        SCENARIOS[name], processes=processes, after=30.0, seconds=SCENARIOS[name].seconds + 30
    )
    for processes, names in (
        (
            2,
            (
                *(
                    f"{kind}, {rate}/s"
                    for kind in ("token bucket", "one-second window")
                    for rate in (2, 10, 50)
                ),
                "sliding second, 10/s",
                "600 per minute",
                "100 per 10 s",
            ),
        ),
        (
            8,
            (
                *(f"{kind}, {rate}/s" for kind in ("token bucket", "one-second window") for rate in (10, 50)),
                "sliding second, 10/s",
                "600 per minute",
            ),
        ),
    )
    for name in names
}

# More processes than a low limit has requests per second.
CROWDS: dict[str, Scenario] = {
    f"{processes} processes, {kind}, 2/s": replace(
        SCENARIOS[f"{kind}, 2/s"], processes=processes, after=30.0, seconds=330.0
    )
    for processes in (4, 8, 16)
    for kind in ("token bucket", "one-second window")
}


def short_processes(limiter: Limiter, seed: int, *, at_once: int = 16, count: int = 300) -> tuple[int, float]:
    """Run many processes with three calls each.

    :returns: the number of processes whose calls all succeeded within the time for which a call is repeated, 600
        seconds each, and the share of the requests that was refused.
    """
    simulation = Simulation(limiter, seed)
    left = iter(range(count))
    ended: list[Process] = []

    def start() -> None:
        if next(left, None) is not None:
            process = Process(simulation, 1, calls=3)
            process.done = partial(end, process)

    def end(process: Process) -> None:
        ended.append(process)
        start()

    for _ in range(at_once):
        simulation.after(simulation.random.random(), start)
    simulation.run(until=7200)
    in_time = sum(process.slowest <= 600 for process in ended)
    refused = sum(process.refused for process in ended)
    return in_time, refused / (refused + sum(process.good for process in ended))


def peers(scenario: Scenario) -> dict[str, Any]:
    """Return the constructors of all throttles, by name."""
    limiter = scenario.limiter()
    right = limiter.permits(scenario.after, scenario.seconds) / (scenario.seconds - scenario.after)
    return {
        "this package": ours,
        "adaptive mode": AdaptiveMode,
        "AIMD": AIMD,
        "the right rate": partial(FixedRate, right / scenario.processes),
    }


def table(seeds: range, only: str, *, alone: bool) -> Table:
    """Return the table of the scenarios whose name contains `only`."""
    heading: list[str] = []
    rows: list[list[str | Figure]] = []
    for name, scenario in (SCENARIOS | CHANGES | SHARED | CROWDS).items():
        if only not in name:
            continue
        throttles = {"this package": ours} if alone else peers(scenario)
        heading = heading or ["Used / refused (smallest share)", *throttles]
        row: list[str | Figure] = [name]
        for throttle in throttles.values():
            result = medians(scenario, seeds, throttle)
            least = f" ({result.least:.0%})" if scenario.processes > 1 else ""
            row.append(f"{result.used:.0%} / {result.refused:.1%}{least}")
        rows.append(row)
        progress(" | ".join(map(str, row)))
    return Table("", heading, rows)


def main() -> None:
    """Run the benchmark."""
    parser = Arguments(__doc__, rounds=9)
    parser.add_argument("--only", default="", help="a part of the names of scenarios")
    parser.add_argument("--alone", action="store_true", help="measure this package's throttle only")
    args = parser.parse_args()
    tables = [table(range(args.rounds), args.only, alone=args.alone)]
    if not args.only:
        rows: list[list[str | Figure]] = []
        for name in ("token bucket, 2/s", "one-second window, 2/s"):
            ended, refused = short_processes(SCENARIOS[name].limiter(), seed=1)
            rows.append([name, f"{ended}", f"{refused:.0%}"])
        tables.append(
            Table("300 short processes with three calls each", ["Limit", "in time", "refused"], rows)
        )
    finish("limiters", *tables, plots=[limiter_plot.plot(SCENARIOS | CHANGES)])


if __name__ == "__main__":
    main()
