"""Demonstrate how Airflow moves the images of a blog to a local 123pan.

`make demo` runs until Ctrl-C. `make demo ONCE=1` ends by itself; its exit code is 0 only if every page was rewritten,
every image kept its bytes and is healthy, and the worker fetched the one image that 123pan could not. All processes
that the demo starts end with it, and its files are removed unless it failed.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console

from dev.demo.recording import recorded_console, save
from dev.demo.screen import Screen
from dev.demo.story import Story
from dev.signals import Ended, end_on


def main() -> int:
    """Run the demo, and return the exit code."""
    parser = argparse.ArgumentParser("python -m dev.demo", description=__doc__)
    parser.add_argument("--once", action="store_true", help="end when the images have been checked")
    parser.add_argument("--svg", type=Path, metavar="PATH", help="save what is printed as an SVG, and end")
    arguments = parser.parse_args()
    end_on(signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    console = recorded_console() if arguments.svg else Console(highlight=False)
    screen = Screen(console)
    home = Path(tempfile.mkdtemp(prefix="pan123-demo-"))
    held: bool | None = None  # until the end is known
    code = 1
    try:
        with ExitStack() as stack:
            story = Story(screen, home, stack)
            try:
                outcome = story.tell()
                held = outcome.held
                code = 0 if held else 1
                screen.summary(outcome)
                if not arguments.once:
                    story.show_places()
                if arguments.svg:
                    save(console, arguments.svg)
                elif not arguments.once:
                    screen.note("Press Ctrl-C to end the demo.")
                    signal.pause()
            finally:
                screen.note("Ending all processes")
    except Ended as ended:
        if held is None:
            held, code = True, ended.code
    except Exception as error:
        held = False
        screen.note(f"The demo failed: {error}", "red")
    if held:
        shutil.rmtree(home, ignore_errors=True)
    else:
        screen.note(f"The logs are in {home}")
    return code


if __name__ == "__main__":
    sys.exit(main())
