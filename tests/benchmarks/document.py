"""Write docs/benchmarks.md and its plots from docs/benchmarks.md.in and the published results.

python -m tests.benchmarks.document

In the template, a line ``{{name}}`` stands for the report of that name, and ``{{machine}}`` for the usual machine.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from tests.benchmarks.report import PUBLISHED, ROOT, Report

DOCUMENT = ROOT / "docs" / "benchmarks.md"
TEMPLATE = ROOT / "docs" / "benchmarks.md.in"
IMAGES = ROOT / "docs" / "images"
PLACE = re.compile(r"^\{\{([a-z-]+)\}\}$", re.MULTILINE)


def published() -> dict[str, Report]:
    """Return the published reports by name."""
    return {path.stem: Report.read(path) for path in sorted(PUBLISHED.glob("*.json"))}


def render(template: str, reports: Mapping[str, Report]) -> str:
    """Return the document.

    :raises ValueError: the template has no place for a report.
    """
    if missing := reports.keys() - set(PLACE.findall(template)):
        raise ValueError(f"{TEMPLATE.name} has no place for {', '.join(sorted(missing))}")
    usual = Counter(report.where for report in reports.values()).most_common(1)[0][0]

    def text(place: re.Match[str]) -> str:
        if place[1] == "machine":
            return usual
        if place[1] not in reports:
            return "Not measured yet."
        report = reports[place[1]]
        plots = [f"![{plot.title}](images/{plot.name}.svg)" for plot in report.plots]
        elsewhere = [f"The machine: {report.where}"] if report.where != usual else []
        return "\n\n".join([*plots, str(report), *elsewhere])

    return PLACE.sub(text, template)


def files(reports: Mapping[str, Report]) -> dict[Path, str]:
    """Return the contents of the document and of the plots."""
    plots = {IMAGES / f"{plot.name}.svg": plot.svg() for report in reports.values() for plot in report.plots}
    return {DOCUMENT: render(TEMPLATE.read_text(encoding="utf-8"), reports), **plots}


def main() -> None:
    """Write the files."""
    for path, content in files(published()).items():
        path.write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main()
