"""Loads many images at a polite rate."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol, TypeVar

from airflow_provider_123pan.verification.loading import Loaded, Problem, ServedImage

LOAD_THREADS = 8
#: Images per second that a sync loads at most.
LOADS_PER_SECOND = 50.0

K = TypeVar("K")


class Loads(Protocol):
    """What loads an image."""

    def load(self, image: ServedImage) -> Loaded:
        """Load an image; it may be called from several threads."""


def load_all(
    loader: Loads,
    images: Iterable[tuple[K, ServedImage]],
    per_second: float,
    seconds: float = float("inf"),
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
) -> Iterator[tuple[K, Loaded]]:
    """Load each image once, and yield what came of it, in the order of the images.

    :param images: a key of the caller's with each.
    :param per_second: images per second at most.
    :param seconds: no image is begun later; it is yielded as one that was not loaded.
    """
    slot = clock()
    end = slot + seconds
    running: deque[tuple[K, Future[Loaded]]] = deque()
    threads = ThreadPoolExecutor(LOAD_THREADS, "pan123-load")
    try:
        for key, image in images:
            if len(running) >= 2 * LOAD_THREADS:
                first, load = running.popleft()
                yield first, load.result()
            if (wait := min(slot, end) - clock()) > 0:
                sleep(wait)
            if (now := clock()) < end:
                slot = max(slot, now) + 1 / per_second
                running.append((key, threads.submit(loader.load, image)))
                continue
            while running:
                first, load = running.popleft()
                yield first, load.result()
            yield key, Loaded(Problem.UNREACHABLE, "its URL was not loaded before the task's time limit")
        for first, load in running:
            yield first, load.result()
    finally:
        threads.shutdown(wait=False, cancel_futures=True)
