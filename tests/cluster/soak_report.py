"""What a soak found: the verdict, a report in Markdown, and the samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tests.cluster.loop_lags import INTERVAL, Lag, quantile
from tests.cluster.trends import MAX_CORRELATION, Sample, Trend, trend

MAX_LAG_SECONDS = 0.1  # the 99th percentile
MIN_MEASURED = 0.9  # the share of the time
# Growth per hour that is negligible: a share of the level for memory, a number for everything else.
NEGLIGIBLE_SHARE, NEGLIGIBLE_COUNT = 0.01, 1.0

RULE = f"""Trends are of the lowest values of minutes, without the first {{minutes:.1f}} minutes. The interval is that
of a least-squares line with the effective number of values for the autocorrelation of its residuals at lag 1, or, if
that is above {MAX_CORRELATION:g}, of the mean change from minute to minute. A measure grows if the interval lies above
0 and if the slopes of the whole and of the second half lie above what is negligible: {NEGLIGIBLE_SHARE:.0%} of the
level for memory (USS, which no other process shares), {NEGLIGIBLE_COUNT:g} for everything else."""


@dataclass
class Soak:
    """All that was measured.

    :ivar title: what ran.
    :ivar seconds: how long it was measured, with the warm-up.
    :ivar warm_up: seconds at the beginning that no trend contains.
    :ivar series: pairs of Unix seconds and a value, by service and measure, of the measured time only.
    :ivar lags: of the event loop, by service.
    :ivar release_lags: the same while all waits were released.
    :ivar load: the machine's load average over a minute.
    :ivar facts: further lines of the report.
    :ivar failures: what must not happen and did.
    """

    title: str
    seconds: float
    warm_up: float
    series: Mapping[tuple[str, str], Sequence[Sample]]
    lags: Mapping[str, Sequence[Lag]]
    load: Sequence[Sample]
    release_lags: Mapping[str, Sequence[Lag]] = field(default_factory=dict)
    facts: Sequence[str] = ()
    failures: Sequence[str] = ()

    def trends(self) -> dict[tuple[str, str], Trend]:
        """Return the trend of each series after the warm-up."""
        found = {}
        for name, samples in self.series.items():
            start = samples[0][0] + self.warm_up
            found[name] = trend([sample for sample in samples if sample[0] >= start])
        return found

    def problems(self) -> list[str]:
        """Return everything that makes the soak fail."""
        found = list(self.failures)
        for (service, measure), line in self.trends().items():
            if line.grows(negligible(measure, line.level)):
                found.append(f"{service}: {measure} grows by {line.slope:.3g} per hour")
        for service, lags in self.lags.items():
            measured = sum(lag.seconds + INTERVAL for lag in lags)
            if measured < MIN_MEASURED * self.seconds:  # a loop that stays blocked writes nothing
                found.append(f"{service}: the lag of its event loop is known for {measured:.0f} s only")
            elif (p99 := quantile([lag.seconds for lag in lags], 0.99)) >= MAX_LAG_SECONDS:
                found.append(f"{service}: the event loop's lag has a 99th percentile of {p99:.3f} s")
        return found


def negligible(measure: str, level: float) -> float:
    """Return the growth per hour that is negligible."""
    return NEGLIGIBLE_SHARE * level if measure.startswith("memory") else NEGLIGIBLE_COUNT


def report(soak: Soak) -> str:
    """Return the report as Markdown."""
    problems = soak.problems()
    lines = [f"# {soak.title}", "", "Passed." if not problems else "Failed:"]
    lines += [*([""] if problems else []), *(f"- {problem}" for problem in problems), ""]
    lines += [f"- {fact}" for fact in soak.facts]
    lines += [
        "",
        "## Growth",
        "",
        _line(["service", "measure", "level", "per hour", "95 %", "second half", "negligible", ""]),
    ]
    lines.append(_line(["---", "---", *["---:"] * 5, "---"]))
    for (service, measure), found in soak.trends().items():
        limit = negligible(measure, found.level)
        numbers = (
            f"{found.level:.1f}",
            f"{found.slope:+.2f}",
            f"{found.low:+.2f} to {found.high:+.2f}",
            f"{found.later:+.2f}",
        )
        verdict = "grows" if found.grows(limit) else ""
        lines.append(_line([service, measure, *numbers, f"{limit:.1f}", verdict]))
    lines += ["", RULE.format(minutes=soak.warm_up / 60)]
    lines += _lag_table("Lag of event loops", soak.lags)
    lines += _lag_table("Lag of event loops while all waits were released", soak.release_lags)
    return "\n".join(lines) + "\n"


def _lag_table(heading: str, lags: Mapping[str, Sequence[Lag]]) -> list[str]:
    headings = ["service", "samples", "median", "p99", "p99.9", "worst", "p99 but for waits for a CPU"]
    lines = ["", f"## {heading}", "", _line(headings), _line(["---", *["---:"] * (len(headings) - 1)])]
    for service, samples in lags.items():
        if samples:
            values, own = [lag.seconds for lag in samples], [lag.own for lag in samples]
            shown = (
                *(quantile(values, share) for share in (0.5, 0.99, 0.999)),
                max(values),
                quantile(own, 0.99),
            )
            lines.append(_line([service, str(len(samples)), *(f"{1000 * value:.1f} ms" for value in shown)]))
    return lines if any(lags.values()) else []


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def samples(soak: Soak) -> str:
    """Return all samples as CSV: Unix seconds, service, measure, value."""
    rows = [(at, *name, value) for name, series in soak.series.items() for at, value in series]
    rows += [(at, "machine", "load", value) for at, value in soak.load]
    lines = (f'{at:.1f},{service},"{measure}",{value:g}' for at, service, measure, value in sorted(rows))
    return "\n".join(["at,service,measure,value", *lines, ""])
