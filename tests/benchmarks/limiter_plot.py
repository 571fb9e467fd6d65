"""Plot the rate over time for one limit of each kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from tests.benchmarks.plot import Panel, Plot
from tests.benchmarks.simulation import Process, Simulation

if TYPE_CHECKING:
    from tests.benchmarks.limiters import Scenario

# The scenario, and the highest rate of its panel.
PANELS = {
    "token bucket, 10/s": 20,
    "one-second window, 10/s": 20,
    "sliding second, 10/s": 20,
    "even spacing, 10/s": 20,
    "100 per 10 s": 20,
    "600 per minute": 20,
    "20 per second and 300 per minute": 20,
    "3 at the same time": 80,
    "answers after 1 to 3 s, 10/s": 20,
    "429 on the first call, then 10/s": 20,
    "bucket 10 to 50/s, 30 to 60 s later": 100,
    "bucket 50 to 10/s, 20 to 120 s later": 100,
}
SECONDS, STEP = 240, 2


def panel(name: str, scenario: Scenario, highest: float) -> Panel:
    """Return the diagram of a scenario."""
    simulation = Simulation(scenario.limiter(), seed=1)
    process = Process(simulation, scenario.callers)
    limiter = scenario.limiter()
    times: list[float] = [*range(0, SECONDS + 1, STEP)]
    rates, limit = [], []
    for second in times:
        simulation.run(until=second)
        rates.append(process.throttle.rate)
        limit.append(limiter.permits(second, second + 1))
    title = name.partition(" later")[0].rpartition(", ")[0] if "later" in name else name
    return Panel(title, "s", "/s", {"found rate": (times, rates), "limit": (times, limit)}, highest)


def plot(scenarios: Mapping[str, Scenario]) -> Plot:
    """Return the plot of some of these scenarios."""
    title = "The rate over time, and the limit as a dashed line, for twelve limits"
    return Plot("limits", title, [panel(name, scenarios[name], highest) for name, highest in PANELS.items()])
