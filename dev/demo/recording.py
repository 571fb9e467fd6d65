"""Keeps what the demo prints as an SVG that looks like a terminal."""

from __future__ import annotations

import re
from pathlib import Path

from rich.console import Console

TITLE = "make demo"
# Fonts from another website, which pages such as GitHub's do not load for an image.
FONTS = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)


def recorded_console() -> Console:
    """Return a console that prints as to a file, without animations, and keeps all styles."""
    return Console(record=True, highlight=False, force_terminal=False)


def save(console: Console, path: Path) -> None:
    """Write what a console has printed to an SVG that loads nothing."""
    svg = FONTS.sub("", console.export_svg(title=TITLE))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line.rstrip()}\n" for line in svg.splitlines()), encoding="utf-8")
