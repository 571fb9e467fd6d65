"""The demo's output fits 80 columns whatever it names, and has no animation in a file."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from dev.demo.outcome import Outcome
from dev.demo.recording import recorded_console, save
from dev.demo.screen import MAX_WIDTH, Screen

LONG = "0123456789" * 20
PATH = Path(f"/tmp/{LONG}/{LONG}.html")
URL = f"http://127.0.0.1:23456/{LONG}.png"
GOOD = Outcome(
    succeeded=True,
    pages=5,
    rewritten=5,
    images=10,
    equal=10,
    by_service=9,
    by_worker=1,
    guarded=1,
    healthy=10,
)
BEFORE = f"# North\n\n![Old]({URL})\nA long sentence {'with words ' * 10}.\n{'猫' * 60}\n"


def print_all(console: Console, outcome: Outcome = GOOD) -> None:
    """Print one of everything."""
    seconds = iter(range(100, 1000, 30))
    screen = Screen(console, clock=lambda: float(next(seconds)))
    with screen.step(f"A blog at {URL}") as step:
        step.wait("An animation")
        step.done("5 pages", f"The host is {URL}", "many words " * 20)
        step.diff(PATH.name, BEFORE, BEFORE.replace("127.0.0.1", "localhost").replace("猫", "狗"))
    with screen.step("Check") as step:
        step.done("10 of 10 images are healthy")
    screen.summary(outcome)
    screen.places({"Airflow": (URL, "login admin"), "Reports": (PATH,)})
    screen.note(f"The logs are in {PATH}")


def printed(width: int, outcome: Outcome = GOOD, *, terminal: bool = False) -> str:
    """Return what the demo prints to a file, or to a terminal of this width."""
    file = io.StringIO()
    print_all(Console(file=file, width=width, force_terminal=terminal, color_system=None), outcome)
    return file.getvalue()


@pytest.mark.parametrize("width", [200, 80, 60])
def test_no_line_is_wider_than_the_terminal_or_80_columns(width: int) -> None:
    lines = printed(width).splitlines()
    assert max(map(cell_len, lines)) <= min(width, MAX_WIDTH)


def test_long_paths_and_urls_are_complete() -> None:
    joined = "".join(line.strip() for line in printed(80).splitlines())
    assert joined.count(str(PATH)) == 2
    assert f"The host is{URL}" in joined


def test_a_file_gets_neither_animations_nor_control_characters() -> None:
    text = printed(80)
    assert "An animation" not in text
    assert "\x1b" not in text
    assert "An animation" in printed(80, terminal=True)


def test_each_step_has_a_number_and_the_seconds_since_it_began() -> None:
    lines = printed(80).splitlines()
    assert lines[0].startswith("1  A blog")
    assert "2  Check" in lines
    assert "  30.0 s  5 pages" in lines
    assert "  30.0 s  10 of 10 images are healthy" in lines


def test_a_line_of_the_diff_that_is_too_long_loses_the_middle_of_its_url() -> None:
    lines = [line.strip() for line in printed(80).splitlines()]
    old, new = (next(line for line in lines if line.startswith(f"{sign}![")) for sign in "-+")
    assert old.startswith("-![Old](http://127.0.0.1:23456/0")
    assert new.startswith("+![Old](http://localhost:23456/0")
    for line in (old, new):
        assert "…" in line
        assert line.endswith("789.png)")


def test_the_summary_marks_what_did_not_hold() -> None:
    def marks(outcome: Outcome) -> str:
        lines = printed(80, outcome).splitlines()
        first = lines.index("Summary") + 1
        return "".join(line.split()[0] for line in lines[first : first + 5])

    assert marks(GOOD) == "✓✓✓✓✓"
    assert marks(replace(GOOD, rewritten=4, healthy=9)) == "✗✓✓✓✗"
    assert marks(replace(GOOD, by_service=10, by_worker=0, equal=9)) == "✓✗✗✗✓"


@pytest.mark.parametrize(
    "change",
    [
        {"succeeded": False},
        {"rewritten": 4},
        {"equal": 9},
        {"healthy": 9},
        {"by_worker": 0, "by_service": 10},
        {"by_service": 8},
    ],
    ids=str,
)
def test_the_demo_succeeds_only_if_everything_holds(change: dict[str, int]) -> None:
    assert GOOD.held
    assert not replace(GOOD, **change).held


def test_the_recording_has_all_lines_and_loads_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    console = recorded_console()
    print_all(console)
    assert "5 pages" in capsys.readouterr().out
    save(console, tmp_path / "images" / "demo.svg")
    svg = (tmp_path / "images" / "demo.svg").read_text()
    for text in ("5&#160;pages", "Where&#160;to&#160;look", "make&#160;demo"):
        assert text in svg
    assert "url(http" not in svg.replace('"', "")
    assert "An&#160;animation" not in svg
