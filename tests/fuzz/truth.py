"""The truth fuzz: random worlds in virtual time, in none of which the provider may name a wrong image.

python -m tests.fuzz truth
python -m tests.fuzz.truth --world SEED         # one world, step by step
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

from tests.fuzz.truth_world import MODES, World
from tests.fuzz.virtual_time import VIRTUAL

EXAMPLES = 50_000
_CHUNK = 250
_WINDOW = 300.0  # seconds: the whole window of a wait
_SETTLING = 7.0  # seconds until a variant of the name counts
_PUNCTUAL = 10.0  # seconds after the first moment at which a rule is satisfied
_LEAST_SUCCESS = 0.995


@dataclass(slots=True)
class Tally:
    """The figures of some worlds.

    :ivar wrong: worlds with a wrong image, or a success where there is none; by their seeds.
    :ivar missed: worlds that offered proof and ended without an image.
    :ivar late: worlds in which the image was found late, with the seconds.
    """

    worlds: Counter[str] = field(default_factory=Counter)
    matched: Counter[str] = field(default_factory=Counter)
    provable: int = 0
    wrong: list[int] = field(default_factory=list)
    missed: list[int] = field(default_factory=list)
    late: list[tuple[int, float]] = field(default_factory=list)
    unexplained: list[int] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Add the figures of other worlds."""
        self.worlds += other.worlds
        self.matched += other.matched
        self.provable += other.provable
        for name in ("wrong", "missed", "late", "unexplained"):
            getattr(self, name).extend(getattr(other, name))


def _start() -> None:
    VIRTUAL.install()
    logging.disable()


def live(seed: int) -> tuple[World, Any, list[Any]]:
    """Let the provider wait in a world; return the world, its service, and what the provider says."""
    from tests.fuzz.truth_service import Service
    from tests.fuzz.truth_syncs import sync
    from tests.fuzz.truth_waits import wait_for_one

    world = World.random(seed)
    VIRTUAL.reset(world.skew)
    random.seed(seed)
    service = Service(world)
    return world, service, (sync if world.is_sync else wait_for_one)(world, service)


def _judge(seed: int, tally: Tally) -> None:
    from tests.fuzz.truth_service import url_of

    world, service, answers = live(seed)
    tally.worlds[world.mode] += 1
    for number, answer in enumerate(answers):
        truth = service.older[number] if world.is_present else service.truth.get(url_of(number))
        if answer.fileID is not None:
            if truth is None or (answer.fileID, answer.url) != (truth.fileID, truth.url):
                tally.wrong.append(seed)
            tally.matched[str(answer.matched_by)] += 1
        elif not answer.reason:
            tally.unexplained.append(seed)
        if world.proof is None or truth is None:
            continue
        tally.provable += 1
        if answer.fileID is None:
            tally.missed.append(seed)
        elif (seconds := answer.at - _expected_at(world, service, url_of(number))) > _PUNCTUAL:
            tally.late.append((seed, seconds))


def _expected_at(world: World, service: Any, url: str) -> float:
    """Return by when a rule is satisfied, and the provider has had an occasion to see that."""
    task = next(task for task in service.tasks.values() if task.content == url)
    if world.is_sync and not world.calls_back:  # what stays silent is polled after pauses that double
        interval = 35.0 + 2 * world.duration
    elif world.is_sync:
        interval = 12.0
    elif world.mode == "deferrable":
        interval = 2.0 if world.calls_back else 300.0
    else:
        interval = world.poke_interval
    polled = task.ends + interval
    at: float = max(service.stored_at[url], polled)
    if world.proof == "callback":
        named = [
            when for when, each in service.deliveries if each.callback_id == task.callback_id and each.fileID
        ]
        at = max(at, min(named) + (interval if world.is_sync else 0.0))
    elif world.proof == "variant":
        at = max(at, polled + _SETTLING)
    elif world.proof == "end":
        at = max(at, polled + _WINDOW)
    elif world.is_sync and world.overwrites:  # only a listing of everything shows it
        at = max(at, polled + _SETTLING + interval)
    # An error costs a repetition, a lie another submission, and a killed worker begins its window again.
    faults = (300.0 if world.is_sync else 60.0) if world.faults else 0.0
    lie = (_WINDOW + 120.0) * world.images if world.is_sync and world.callback == "older file" else 0.0
    recheck = 40.0 if world.defers else 0.0  # a worker looks again after 30 s, and defers after 10
    return at + recheck + faults + lie + len(world.kills) * (_WINDOW + 2 * interval)


def _run(seeds: range) -> Tally:
    tally = Tally()
    for seed in seeds:
        _judge(seed, tally)
    return tally


def fuzz(examples: int, seed: int) -> str:
    """Run random worlds in all cores; return the figures.

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
        f"{examples} worlds ({', '.join(f'{mode} {total.worlds[mode]}' for mode in MODES)}); "
        f"wrong: {len(total.wrong)}; "
        f"with proof: {total.provable}, of which {found / max(total.provable, 1):.2%} were found, "
        f"{len(total.late)} of them late; by {dict(total.matched.most_common())}"
    )
    assert not total.wrong, f"wrong in the worlds {total.wrong[:20]}: {figures}"
    assert not total.unexplained, f"no reason in the worlds {total.unexplained[:20]}: {figures}"
    assert found >= _LEAST_SUCCESS * total.provable, f"missed in the worlds {total.missed[:20]}: {figures}"
    assert len(total.late) <= (1 - _LEAST_SUCCESS) * total.provable, (
        f"late in the worlds {total.late[:20]}: {figures}"
    )
    return figures


def main() -> None:
    """Show one world."""
    parser = argparse.ArgumentParser(description="Show one world of the truth fuzz")
    parser.add_argument("--world", type=int, required=True, help="its seed")
    seed = parser.parse_args().world
    VIRTUAL.install()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    world, service, answers = live(seed)
    print(
        f"{world}\nproof: {world.proof}\nour images: {service.truth}\nall: {service.records}\nanswers: {answers}"
    )


if __name__ == "__main__":
    main()
