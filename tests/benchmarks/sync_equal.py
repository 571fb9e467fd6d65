"""Measure syncs of URLs with the same bytes, of which the service keeps one file: more URLs should not take longer."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from airflow_provider_123pan.sandbox import Sandbox
from airflow_provider_123pan.sandbox.images import tiny
from tests.benchmarks.report import beside, finish, take_turns
from tests.sources import image, serve

COUNTS = (2, 12, 40)  # URLs of a sync; the first is what the others are compared with
SECONDS = "seconds"

Worker = Callable[..., dict[str, Any]]


def measure(folder: Path, worker: Worker, rounds: int) -> None:
    """Sync each number of URLs on two nights in each round.

    :param worker: runs the operator in its own process, as ``sync.worker`` does.
    """
    numbers = count()
    with Sandbox(fetch=True) as sandbox, serve() as source:
        account = {"host": sandbox.base_url, "login": sandbox.client_id, "password": sandbox.client_secret}

        def nights(urls: int) -> dict[str, float]:
            name = f"{next(numbers)}-{urls}"
            answer = image("image/png", tiny(name).content)
            paths = [f"/{name}-{number}.png" for number in range(urls)]
            source.answers |= dict.fromkeys(paths, answer)
            seconds, submissions = [], [sandbox.state(limit=0)["counts"]["submissions"]]
            for _ in range(2):
                found = worker(
                    folder,
                    account,
                    images=[f"{source.url}{path}" for path in paths],
                    directory=name,
                    allow_equal=True,
                    private_hosts=["127.0.0.1"],
                    variables=str(folder / f"equal-{name}.json"),
                )
                assert found["present"] + found["migrated"] == urls, found
                seconds.append(found["seconds"])
                submissions.append(sandbox.state(limit=0)["counts"]["submissions"])
            first, second = submissions[1] - submissions[0], submissions[2] - submissions[1]
            return {SECONDS: seconds[0], "submissions": first, "in the second night": second}

        found = take_turns({f"{urls}": partial(nights, urls) for urls in COUNTS}, rounds)
    finish("sync-equal", beside(found, f"{COUNTS[0]}", what="URLs with equal bytes", ratio_of=[SECONDS]))
