"""A random scenario of the truth fuzz: what the service does with our image, and what else happens beside it."""

from __future__ import annotations

import hashlib
import random
import unicodedata
from dataclasses import dataclass, fields, replace
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
SETTLED = 5.0  # seconds, less than a wait's
STRICT = ("beijing", "unix", "slashes")  # forms of dates that are read without doubt


@dataclass(frozen=True, slots=True)
class Scenario:
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
    :ivar knows_md5: the list of a sync states the MD5 of each.
    :ivar touched: a download counts as a change of an older image. Only where ours appears before a wait has settled:
        otherwise the two cannot be told apart.
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
    knows_md5: bool
    touched: bool

    @classmethod
    def random(cls, seed: int) -> Scenario:
        """Return the scenario of a seed."""
        rng = random.Random(seed)
        lags = (0.0, rng.uniform(0, 10), rng.uniform(10, 60), rng.uniform(60, 280))
        drawn = cls(
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
            knows_md5=rng.random() < 0.2,
            touched=rng.random() < 0.5,
        )
        return replace(drawn, touched=drawn.touched and drawn.lag < SETTLED)

    def __str__(self) -> str:
        """Describe the scenario in a line."""
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
    def defers(self) -> bool:
        """Whether a sync defers when it is idle."""
        return self.is_sync and self.seed % 2 == 0

    @property
    def is_present(self) -> bool:
        """Whether a sync that skips finds the image there, and submits nothing."""
        different = self.knows_md5 and self.older == "other"
        return self.mode == "sync skip" and self.older != "none" and not different

    @property
    def proof(self) -> str | None:
        """How our image must be found; None if nothing proves it.

        ``content``, ``callback`` and ``name`` prove it once it is listed, ``variant`` some seconds later, ``end`` at
        the end of the window.
        """
        if self.fails or self.is_present:
            return None
        if self.is_sync and self.knows_md5:
            return "content"
        same_name = self.naming in ("kept", "nfd") or (self.naming == "cut" and self.images > 1)
        strict = self.dates in STRICT
        if self.overwrites:
            if strict and not self.keeps_date:
                return "name"
            return "end" if self.keeps_date and not self.neighbours and self._callback_is_no_lie else None
        if not strict:
            alone = self.older == "none" and not self.neighbours and self._callback_is_no_lie
            return "end" if same_name and alone else None
        if same_name:
            return "name"
        if self.naming == "hashed" and self.touched and self.older != "none":
            return None
        if self.naming == "hashed":
            named = self.callback in ("true", "doubled") or self.older == "none"
            return "end" if named and not self.neighbours and self.images == 1 else None
        if self.callback in ("true", "doubled"):
            return "callback"
        if self.touched and self.older != "none" and self.naming not in ("(1)", " (1)"):
            return None  # the older image may be ours, overwritten
        return "end" if self.naming in ("_1", "-1", "extension") else "variant"

    @property
    def calls_back(self) -> bool:
        """Whether a callback comes soon after the end."""
        return (
            self.callback in ("true", "doubled", "wrong state", "old file")
            or (self.callback == "older file" and self.older != "none")
            or (self.callback == "neighbour's file" and self.neighbours > 0)
        )

    @property
    def _callback_is_no_lie(self) -> bool:
        return self.callback not in ("old file", "neighbour's file")


def etag_of(text: Any) -> str:
    """Return the MD5 of an image's content."""
    return hashlib.md5(str(text).encode(), usedforsecurity=False).hexdigest()
