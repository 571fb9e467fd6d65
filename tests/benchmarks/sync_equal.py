"""Measure syncs of URLs with the same bytes, of which the service keeps one file: more URLs should not take longer."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

from airflow_provider_123pan.sandbox import Sandbox
from airflow_provider_123pan.sandbox.images import tiny
from tests.sources import image, serve

COUNTS = (2, 12, 40)  # URLs of a sync; the first is what the others are compared with

Worker = Callable[..., dict[str, Any]]


def measure(folder: Path, worker: Worker, rounds: int) -> None:
    """Sync each number of URLs on two nights, in so many rounds, and print the medians.

    :param worker: runs the operator in its own process, as ``sync.worker`` does.
    """
    seconds: dict[int, list[float]] = {count: [] for count in COUNTS}
    submissions: dict[int, list[tuple[int, int]]] = {count: [] for count in COUNTS}
    with Sandbox(fetch=True) as sandbox, serve() as source:
        account = {"host": sandbox.base_url, "login": sandbox.client_id, "password": sandbox.client_secret}

        def night(count: int, number: int) -> tuple[dict[str, Any], int]:
            before = sandbox.state(limit=0)["counts"]["submissions"]
            found = worker(
                folder,
                account,
                images=[f"{source.url}/{number}-{count}-{each}.png" for each in range(count)],
                directory=f"{number}-{count}",
                allow_equal=True,
                private_hosts=["127.0.0.1"],
                variables=str(folder / f"equal-{number}-{count}.json"),
            )
            assert found["present"] + found["migrated"] == count, found
            return found, sandbox.state(limit=0)["counts"]["submissions"] - before

        for number in range(rounds):
            for count in COUNTS:
                answer = image("image/png", tiny(f"{number}-{count}").content)
                source.answers |= {f"/{number}-{count}-{each}.png": answer for each in range(count)}
                first, submitted = night(count, number)
                _, again = night(count, number)
                seconds[count].append(first["seconds"])
                submissions[count].append((submitted, again))
                print(f"equal: {count} URLs: {first['seconds']:.1f} s", flush=True)
    base = statistics.median(seconds[COUNTS[0]])
    print(f"\n{'URLs':>4}  {'seconds':>7}  {'ratio':>5}  {'submissions':>11}  second night")
    for count in COUNTS:
        median = statistics.median(seconds[count])
        first_night, second_night = (max(night) for night in zip(*submissions[count], strict=True))
        print(f"{count:4}  {median:7.1f}  {median / base:5.2f}  {first_night:11}  {second_night:12}")
    print("goals: ratio 1.3, one submission for each URL, second night 0", flush=True)
