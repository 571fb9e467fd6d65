"""What a benchmark reports: tables and plots, for a person at the terminal and, as JSON, for docs/benchmarks.md."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import re
import statistics
import subprocess
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import psutil

from tests.benchmarks.plot import Panel, Plot

ROOT = Path(__file__).parents[2]
LATEST = ROOT / "build" / "benchmarks"  # of each benchmark, whatever its arguments
PUBLISHED = ROOT / "docs" / "benchmarks"  # what docs/benchmarks.md shows
LOAD_AT_START = os.getloadavg()[0]
PUBLISH = "--publish"


# --- figures ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Figure:
    """What was measured in one or more rounds.

    :ivar values: by round; integers are counts.
    :ivar unit: follows the number.
    """

    values: list[float]
    unit: str = ""

    @property
    def median(self) -> float:
        """The median of the rounds."""
        return statistics.median(self.values)

    def over(self, peer: Figure) -> Figure:
        """Return the ratio to the peer's figure in the same round."""
        return Figure([ours / theirs for ours, theirs in zip(self.values, peer.values, strict=True)])

    def __str__(self) -> str:
        """Return the median, and the range in brackets if there is one."""
        low, high = _number(min(self.values)), _number(max(self.values))
        return f"{_number(self.median)}{self.unit}" + (f" ({low}–{high})" if low != high else "")


def _number(value: float) -> str:
    if isinstance(value, int) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}" if abs(value) >= 1 else f"{value:.2g}"


@dataclass(frozen=True)
class Table:
    """A table.

    :ivar title: a line above it, which may be empty.
    """

    title: str
    heading: list[str]
    rows: list[list[str | Figure]]

    def __str__(self) -> str:
        """Return the table as Markdown."""
        lines: list[Sequence[object]] = [self.heading, ["---"] * len(self.heading), *self.rows]
        text = "\n".join(f"| {' | '.join(map(str, cells))} |" for cells in lines)
        return f"{self.title}:\n\n{text}" if self.title else text


# --- measuring ----------------------------------------------------------------------------------------

Side = Callable[[], Mapping[str, float]]  # returns values by quantity
Measured = dict[str, dict[str, Figure]]  # by side and quantity


def take_turns(sides: Mapping[str, Side], rounds: int) -> Measured:
    """Measure all sides one after the other in each round, so that other load on the machine affects all of them."""
    found: dict[str, dict[str, list[float]]] = {name: {} for name in sides}
    for number in range(1, rounds + 1):
        for name, measure in sides.items():
            values = measure()
            for quantity, value in values.items():
                found[name].setdefault(quantity, []).append(value)
            shown = ", ".join(f"{quantity} {_number(value)}" for quantity, value in values.items())
            progress(f"round {number} of {rounds}: {name}: {shown}")
    return {
        name: {quantity: Figure(values) for quantity, values in side.items()} for name, side in found.items()
    }


def together(sides: Mapping[str, Side], rounds: int) -> Measured:
    """Measure all sides at the same time, for those that mostly wait."""
    with ThreadPoolExecutor(len(sides)) as threads:
        measured = threads.map(lambda side: take_turns(dict([side]), rounds), sides.items())
        return {name: side for one in measured for name, side in one.items()}


def progress(line: str) -> None:
    """Show how far the benchmark is."""
    print(line, file=sys.stderr, flush=True)


def beside(
    measured: Measured, *peers: str, what: str, title: str = "", ratio_of: Collection[str] = ()
) -> Table:
    """Return a table of all sides, with the ratios to the peers after each quantity.

    :param what: what the sides are.
    :param ratio_of: the quantities that have ratios, by default all.
    """
    heading = [what]
    rows: list[list[str | Figure]] = [[name] for name in measured]
    for quantity in dict.fromkeys(quantity for side in measured.values() for quantity in side):
        heading.append(quantity)
        for row, side in zip(rows, measured.values(), strict=True):
            row.append(side.get(quantity, ""))
        for peer in peers if quantity in (ratio_of or heading) else ():
            heading.append(f"ratio to {peer}")
            for row, (name, side) in zip(rows, measured.items(), strict=True):
                row.append("1" if name == peer else side[quantity].over(measured[peer][quantity]))
    return Table(title, heading, rows)


def straight_line(title: str, noun: str, sizes: Sequence[float], seconds: Sequence[float]) -> Table:
    """Return a table of the straight line through the CPU times of these sizes, and how far they are from it."""
    slope, start = statistics.linear_regression(sizes, seconds)
    off = max(abs(time / (start + slope * size) - 1) for size, time in zip(sizes, seconds, strict=True))
    fit = statistics.correlation(sizes, seconds) ** 2
    heading = [f"CPU-seconds per 1,000 {noun}", "at the start", "R²", "largest deviation"]
    return Table(title, heading, [[f"{1000 * slope:.3g}", f"{start:.1f}", f"{fit:.4f}", f"{off:.1%}"]])


# --- reports ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Report:
    """The result of a benchmark, or of a part of it.

    :ivar date: the day, in UTC.
    :ivar machine: its parts, by what they are.
    :ivar load: how many processes wanted to run in the minute before the start; None if unknown.
    :ivar arguments: the arguments of the command.
    :ivar note: a sentence about the circumstances.
    """

    name: str
    tables: list[Table]
    plots: list[Plot]
    date: str
    commit: str
    machine: dict[str, str]
    load: float | None = None
    arguments: str = ""
    note: str = ""

    @classmethod
    def read(cls, path: Path) -> Report:
        """Read a stored report."""
        stored = json.loads(path.read_text(encoding="utf-8"))
        tables = [
            Table(title, heading, [[_cell(cell) for cell in row] for row in rows])
            for title, heading, rows in map(dict.values, stored["tables"])
        ]
        plots = [
            Plot(plot["name"], plot["title"], [Panel(**panel) for panel in plot["panels"]])
            for plot in stored["plots"]
        ]
        return cls(**stored | {"tables": tables, "plots": plots})

    def write(self, folder: Path) -> None:
        """Store the report as JSON, with each list of numbers on a line."""
        short = json.loads(json.dumps(asdict(self)), parse_float=lambda digits: float(f"{float(digits):.4g}"))
        text = json.dumps(short, indent=1, ensure_ascii=False)
        text = re.sub(r"\[\s([-\d.,e\s]+)\s\]", lambda found: f"[{' '.join(found[1].split())}]", text)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{self.name}.json").write_text(f"{text}\n", encoding="utf-8")

    def __str__(self) -> str:
        """Return the tables as Markdown, and how they were measured."""
        return "\n\n".join([*map(str, self.tables), self._circumstances()])

    @property
    def where(self) -> str:
        """The machine, as a sentence."""
        return f"{', '.join(self.machine.values())}."

    def _circumstances(self) -> str:
        cells = [cell for table in self.tables for row in table.rows for cell in row]
        rounds = sorted({len(cell.values) for cell in cells if isinstance(cell, Figure)})
        parts = [f"Measured on {self.date} with commit {self.commit}"]
        if rounds:
            several = f"medians of {' or '.join(map(str, rounds))} rounds with the range in brackets"
            parts.append(several if rounds[-1] > 1 else "in one round")
        if self.load is not None:
            parts.append(f"load {self.load} at the start")
        if self.arguments:
            parts.append(f"`ARGS='{self.arguments}'`")
        return "; ".join(parts) + "." + (f" {self.note}" if self.note else "")


def _cell(cell: str | dict[str, Any]) -> str | Figure:
    return cell if isinstance(cell, str) else Figure(**cell)


def _commit() -> str:
    """Return the short hash of the commit, and whether the package differs from it."""

    def git(*command: str) -> str:
        return subprocess.run(["git", *command], cwd=ROOT, capture_output=True, text=True, check=True).stdout

    changed = git("status", "--porcelain", "--", "airflow_provider_123pan", "tests/benchmarks")
    return git("rev-parse", "--short", "HEAD").strip() + (" with changes" if changed else "")


def _machine() -> dict[str, str]:
    models = re.findall(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return {
        "CPU": f"{os.cpu_count()} cores" + (f" of {models[0]}" if models else ""),
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB of memory",
        "OS": platform.freedesktop_os_release()["PRETTY_NAME"],
        "Python": f"Python {platform.python_version()}",
        "Airflow": f"Airflow {importlib.metadata.version('apache-airflow')}",
    }


# --- the command line ---------------------------------------------------------------------------------


class Arguments(argparse.ArgumentParser):
    """The command line of a benchmark: the number of rounds, and whether docs/benchmarks.md is to show the result."""

    def __init__(self, description: str | None, rounds: int | None = 5) -> None:
        """Describe the benchmark by the first line of its docstring.

        :param rounds: their usual number; None if there are no rounds.
        """
        super().__init__(description=(description or "").partition("\n")[0])
        if rounds is not None:
            self.add_argument("--rounds", type=int, default=rounds)
        self.add_argument(PUBLISH, action="store_true", help="store the result for docs/benchmarks.md")


def finish(name: str, *tables: Table, plots: Sequence[Plot] = ()) -> None:
    """Print the report of a benchmark or of a part of it, and store it."""
    arguments = sys.argv[1:]
    report = Report(
        name,
        list(tables),
        list(plots),
        f"{datetime.now(timezone.utc):%Y-%m-%d}",
        _commit(),
        _machine(),
        round(LOAD_AT_START, 1),
        " ".join(argument for argument in arguments if argument != PUBLISH),
    )
    print(f"{name}\n\n{report}\n", flush=True)
    for folder in [LATEST, *([PUBLISHED] if PUBLISH in arguments else [])]:
        report.write(folder)
