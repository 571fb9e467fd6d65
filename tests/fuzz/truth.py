"""The truth fuzz: random scenarios in virtual time, in none of which the provider may name a wrong image.

python -m tests.fuzz truth
python -m tests.fuzz.truth --scenario SEED         # one scenario, step by step
"""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import os
import random
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from tests.fuzz.truth_scenario import MODES, Scenario
from tests.fuzz.virtual_time import VIRTUAL

EXAMPLES = 50_000
_CHUNK = 250
_WINDOW = 300.0  # seconds: the whole window of a wait
_SETTLING = 7.0  # seconds until a variant of the name counts
_PUNCTUAL = 10.0  # seconds after the first moment at which a rule is satisfied
_LEAST_SUCCESS = 0.995


@dataclass(slots=True)
class Tally:
    """The figures of some scenarios.

    :ivar wrong: scenarios with a wrong image, or a success where there is none; by their seeds.
    :ivar missed: scenarios that offered proof and ended without an image.
    :ivar late: scenarios in which the image was found late, with the seconds.
    """

    scenarios: Counter[str] = field(default_factory=Counter)
    matched: Counter[str] = field(default_factory=Counter)
    provable: int = 0
    wrong: list[int] = field(default_factory=list)
    missed: list[int] = field(default_factory=list)
    late: list[tuple[int, float]] = field(default_factory=list)
    unexplained: list[int] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Add the figures of other scenarios."""
        self.scenarios += other.scenarios
        self.matched += other.matched
        self.provable += other.provable
        for name in ("wrong", "missed", "late", "unexplained"):
            getattr(self, name).extend(getattr(other, name))


def _start() -> None:
    VIRTUAL.install()
    logging.disable()


def live(seed: int) -> tuple[Scenario, Any, list[Any]]:
    """Let the provider wait in a scenario; return the scenario, its service, and what the provider says."""
    from tests.fuzz.truth_service import Service
    from tests.fuzz.truth_syncs import sync
    from tests.fuzz.truth_waits import wait_for_one

    scenario = Scenario.random(seed)
    VIRTUAL.reset(scenario.skew)
    random.seed(seed)
    service = Service(scenario)
    return scenario, service, (sync if scenario.is_sync else wait_for_one)(scenario, service)


def _judge(seed: int, tally: Tally) -> None:
    from tests.fuzz.truth_service import url_of

    scenario, service, answers = live(seed)
    tally.scenarios[scenario.mode] += 1
    for number, answer in enumerate(answers):
        truth = service.older[number] if scenario.is_present else service.truth.get(url_of(number))
        if answer.fileID is not None:
            if truth is None or (answer.fileID, answer.url) != (truth.fileID, truth.url):
                tally.wrong.append(seed)
            tally.matched[str(answer.matched_by)] += 1
        elif not answer.reason:
            tally.unexplained.append(seed)
        if scenario.proof is None or truth is None:
            continue
        tally.provable += 1
        if answer.fileID is None:
            tally.missed.append(seed)
        elif (seconds := answer.at - _expected_at(scenario, service, url_of(number))) > _PUNCTUAL:
            tally.late.append((seed, seconds))


def _expected_at(scenario: Scenario, service: Any, url: str) -> float:
    """Return by when a rule is satisfied, and the provider has had an occasion to see that."""
    task = next(task for task in service.tasks.values() if task.content == url)
    if scenario.is_sync and not scenario.calls_back:  # what stays silent is polled after pauses that double
        interval = 35.0 + 2 * scenario.duration
    elif scenario.is_sync:
        interval = 12.0
    elif scenario.mode == "deferrable":
        interval = 2.0 if scenario.calls_back else 300.0
    else:
        interval = scenario.poke_interval
    polled = task.ends + interval
    at: float = max(service.stored_at[url], polled)
    if scenario.proof == "callback":
        named = [
            when for when, each in service.deliveries if each.callback_id == task.callback_id and each.fileID
        ]
        at = max(at, min(named) + (interval if scenario.is_sync else 0.0))
    elif scenario.proof == "variant":
        at = max(at, polled + _SETTLING)
    elif scenario.proof == "end":
        at = max(at, polled + _WINDOW)
    elif scenario.is_sync and scenario.overwrites:  # only a listing of everything shows it
        at = max(at, polled + _SETTLING + interval)
    # An error costs a repetition, a lie another submission, and a killed worker begins its window again.
    faults = (300.0 if scenario.is_sync else 60.0) if scenario.faults else 0.0
    lie = (
        (_WINDOW + 120.0) * scenario.images if scenario.is_sync and scenario.callback == "older file" else 0.0
    )
    recheck = 40.0 if scenario.defers else 0.0  # a worker looks again after 30 s, and defers after 10
    return at + recheck + faults + lie + len(scenario.kills) * (_WINDOW + 2 * interval)


def _run(seeds: range) -> Tally:
    tally = Tally()
    for seed in seeds:
        _judge(seed, tally)
    return tally


def fuzz(examples: int, seed: int) -> str:
    """Run random scenarios in all cores; return the figures.

    :raises AssertionError: an image was wrong, or too many were missed.
    """
    total = Tally()
    chunks = [range(at, min(at + _CHUNK, seed + examples)) for at in range(seed, seed + examples, _CHUNK)]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(os.cpu_count(), context, _start) as pool:
        for tally in pool.map(_run, chunks):
            total.add(tally)
    found = total.provable - len(total.missed)
    figures = (
        f"{examples} scenarios ({', '.join(f'{mode} {total.scenarios[mode]}' for mode in MODES)}); "
        f"wrong: {len(total.wrong)}; "
        f"with proof: {total.provable}, of which {found / max(total.provable, 1):.2%} were found, "
        f"{len(total.late)} of them late; by {dict(total.matched.most_common())}"
    )
    assert not total.wrong, f"wrong in the scenarios {total.wrong[:20]}: {figures}"
    assert not total.unexplained, f"no reason in the scenarios {total.unexplained[:20]}: {figures}"
    assert found >= _LEAST_SUCCESS * total.provable, f"missed in the scenarios {total.missed[:20]}: {figures}"
    assert len(total.late) <= (1 - _LEAST_SUCCESS) * total.provable, (
        f"late in the scenarios {total.late[:20]}: {figures}"
    )
    return figures


def main() -> None:
    """Show one scenario."""
    parser = argparse.ArgumentParser(description="Show one scenario of the truth fuzz")
    parser.add_argument("--scenario", type=int, required=True, help="its seed")
    seed = parser.parse_args().scenario
    VIRTUAL.install()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    scenario, service, answers = live(seed)
    print(
        f"{scenario}\nproof: {scenario.proof}\nour images: {service.truth}\nall: {service.records}\nanswers: {answers}"
    )


if __name__ == "__main__":
    main()
