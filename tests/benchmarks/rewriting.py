"""Measure how fast pages are rewritten and searched for images, beside markdown-it-py's parse of the same text.

python -m tests.benchmarks.rewriting

Most of the text are Chinese and English paragraphs, with an image or a link in each. Hostile texts of one megabyte, and
of half of it, show that the time is linear: their ratio is about two.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from functools import partial

from markdown_it import MarkdownIt

from airflow_provider_123pan.rewriting import Addresses, find_images, rewrite
from tests.benchmarks.report import Arguments, beside, finish, take_turns

MEGABYTE = 1_000_000
PEER = "markdown-it-py's parse"
IMAGES = 1000
WORDS = "the image of a cat that sits (as it does) on a wall, and https is mentioned without a URL; 图片 见 下文。"
HOSTILE = (
    "(",
    "![",
    "https://",
    "&amp;",
    "\\",
    "//",
    "![](",
    "(https://",
    '"https://a b ',
    '"//x.com/a 1x, ',
    "https://x.com/a,",
    "<https://x.com/a b",
    "图https://x.com/a",
    's:9:"',
    's:9:\\"',
    "srcset=https://x.com/a ",
    "[a]: https://x.com/a\n",
)


def markdown(size: int) -> str:
    """Return Markdown of about ``size`` bytes."""
    choices, words = random.Random(123), WORDS.split()
    parts: list[str] = []
    written = number = 0
    while written < size:
        number += 1
        url = f"https://example.com/2026/11/image-{number % IMAGES}.jpg"
        link = f"![image {number}]({url})" if number % 2 else f"[page](https://example.org/{number})"
        parts.append(f"## {number}\n\n{' '.join(choices.choices(words, k=80))} {link}\n\n")
        written += len(parts[-1].encode())
    return "".join(parts)


def seconds(function: Callable[[str], object], text: str) -> float:
    """Return the CPU-seconds of a function."""
    start = time.process_time()
    function(text)
    return time.process_time() - start


def main() -> None:
    """Run the benchmark."""
    rounds = Arguments(__doc__).parse_args().rounds
    addresses = Addresses(
        {
            f"https://example.com/2026/11/image-{number}.jpg": f"https://n.com/{number}.jpg"
            for number in range(IMAGES)
        }
    )
    page = markdown(2 * MEGABYTE)
    ours: dict[str, Callable[[str], object]] = {
        "rewrite": lambda text: rewrite(text, addresses),
        "find_images": lambda text: list(find_images(text)),
    }

    ours["rewrite"](page)  # imports Airflow, for its settings

    def rate(function: Callable[[str], object]) -> dict[str, float]:
        return {"MB per CPU-second": len(page.encode()) / MEGABYTE / seconds(function, page)}

    functions = {**ours, PEER: MarkdownIt("commonmark").parse}
    sides = {name: partial(rate, function) for name, function in functions.items()}
    speed = beside(take_turns(sides, rounds), PEER, what="Function")

    def hostile(unit: str) -> dict[str, float]:
        found: dict[str, float] = {}
        for name, function in ours.items():
            text = unit * (MEGABYTE // 2 // len(unit.encode()))
            once, twice = seconds(function, text), seconds(function, text * 2)
            found |= {f"{name}, CPU-seconds": twice, f"{name}, to half of it": twice / once}
        return found

    found = take_turns({f"`{unit.strip()}`": partial(hostile, unit) for unit in HOSTILE}, rounds)
    finish("rewriting", speed, beside(found, what="Artificial text", title="1 MB of the same characters"))


if __name__ == "__main__":
    main()
