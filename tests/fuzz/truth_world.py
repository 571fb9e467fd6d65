"""A random world for the truth fuzz: what the service does with our image, and what else happens in the directory."""

from __future__ import annotations

import hashlib
import random
import unicodedata
from dataclasses import dataclass, fields
from typing import Any

MODES = ("poke", "reschedule", "deferrable", "sync skip", "sync overwrite")
NAMINGS = ("kept", "(1)", " (1)", "_1", "-1", "timestamped", "hashed", "nfd", "extension", "cut")
DATES = ("beijing", "utc", "unix", "slashes", "empty")
CALLBACKS = (
    "none",
    "true",
    "early",
    "late",
    "doubled",
    "wrong state",
    "old file",
    "older file",
    "neighbour's file",
)
AGES = {"10 s": 10.0, "1 min": 60.0, "8 h": 28_800.0, "1 year": 31_536_000.0}
STRICT = ("beijing", "unix", "slashes")  # forms of dates that are read without doubt


@dataclass(frozen=True, slots=True)
class World:
    """What happens in one simulation. Durations are seconds.

    :ivar lag: from an image's creation to its first appearance in a listing.
    :ivar naming: the name that the service gives our image.
    :ivar keeps_date: equal content is overwritten without a new date.
    :ivar skew: our clock is ahead of the service's by so much.
    :ivar older: an image that has the name already: of ``equal`` or ``other`` content, or ``none``.
    :ivar neighbours: images of others that arrive in the directory at about the same time.
    :ivar fails: 123pan cannot download the image.
    :ivar faults: the share of answers that are replaced by an error.
    :ivar kills: the worker is killed after so many sleeps, each.
    :ivar urls_in_listing: listings give the images' URLs; otherwise only the detail call does.
    :ivar images: how many a sync has in its list.
    """

    seed: int
    mode: str
    lag: float
    naming: str
    dates: str
    keeps_date: bool
    skew: float
    callback: str
    older: str
    age: str
    neighbours: int
    fails: bool
    faults: float
    kills: tuple[int, ...]
    duration: float
    poke_interval: float
    urls_in_listing: bool
    images: int

    @classmethod
    def random(cls, seed: int) -> World:
        """Return the world of a seed."""
        rng = random.Random(seed)
        lags = (0.0, rng.uniform(0, 10), rng.uniform(10, 60), rng.uniform(60, 280))
        return cls(
            seed=seed,
            mode=rng.choice(MODES),
            lag=rng.choice(lags),
            naming=rng.choice(NAMINGS),
            dates=rng.choice((*DATES, "beijing")),
            keeps_date=rng.random() < 0.3,
            skew=rng.choice((0.0, 0.0, rng.uniform(-600, 600))),
            callback=rng.choice(CALLBACKS),
            older=rng.choice(("none", "equal", "other")),
            age=rng.choice(tuple(AGES)),
            neighbours=rng.choice((0, 0, 1, 2)),
            fails=rng.random() < 0.1,
            faults=rng.choice((0.0, 0.0, 0.02, 0.1)),
            kills=tuple(rng.randrange(1, 30) for _ in range(rng.choice((0, 0, 0, 1, 2)))),
            duration=rng.choice((0.0, rng.uniform(0, 5), rng.uniform(5, 90))),
            poke_interval=rng.choice((5.0, 15.0, 60.0)),
            urls_in_listing=rng.random() < 0.8,
            images=rng.choice((1, 1, 2, 4)),
        )

    def __str__(self) -> str:
        """Describe the world in a line."""
        return ", ".join(f"{each.name}={getattr(self, each.name)!r}" for each in fields(self))

    @property
    def is_sync(self) -> bool:
        """Whether a sync waits, and not a sensor."""
        return self.mode.startswith("sync")

    def file_name(self, number: int) -> str:
        """Return the name that is sent for an image."""
        return f"a photo of the café by the long river in May {number}.jpeg"

    def stored_name(self, sent: str, etag: str, now: float) -> str:
        """Return the name that the service gives it."""
        stem, _, extension = sent.rpartition(".")
        match self.naming:
            case "(1)" | " (1)" | "_1" | "-1":
                return f"{stem}{self.naming}.{extension}"
            case "timestamped":
                return f"{stem}_{now:.0f}.{extension}"
            case "hashed":
                return f"{etag}.{extension}"
            case "nfd":
                return unicodedata.normalize("NFD", sent)
            case "extension":
                return f"{stem}.png"
            case "cut":
                return f"{stem[:-3]}.{extension}" if self.images == 1 else sent
        return sent

    # -- what may be expected ----------------------------------------------------------------------------------

    @property
    def overwrites(self) -> bool:
        """Whether our image replaces the older one."""
        return self.older == "equal"

    @property
    def is_present(self) -> bool:
        """Whether a sync that skips finds the name taken, and submits nothing."""
        return self.mode == "sync skip" and self.older != "none"

    @property
    def proof(self) -> str | None:
        """The rule by which our image must be found: ``name``, ``variant`` or ``end`` (of the window); else None."""
        if self.fails or self.is_present:
            return None
        if self.overwrites:
            if self.keeps_date:
                return None if self.neighbours else "end"
            return "name" if self.dates in STRICT else None
        if self.dates not in STRICT and self.callback == "old file":
            return None  # without dates the old file may be ours
        if self.dates not in STRICT:
            return (
                "end"
                if self.naming in ("kept", "nfd") and self.older == "none" and not self.neighbours
                else None
            )
        match self.naming:
            case "kept" | "nfd":
                return "name"
            case "(1)" | " (1)" | "timestamped":
                return "variant"
            case "cut":
                return "variant" if self.images == 1 else "name"
            case "_1" | "-1" | "extension":
                return "end"
        named = self.callback in ("true", "early", "late", "doubled") or self.older == "none"
        return "end" if named and not self.neighbours and self.images == 1 else None


def etag_of(text: Any) -> str:
    """Return the MD5 of an image's content."""
    return hashlib.md5(str(text).encode(), usedforsecurity=False).hexdigest()
