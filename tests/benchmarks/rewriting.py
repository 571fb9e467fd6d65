"""Measure how fast pages are rewritten and searched for images, beside markdown-it-py's parse of the same text.

python -m tests.benchmarks.rewriting

Most of the text are Chinese and English paragraphs, with an image or a link in each. Hostile texts of one megabyte, and
of two, show that the time is linear: their ratio is about two.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable

from markdown_it import MarkdownIt

from airflow_provider_123pan.rewriting import Addresses, find_images, rewrite

MEGABYTE = 1_000_000
RUNS = 5
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


def rate(function: Callable[[str], object], text: str) -> float:
    """Return the median rate of a function, in megabytes of UTF-8 per second."""
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        function(text)
        times.append(time.perf_counter() - start)
    return len(text.encode()) / MEGABYTE / statistics.median(times)


def main() -> None:
    """Run the benchmark."""
    addresses = Addresses(
        {
            f"https://example.com/2026/11/image-{number}.jpg": f"https://n.com/{number}.jpg"
            for number in range(IMAGES)
        }
    )
    page = markdown(2 * MEGABYTE)
    parser = MarkdownIt("commonmark")
    functions: dict[str, Callable[[str], object]] = {
        "markdown-it-py's parse": parser.parse,
        "rewrite": lambda text: rewrite(text, addresses),
        "find_images": lambda text: list(find_images(text)),
    }
    rates = {name: rate(function, page) for name, function in functions.items()}
    peer = rates["markdown-it-py's parse"]
    for name, found in rates.items():
        print(f"{name}: {found:.1f} MB/s, {found / peer:.1f} times the parser (goal 20 MB/s, or 5 times)")
    print("Hostile texts: seconds for 1 MB, and how many times as long 2 MB take")
    for unit in HOSTILE:
        for name in ("rewrite", "find_images"):
            once, twice = (
                count / rate(functions[name], unit * (count * MEGABYTE // len(unit.encode())))
                for count in (1, 2)
            )
            print(f"  {unit!r:26} {name:12} {once:6.3f} s, {twice / once:.1f} times")


if __name__ == "__main__":
    main()
