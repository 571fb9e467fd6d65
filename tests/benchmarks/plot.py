"""Plots of lines as small SVGs."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

COLUMNS = 2
WIDTH, HEIGHT, LEFT, TOP, GAP = 320, 80, 50, 26, 50
LETTER = 6  # usual width
COLOURS = ("#2563eb", "#c2410c", "#15803d", "#a16207")
STYLE = (
    "text{font:11px sans-serif;fill:#777}.name{font-weight:bold}.axis{stroke:#999}path{fill:none}"
    + "".join(
        f".line{number}{{stroke:{colour};stroke-width:1.5{';stroke-dasharray:4 3' if number else ''}}}"
        f".text{number}{{fill:{colour}}}"
        for number, colour in enumerate(COLOURS)
    )
)


@dataclass(frozen=True)
class Panel:
    """A diagram of lines, whose axes begin at 0.

    :ivar x: unit of the horizontal axis.
    :ivar y: unit of the vertical axis.
    :ivar series: the horizontal and the vertical values of the points, by name. The first is this package, and the
        others, which are dashed, are what it is compared with.
    :ivar highest: the end of the vertical axis; 0 for the highest value.
    """

    title: str
    x: str
    y: str
    series: dict[str, tuple[list[float], list[float]]]
    highest: float = 0.0

    def svg(self, left: float, top: float) -> str:
        """Return the diagram, with its upper left corner here."""
        widest = max(max(across) for across, _ in self.series.values())
        highest = self.highest or max(max(up) for _, up in self.series.values())
        parts = [
            f'<text class="name" x="{left}" y="{top - 8}">{escape(self.title)}</text>',
            f'<text x="{left - 6}" y="{top + 8}" text-anchor="end">{highest:,.4g}{self.y}</text>',
            f'<text x="{left - 6}" y="{top + HEIGHT}" text-anchor="end">0</text>',
            f'<text x="{left + WIDTH}" y="{top + HEIGHT + 14}" text-anchor="end">{widest:,} {self.x}</text>',
            f'<path class="axis" d="M{left},{top} V{top + HEIGHT} H{left + WIDTH}"/>',
        ]
        for number, points in reversed([*enumerate(self.series.values())]):
            steps = " ".join(
                f"{left + WIDTH * x / widest:.1f},{top + HEIGHT * (1 - min(y / highest, 1)):.1f}"
                for x, y in zip(*points, strict=True)
            )
            parts.append(f'<path class="line{number}" d="M{steps}"/>')
        return "".join(parts)


@dataclass(frozen=True)
class Plot:
    """Diagrams that become one file.

    :ivar name: of the file, without its suffix.
    :ivar title: what a screen reader says.
    """

    name: str
    title: str
    panels: list[Panel]

    def svg(self) -> str:
        """Return the file's content."""
        rows = -(-len(self.panels) // COLUMNS)
        size = (LEFT + COLUMNS * (WIDTH + GAP), TOP + rows * (HEIGHT + GAP) + LETTER)
        parts = []
        for number, panel in enumerate(self.panels):
            row, column = divmod(number, COLUMNS)
            parts.append(panel.svg(LEFT + column * (WIDTH + GAP), TOP + row * (HEIGHT + GAP)))
        left = LEFT
        for number, name in enumerate(dict.fromkeys(name for panel in self.panels for name in panel.series)):
            parts.append(
                f'<text class="text{number}" x="{left}" y="{size[1] - LETTER}">{escape(name)}</text>'
            )
            left += LETTER * (len(name) + 4)
        lines = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size[0]} {size[1]}" role="img">',
            f"<title>{escape(self.title)}</title>",
            f"<style>{STYLE}</style>",
            *parts,
            "</svg>",
        ]
        return "\n".join(lines) + "\n"
