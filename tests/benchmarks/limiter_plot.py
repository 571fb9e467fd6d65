"""Plot the rate over time for one limit of each kind.

python -m tests.benchmarks.limiter_plot docs/images/limits.svg
"""

from __future__ import annotations

import sys
from html import escape
from pathlib import Path

from tests.benchmarks.limiters import CHANGES, SCENARIOS, Scenario
from tests.benchmarks.simulation import Process, Simulation

# The scenario, and the highest rate of its panel; a dashed line shows the limit.
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
SECONDS, COLUMNS = 240, 2
WIDTH, HEIGHT, LEFT, TOP, GAP = 320, 80, 40, 26, 46
STYLE = (
    "text{font:11px sans-serif;fill:#777}.name{font-weight:bold}"
    ".axis{stroke:#999;stroke-width:1}.limit{stroke:#c2410c;stroke-dasharray:4 3}.rate{stroke:#2563eb;stroke-width:1.5}"
    "path{fill:none}"
)


def rates(scenario: Scenario) -> list[tuple[float, float]]:
    """Return times in seconds and the rate of a process's throttle at them."""
    simulation = Simulation(scenario.limiter(), seed=1)
    process = Process(simulation, scenario.callers)
    points: list[tuple[float, float]] = []
    for second in range(SECONDS + 1):
        simulation.run(until=second)
        points.append((second, process.throttle.rate))
    return points


def panel(name: str, top: float, left: float, highest: float) -> str:
    """Return the SVG of one panel."""

    def path(points: list[tuple[float, float]], kind: str) -> str:
        steps = " ".join(
            f"{left + WIDTH * at / SECONDS:.1f},{top + HEIGHT * (1 - min(rate / highest, 1)):.1f}"
            for at, rate in points
        )
        return f'<path class="{kind}" d="M{steps}"/>'

    scenario = (SCENARIOS | CHANGES)[name]
    limiter = scenario.limiter()
    limit = [(at, limiter.permits(at, at + 1)) for at in range(SECONDS)]
    title = name.partition(" later")[0].rpartition(", ")[0] if "later" in name else name
    texts = [
        f'<text class="name" x="{left}" y="{top - 8}">{escape(title)}</text>',
        f'<text x="{left - 6}" y="{top + 8}" text-anchor="end">{highest}/s</text>',
        f'<text x="{left - 6}" y="{top + HEIGHT}" text-anchor="end">0</text>',
        f'<text x="{left + WIDTH}" y="{top + HEIGHT + 14}" text-anchor="end">{SECONDS} s</text>',
    ]
    axes = f'<path class="axis" d="M{left},{top} V{top + HEIGHT} H{left + WIDTH}"/>'
    return "".join([*texts, axes, path(limit, "limit"), path(rates(scenario), "rate")])


def main() -> None:
    """Write the file."""
    rows = -(-len(PANELS) // COLUMNS)
    panels = [
        panel(
            name, TOP + number // COLUMNS * (HEIGHT + GAP), LEFT + number % COLUMNS * (WIDTH + GAP), highest
        )
        for number, (name, highest) in enumerate(PANELS.items())
    ]
    size = f"{LEFT + COLUMNS * (WIDTH + GAP)} {TOP + rows * (HEIGHT + GAP)}"
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}" role="img">',
        "<title>The rate over time, and the limit as a dashed line, for twelve limits</title>",
        f"<style>{STYLE}</style>",
        *panels,
        "</svg>",
    ]
    Path(sys.argv[1]).write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
