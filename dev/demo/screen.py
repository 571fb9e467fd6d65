"""What the demo prints: a heading for each step, lines with the seconds since it began, a diff and a summary.

No line is wider than 80 columns, and a file or a pipe gets no animation.
"""

from __future__ import annotations

import difflib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.status import Status
from rich.style import Style
from rich.text import Text

from dev.demo.outcome import Outcome

MAX_WIDTH = 80
TEXT_COLUMN = 10  # where texts begin, after the seconds
LABEL_WIDTH = 15  # columns that the name of a place takes


class Screen:
    """The terminal, or the file that stands for it."""

    def __init__(self, console: Console, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Print to a console, of which at most 80 columns are used.

        :param clock: returns seconds.
        """
        self._console, self._clock = console, clock
        console.width = min(console.width, MAX_WIDTH)
        self._steps = 0

    @contextmanager
    def step(self, title: str) -> Iterator[Step]:
        """Print the heading of the next step; in a terminal, a line shows that it runs."""
        self._steps += 1
        if self._steps > 1:
            self._console.print()
        self.lines(Text(f"{self._steps}  {title}", "bold"))
        with self._console.status(title) as status:
            yield Step(self, status, self._clock)

    def lines(self, text: Text | str, *, first: Text | str = "", width: int = 0) -> None:
        """Print a text in as many lines as it takes.

        :param first: what stands before the first line.
        :param width: columns for it, which the other lines leave empty.
        """
        text = Text(text) if isinstance(text, str) else text
        before = Text(first) if isinstance(first, str) else first.copy()
        before.pad_right(max(0, width - before.cell_len))
        for line in text.wrap(self._console, self._console.width - width, overflow="fold"):
            line.rstrip()
            self._console.print(Text.assemble(before, line))
            before = Text(" " * width)

    def diff(self, name: str, before: str, after: str) -> None:
        """Print how a page changed; of lines that are too long, the longest word is cut."""
        styles = {"-": "red", "+": "green", "@": "cyan"}
        compared = difflib.unified_diff(before.splitlines(), after.splitlines(), name, name, n=1, lineterm="")
        for number, line in enumerate(compared):
            style = "dim" if number < 2 else styles.get(line[0], "")
            self.lines(Text(_shortened(line, self._console.width - TEXT_COLUMN), style), width=TEXT_COLUMN)

    def summary(self, outcome: Outcome) -> None:
        """Print what was promised, and what came of it."""
        images, pages = outcome.images, outcome.pages
        rows: Sequence[tuple[str, int, int]] = (
            ("pages rewritten, and otherwise unchanged", outcome.rewritten, pages),
            ("images that 123pan fetched by itself", outcome.by_service, images - outcome.guarded),
            ("images that the worker fetched and uploaded", outcome.by_worker, outcome.guarded),
            ("images that kept their bytes", outcome.equal, images),
            ("images that the check found healthy", outcome.healthy, images),
        )
        self._console.print()
        self.lines(Text("Summary", "bold"))
        for what, found, expected in rows:
            good = found == expected
            count = Text(f"  {'✓' if good else '✗'} {found:3} of {expected}", "green" if good else "red")
            self.lines(what, first=count, width=16)

    def places(self, places: Mapping[str, Sequence[str | Path]]) -> None:
        """Print where to look: one or more URLs, paths and texts for each name."""
        self._console.print()
        self.lines(Text("Where to look while the demo runs", "bold"))
        for name, found in places.items():
            label = Text(f"  {name}")
            for place in found:
                self.lines(_linked(place), first=label, width=LABEL_WIDTH)
                label = Text()

    def note(self, text: str, style: str = "") -> None:
        """Print a sentence, after an empty line."""
        self._console.print()
        self.lines(Text(text, style))


class Step:
    """One step of the demo, which runs."""

    def __init__(self, screen: Screen, status: Status, clock: Callable[[], float]) -> None:
        """Begin to count the seconds."""
        self._screen, self._status, self._clock = screen, status, clock
        self._began = clock()

    def wait(self, what: str) -> None:
        """In a terminal, show what the step waits for."""
        self._status.update(what)

    def done(self, *lines: str) -> None:
        """Print what has been done, with the seconds since the step began."""
        first = Text(f"{self._clock() - self._began:6.1f} s", "dim")
        for line in lines:
            self._screen.lines(line, first=first, width=TEXT_COLUMN)
            first = Text()

    def diff(self, name: str, before: str, after: str) -> None:
        """Print how a page changed."""
        self._screen.diff(name, before, after)


def _linked(place: str | Path) -> Text:
    """Return a path or a URL that terminals open even if it takes several lines."""
    if isinstance(place, Path):
        return Text(str(place), Style(link=place.as_uri()))
    return Text(place, Style(link=place) if place.startswith("http://") else "")


def _shortened(line: str, width: int) -> str:
    """Return a line of text that fits, if leaving out the middle of its longest word is enough."""
    excess = len(line) - width
    if excess <= 0:
        return line
    word = max(line.split(), key=len)
    kept = max(2, len(word) - excess - 1)
    return line.replace(word, f"{word[: kept // 2]}…{word[-(kept - kept // 2) :]}", 1)
