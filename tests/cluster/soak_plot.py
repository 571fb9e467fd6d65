"""A plot of a soak as SVG: a panel per measure, with a line per service."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from tests.cluster.loop_lags import Lag, quantile
from tests.cluster.soak_report import Soak
from tests.cluster.trends import Sample

COLOURS = ("#2563eb", "#0891b2", "#c2410c", "#a16207", "#7c3aed", "#15803d")
COLUMNS = 2
WIDTH, HEIGHT, LEFT, TOP, GAP = 420, 120, 60, 44, 50
STYLE = (
    "text{font:11px sans-serif;fill:#777}.name{font-weight:bold}path{fill:none;stroke-width:1.3}"
    ".axis{stroke:#999;stroke-width:1}.warm{fill:#8883}"
)


def plot(soak: Soak) -> str:
    """Return the SVG."""
    panels: dict[str, dict[str, Sequence[Sample]]] = {}
    for (service, measure), samples in soak.series.items():
        panels.setdefault(measure, {})[service] = samples
    panels["lag of the event loop, p99 of each minute, ms"] = {
        service: _per_minute(samples) for service, samples in soak.lags.items() if samples
    }
    panels["load of the machine"] = {"load": soak.load}
    times = [at for samples in soak.series.values() for at, _ in samples]
    start, end = min(times), max(times)
    rows = -(-len(panels) // COLUMNS)
    services = list(dict.fromkeys(service for service, _ in soak.series))
    colours = dict(zip(services, COLOURS, strict=False))
    drawn = [
        _panel(
            name,
            lines,
            colours,
            (start, end),
            soak.warm_up,
            left=LEFT + index % COLUMNS * (WIDTH + LEFT + 10),
            top=TOP + index // COLUMNS * (HEIGHT + GAP),
        )
        for index, (name, lines) in enumerate(panels.items())
    ]
    legend = "".join(
        f'<text x="{LEFT + index * 160}" y="14" style="fill:{colours[service]}">{escape(service)}</text>'
        for index, service in enumerate(services)
    )
    size = f"{COLUMNS * (WIDTH + LEFT + 10) + 10} {TOP + rows * (HEIGHT + GAP)}"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}" role="img">',
            f"<title>{escape(soak.title)}</title>",
            f"<style>{STYLE}</style>",
            legend,
            *drawn,
            "</svg>\n",
        ]
    )


def _per_minute(lags: Sequence[Lag]) -> list[Sample]:
    minutes: dict[int, list[float]] = {}
    for lag in lags:
        minutes.setdefault(int(lag.at // 60), []).append(lag.seconds)
    return [(60 * minute + 30, 1000 * quantile(found, 0.99)) for minute, found in sorted(minutes.items())]


def _panel(
    name: str,
    lines: Mapping[str, Sequence[Sample]],
    colours: Mapping[str, str],
    span: tuple[float, float],
    warm_up: float,
    *,
    left: float,
    top: float,
) -> str:
    values = [value for samples in lines.values() for _, value in samples]
    low, high = min(values, default=0.0), max(values, default=1.0)
    low = 0.0 if low < high / 2 else low
    high = high if high > low else low + 1
    seconds = max(span[1] - span[0], 1.0)

    def x(at: float) -> float:
        return left + WIDTH * min(max(at - span[0], 0.0), seconds) / seconds

    drawn = [
        f'<rect class="warm" x="{left}" y="{top}" width="{x(span[0] + warm_up) - left:.1f}" height="{HEIGHT}"/>',
        f'<text class="name" x="{left}" y="{top - 8}">{escape(name)}</text>',
        f'<text x="{left - 6}" y="{top + 8}" text-anchor="end">{high:.4g}</text>',
        f'<text x="{left - 6}" y="{top + HEIGHT}" text-anchor="end">{low:.4g}</text>',
        f'<text x="{left + WIDTH}" y="{top + HEIGHT + 14}" text-anchor="end">{seconds / 60:.0f} min</text>',
        f'<path class="axis" d="M{left},{top} V{top + HEIGHT} H{left + WIDTH}"/>',
    ]
    for service, samples in lines.items():
        steps = " ".join(
            f"{x(at):.1f},{top + HEIGHT * (1 - (value - low) / (high - low)):.1f}" for at, value in samples
        )
        drawn.append(f'<path stroke="{colours.get(service, COLOURS[0])}" d="M{steps}"/>')
    return "".join(drawn)
